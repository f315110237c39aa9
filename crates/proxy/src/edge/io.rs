//! A client's byte stream in HTTP/2, with readers-along: the follower of frames, and the watch, which keeps time.
//!
//! Closing takes two steps (RFC 9112 §9.6): our end first, then reading on until the client has closed too. A socket closed with bytes unread
//! resets the connection, and a reset can take an answer away that the client has not read yet. The sweep bounds the wait.

use crate::edge::frames::{Frames, REFUSED};
use crate::edge::watch::Watch;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client connection, plain or decrypted.
pub(crate) struct ClientIo<S> {
    stream: S,
    watch: Rc<Watch>,
    frames: Box<Frames>,
    /// The client sends nothing any more.
    ended: bool,
    /// Nor do we.
    closed: bool,
}

impl<S> ClientIo<S> {
    pub(crate) fn new(stream: S, watch: Rc<Watch>) -> Self {
        watch.no_head();
        let frames = Box::new(Frames::new(watch.clock()));
        Self { stream, watch, frames, ended: false, closed: false }
    }
}

impl<S> ClientIo<S> {
    /// Follows the frames among what was read after `before`.
    fn follow(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        let Some(at) = self.frames.read(&buf.filled()[before..], self.watch.clock()) else { return Ok(()) };
        // A frame of which a part has been passed on cannot be replaced; that is rare, and closing without a word is allowed (RFC 9113 §5.4.1).
        let at = usize::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        buf.set_filled(before + at);
        buf.put_slice(&REFUSED);
        Ok(())
    }

    /// `slices` as they should be sent, if that is not as they are.
    fn corrected<'a>(&self, slices: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Vec<u8>> {
        self.frames.corrected(slices)
    }

    fn wrote<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, poll: &Poll<io::Result<usize>>) {
        self.watch.wrote(poll);
        if let Poll::Ready(Ok(count)) = poll {
            self.frames.wrote(slices, *count);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = poll {
            self.ended |= buf.filled().len() == before && buf.remaining() > 0;
            return Poll::Ready(self.follow(buf, before));
        }
        poll
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let slices = std::iter::once(buf);
        let poll = match self.corrected(slices.clone()) {
            Some(corrected) => Pin::new(&mut self.stream).poll_write(cx, &corrected),
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        };
        self.wrote(slices, &poll);
        poll
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let slices = bufs.iter().map(|slice| &**slice);
        let poll = match self.corrected(slices.clone()) {
            Some(corrected) => Pin::new(&mut self.stream).poll_write(cx, &corrected),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.wrote(slices, &poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch.flushed(&poll);
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.closed = true;
            self.watch.set_closed();
        }
        let mut space = [MaybeUninit::uninit(); 2048];
        while !self.ended {
            let mut rest = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest));
            self.ended = read.is_err() || rest.filled().is_empty();
        }
        Poll::Ready(Ok(()))
    }
}
