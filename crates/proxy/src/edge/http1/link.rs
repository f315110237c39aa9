//! A client's connection as the loop that answers its requests and the body of the request under way both see it.
//!
//! There is one reader at a time: the loop between two requests, the body while there is one, and afterwards the loop again, which only wants to know
//! whether the client is still there. A body belongs to one request; when that is over it reads nothing any more.

use super::head::{Bad, Finder, Head, Length};
use crate::chunked::{Chunked, Piece};
use crate::edge::connection::{Conn, Order};
use crate::edge::watch::Watch;
use crate::parts::poll_write_parts;
use crate::upstream::body::{BodyError, FrameResult};
use crate::upstream::interim::Interim;
use crate::worker::Worker;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// Read at once of a body.
const BODY_READ: usize = 64 * 1024;

/// The connection.
pub(super) struct Link<S> {
    inner: RefCell<Inner<S>>,
    worker: Rc<Worker>,
    watch: Rc<Watch>,
}

struct Inner<S> {
    stream: S,
    /// Read and not used yet.
    input: BytesMut,
    finder: Finder,
    body: Body,
    /// Which request the body belongs to.
    request: u64,
    /// What is said before the answer.
    interim: Rc<Interim>,
    invitation: Invitation,
    /// The client sends nothing any more.
    ended: bool,
    /// Nor do we.
    closed: bool,
}

/// What a client is told that waits to send its body (RFC 9110 §10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invitation {
    /// It does not wait.
    Needless,
    /// Nothing yet: the body was not asked for.
    Due,
    /// To go on, as soon as that is written.
    Told,
    /// The answer, in its place. It may send the body or not.
    Withheld,
}

/// What is left of the body of the request under way.
#[derive(Debug, Clone, Copy)]
enum Body {
    Known(u64),
    Chunked(Chunked),
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(super) fn new(conn: &Conn, stream: S) -> Self {
        let (input, finder) = (BytesMut::new(), Finder::default());
        let (interim, invitation) = (Rc::clone(&conn.interim), Invitation::Needless);
        let inner = Inner { stream, input, finder, body: Body::Ended, request: 0, interim, invitation, ended: false, closed: false };
        Self { inner: RefCell::new(inner), worker: Rc::clone(&conn.worker), watch: Rc::clone(&conn.watch) }
    }

