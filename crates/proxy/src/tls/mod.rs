//! TLS with clients: rustls decides and encrypts, the socket and all memory are ours.
//!
//! Made for many connections that are idle and few that send much. What is received and sent goes through two buffers of the worker
//! ([`Buffers`]); a connection that waits owns none. A write is encrypted into up to four records and sent with one call; while the client does not
//! take them, nothing more is encrypted.
//!
//! As in rustls' own streams, an end that the client did not announce is an error the first time, so that nobody takes what was cut off for whole
//! (RFC 8446 §6.1).

mod acceptor;
mod buffers;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod gather;
mod queue;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use acceptor::Acceptor;
use acceptor::Names;
use buffers::{AHEAD, Buffers, READ, RECORD};
use rustls::HandshakeKind;
use session::Session;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An encrypted connection.
pub(crate) struct TlsStream {
    stream: TcpStream,
    /// Boxed, so that moving the stream moves little.
    session: Box<Session>,
    buffers: Rc<Buffers>,
    name: Option<Box<str>>,
    /// Unsent are only tickets, which go with the next bytes we send, or when we wait for the client.
    tickets: bool,
    /// The connection ended.
    eof: bool,
}

impl TlsStream {
    async fn accept(acceptor: &Acceptor, stream: TcpStream) -> io::Result<Self> {
        let session = Box::new(Session::new(Arc::clone(&acceptor.config))?);
        let buffers = Rc::clone(&acceptor.buffers);
        let mut tls = Self { stream, session, buffers, name: None, tickets: false, eof: false };
        poll_fn(|cx| tls.poll_handshake(cx, &acceptor.names)).await?;
        Ok(tls)
    }

    /// The name the client asked for.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The protocol that was agreed on.
    pub(crate) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    /// Full, or resumed.
    pub(crate) fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.session.handshake_kind()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>, names: &Names) -> Poll<io::Result<()>> {
        let mut none = ReadBuf::new(&mut []);
        while self.session.is_handshaking() {
            ready!(self.poll_unsent(cx))?;
            let received = self.poll_receive(cx, &mut none);
            self.name = names.take().or(self.name.take());
            if ready!(received)? == 0 {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client left during the TLS handshake")));
            }
        }
        self.tickets = self.session.has_only_tickets();
        if self.tickets { Poll::Ready(Ok(())) } else { self.poll_unsent(cx) }
    }

    /// Receives once and decrypts all that is whole. Says how many bytes that were, encrypted; none at the connection's end.
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let Self { stream, session, buffers, tickets, .. } = self;
        session.check()?;
        let mut input = buffers.input();
        let before = session.partial().len();
        // Whatever has no room with the caller must be kept, so little more is read than it asks for.
        let most = into.remaining().clamp(RECORD, READ);
        let mut space = ReadBuf::new(&mut input[before..before + most]);
        if Pin::new(&mut *stream).poll_read(cx, &mut space)?.is_pending() {
            if mem::take(tickets) {
                send_now(stream, session);
            }
            return Poll::Pending;
        }
        let count = space.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        input[..before].copy_from_slice(session.partial());
        let result = session.take_in(&mut input[..before + count], into);
        if result.is_err() {
            // The alert, before the connection is given up for the error.
            send_now(stream, session);
        }
        Poll::Ready(result.map(|()| count))
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tickets = false;
        let unsent = self.session.unsent();
        while !unsent.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, unsent.rest()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            unsent.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

/// Sends what can be sent at once, for whoever is about to read: it must not become the one that is woken when more can be written.
fn send_now(stream: &TcpStream, session: &mut Session) {
    let unsent = session.unsent();
    if let Ok(count) = stream.try_write(unsent.rest()) {
        unsent.advance(count);
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if buf.remaining() == 0 || this.session.give(buf) {
            return Poll::Ready(Ok(()));
        }
        while buf.filled().len() == before && !this.session.is_ended() && !this.eof {
            if ready!(this.poll_receive(cx, buf))? == 0 {
                this.eof = true;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut without TLS close_notify")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.session.unsent().rest().len() > AHEAD {
            ready!(this.poll_unsent(cx))?;
        }
        this.tickets = false;
        let mut output = this.buffers.output();
        let (taken, sealed) = this.session.seal(bufs, &mut output)?;
        let mut sent = 0;
        while sent < sealed {
            match Pin::new(&mut this.stream).poll_write(cx, &output.sealed[sent..sealed])? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => sent += count,
                Poll::Pending => break,
            }
        }
        this.session.unsent().push(&output.sealed[sent..sealed]);
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_unsent(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.close()?;
        ready!(this.poll_unsent(cx))?;
        match ready!(Pin::new(&mut this.stream).poll_shutdown(cx)) {
            // It has ended already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
