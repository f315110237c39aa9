//! A client's byte stream with two readers-along: the gate, which looks for ambiguous requests, and the watch, which keeps time.
//!
//! Closing takes two steps (RFC 9112 §9.6): our end first, then reading on until the client has closed too. A socket closed with bytes unread
//! resets the connection, and a reset can take an answer away that the client has not read yet. The sweep bounds the wait.

use crate::edge::gate::Gate;
use crate::edge::watch::Watch;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client connection, plain or decrypted.
pub(crate) struct ClientIo<S> {
    stream: S,
    watch: Arc<Watch>,
    /// Absent for HTTP/2, whose frames have one length.
    gate: Option<Gate>,
    /// The client sends nothing any more.
    ended: bool,
    /// Nor do we.
    closed: bool,
}

impl<S> ClientIo<S> {
    /// For HTTP/1.
    pub(crate) fn http1(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, gate: Some(Gate::default()), ended: false, closed: false }
    }

    /// For HTTP/2.
    pub(crate) fn http2(stream: S, watch: Arc<Watch>) -> Self {
        watch.no_head();
        Self { stream, watch, gate: None, ended: false, closed: false }
    }

    fn look_at(&mut self, bytes: &[u8]) {
        let Some(gate) = &mut self.gate else { return };
        if self.watch.is_upgraded() {
            self.gate = None;
            return;
        }
        let seen = gate.read(bytes);
        if seen.head {
            self.watch.head_begins();
        }
        if let Some(request) = seen.ambiguous {
            self.watch.refuse_from(request);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = poll {
            self.ended |= buf.filled().len() == before && buf.remaining() > 0;
            self.look_at(&buf.filled()[before..]);
        }
        poll
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch.wrote(&poll);
        poll
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch.wrote(&poll);
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
        // A tunnel's other direction may still carry.
        if self.watch.is_upgraded() {
            return Poll::Ready(Ok(()));
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