    /// The next head; nothing if the connection is to be closed. One that is idle and asked to finish has none: what has arrived is looked at first.
    pub(super) fn poll_head(&self, conn: &Conn, cx: &mut Context<'_>) -> Poll<Option<Result<Head, Bad>>> {
        let inner = &mut *self.inner.borrow_mut();
        if !inner.input.is_empty() {
            self.watch.head_begins();
        }
        loop {
            match inner.finder.take(&mut inner.input) {
                Ok(Some(head)) => return Poll::Ready(Some(Ok(head))),
                Ok(None) => {}
                Err(bad) => return Poll::Ready(Some(Err(bad))),
            }
            match inner.poll_read(&self.worker, cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => self.watch.head_begins(),
                Poll::Pending if conn.poll_order(cx) == Order::Finish && self.watch.is_idle() => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// A request begins. `false` if the beginning of its body, as far as it is there, already breaks a rule.
    pub(super) fn begin(&self, length: Length, expects: bool) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        inner.request += 1;
        inner.body = match length {
            Length::Known(0) => Body::Ended,
            Length::Known(length) => Body::Known(length),
            Length::Chunked(chunked) => Body::Chunked(chunked),
        };
        inner.invitation = if expects { Invitation::Due } else { Invitation::Needless };
        match length {
            Length::Chunked(chunked) if !inner.input.is_empty() => chunked.is_sound(&inner.input),
            _ => true,
        }
    }

    /// Ready when the client has left while its request is carried. What it sends meanwhile is the next request's.
    pub(super) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut *self.inner.borrow_mut();
        if !matches!(inner.body, Body::Ended) || !inner.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(inner.poll_read(&self.worker, cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// Writes some of `parts`.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let poll = poll_write_parts(Pin::new(&mut self.inner.borrow_mut().stream), cx, parts);
        self.watch.wrote(&poll);
        poll
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner.borrow_mut().stream).poll_flush(cx);
        self.watch.flushed(&poll);
        poll
    }

    /// Nothing of the request's body is left.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.inner.borrow().body, Body::Ended)
    }

    /// The client was not told to send the body, and may send it or not.
    pub(super) fn is_uninvited(&self) -> bool {
        let inner = self.inner.borrow();
        inner.invitation == Invitation::Withheld && !matches!(inner.body, Body::Ended)
    }

    /// The answer may begin; nothing else can be said before it from here on.
    pub(super) fn poll_answers(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.inner.borrow_mut();
        match inner.invitation {
            Invitation::Due => inner.invitation = Invitation::Withheld,
            Invitation::Told => ready!(inner.poll_invite(cx))?,
            Invitation::Needless | Invitation::Withheld => {}
        }
        inner.poll_interim(cx)
    }

    /// Says what comes before the answer, as far as the client takes it. That it has left is found elsewhere.
    pub(super) fn say_interim(&self, cx: &mut Context<'_>) {
        let inner = &mut *self.inner.borrow_mut();
        if !inner.interim.is_empty() {
            let _ = inner.poll_interim(cx);
        }
    }

    /// Throws away what comes of the body; answers how much that was, 0 when it has ended. Ready with an error if it cannot be read to its end.
    pub(super) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<Result<usize, ()>> {
        let request = self.inner.borrow().request;
        match ready!(self.poll_frame(request, cx)) {
            None => Poll::Ready(Ok(0)),
            Some(Ok(frame)) => Poll::Ready(Ok(frame.data_ref().map_or(1, Bytes::len).max(1))),
            Some(Err(_)) => Poll::Ready(Err(())),
        }
    }

    /// The request is over, whoever still holds its body.
    pub(super) fn end(&self) {
        self.inner.borrow_mut().request += 1;
    }

    /// Closes our end, and reads on until the client has closed too (RFC 9112 §9.6): a socket closed with bytes unread resets the connection, and a reset
    /// can take an answer away that the client has not read yet. The sweep bounds the wait.
    pub(super) fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut *self.inner.borrow_mut();
        if !inner.closed {
            if ready!(Pin::new(&mut inner.stream).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            inner.closed = true;
            self.watch.set_closed();
        }
        while !inner.ended {
            inner.input.clear();
            inner.ended |= ready!(inner.poll_read(&self.worker, cx)).is_err();
        }
        Poll::Ready(())
    }

    /// The bytes behind the request, and the stream, for a protocol that is no HTTP.
    pub(super) fn into_stream(self) -> (S, Bytes) {
        let inner = self.inner.into_inner();
        (inner.stream, inner.input.freeze())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Inner<S> {
    /// Reads what there is into the worker's scratch space, so that a connection without bytes has no buffer; 0 is the end.
    fn poll_read(&mut self, worker: &Worker, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let mut scratch = worker.scratch.borrow_mut();
        let mut read = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let bytes = read.filled();
        self.ended = bytes.is_empty();
        self.input.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_invite(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.invitation == Invitation::Due {
            self.interim.invite();
            self.invitation = Invitation::Told;
        }
        if self.invitation == Invitation::Told {
            ready!(self.poll_interim(cx))?;
            self.invitation = Invitation::Needless;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.interim.poll_write(|bytes| Pin::new(&mut self.stream).poll_write(cx, bytes)))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        if matches!(self.body, Body::Ended) {
            return Poll::Ready(None);
        }
        ready!(self.poll_invite(cx)).map_err(BodyError::Client)?;
        loop {
            let room = match &mut self.body {
                Body::Ended => return Poll::Ready(None),
                Body::Known(left) if self.input.is_empty() => *left,
                Body::Known(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.input.len());
                    *left -= here as u64;
                    if *left == 0 {
                        self.body = Body::Ended;
                    }
                    let data = self.input.split_to(here).freeze();
                    self.rest();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Body::Chunked(chunked) => match chunked.take(&mut self.input).map_err(BodyError::Malformed)? {
                    Piece::More => chunked.left(),
                    Piece::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Piece::End(trailers) => {
                        self.body = Body::Ended;
                        self.rest();
                        return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                    }
                },
            };
            self.input.reserve(usize::try_from(room).unwrap_or(BODY_READ).clamp(1024, BODY_READ));
            match ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input)) {
                Ok(0) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(BodyError::Short)));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(BodyError::Client(error)))),
            }
        }
    }

    /// Keeps no memory for nothing.
    fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }
}

/// What a request's body is read from, whatever the stream below is.
pub(super) trait Source {
    fn poll_frame(&self, request: u64, cx: &mut Context<'_>) -> Poll<FrameResult>;
    /// Bytes still to come, if they are known.
    fn left(&self, request: u64) -> Option<u64>;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Source for Link<S> {
    fn poll_frame(&self, request: u64, cx: &mut Context<'_>) -> Poll<FrameResult> {
        let inner = &mut *self.inner.borrow_mut();
        if inner.request != request {
            return Poll::Ready(Some(Err(BodyError::Short)));
        }
        let frame = ready!(inner.poll_frame(cx));
        if let Some(Err(BodyError::Malformed(_))) = frame {
            // No answer of this connection's can be trusted to be for the request it seems to be for.
            self.watch.refuse_from(1);
        }
        Poll::Ready(frame)
    }

    fn left(&self, request: u64) -> Option<u64> {
        let inner = self.inner.borrow();
        match inner.body {
            _ if inner.request != request => Some(0),
            Body::Known(left) => Some(left),
            Body::Chunked(_) => None,
            Body::Ended => Some(0),
        }
    }
}

/// The body of a request, read as it is asked for.
pub(crate) struct Http1Body {
    source: Rc<dyn Source>,
    request: u64,
}

impl Http1Body {
    /// Of the request that `link` is at.
    pub(super) fn of<S: AsyncRead + AsyncWrite + Unpin + 'static>(link: &Rc<Link<S>>) -> Option<Self> {
        let request = link.inner.borrow().request;
        (!link.is_read()).then(|| Self { source: Rc::clone(link) as Rc<dyn Source>, request })
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        self.source.poll_frame(self.request, cx)
    }

    /// Bytes still to come, if they are known.
    pub(crate) fn left(&self) -> Option<u64> {
        self.source.left(self.request)
    }
}
