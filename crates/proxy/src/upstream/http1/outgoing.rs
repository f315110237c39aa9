//! A request on its way to an application: its head as bytes, made once however often it is tried, and its body, forwarded as it comes.

use crate::parts::{Parts, poll_write_parts, write_field};
use crate::upstream::body::{BodyError, RequestBody};
use crate::upstream::interim::Interim;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;

/// Why a request could not be sent to its end.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The client's part of it.
    Body(BodyError),
    /// The application's.
    Io(io::Error),
}

/// A request, as far as it is not sent yet.
pub(crate) struct Outgoing {
    parts: Parts,
    body: RequestBody,
    chunked: bool,
    /// All of the body is in `parts`, or further.
    ended: bool,
    /// Something was taken from the body, so it cannot be sent from its beginning again.
    touched: bool,
    pub(super) head_only: bool,
    /// Whom to tell what comes before the answer.
    interim: Option<Rc<Interim>>,
}

impl Outgoing {
    /// Encodes the head of `request`. Its headers are clean: no hop-by-hop header is in them but what asks for a WebSocket.
    pub(crate) fn new(request: Request<RequestBody>) -> Self {
        let (mut head, body) = request.into_parts();
        let chunked = set_length(&head.method, &mut head.headers, &body);
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(head.method.as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(head.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes());
        text.extend_from_slice(b" HTTP/1.1\r\n");
        write_fields(&mut text, &head.headers);
        let ended = body.is_empty();
        Self { parts: Parts::new(text), body, chunked, ended, touched: false, head_only: head.method == Method::HEAD, interim: None }
    }

    /// The client hears what the application says before its answer.
    pub(crate) fn telling(self, interim: Option<Rc<Interim>>) -> Self {
        Self { interim, ..self }
    }

    /// The application says this before its answer.
    pub(super) fn tell(&self, head: &Response<()>) {
        if let Some(interim) = &self.interim {
            interim.push(head);
        }
    }

    /// The application wants the body.
    pub(super) fn go(&self) {
        self.body.go();
    }

    /// Begins again, on another connection; false if that cannot be.
    pub(crate) fn rewind(&mut self) -> bool {
        if !self.touched {
            self.parts.rewind();
        }
        !self.touched
    }

    /// Nothing of it has left.
    pub(super) fn is_untouched(&self) -> bool {
        self.parts.are_unwritten() && !self.touched
    }

    /// All of it has left.
    pub(super) fn is_sent(&self) -> bool {
        self.ended && self.parts.are_sent()
    }

    /// Writes what can be written; ready when all of it has left.
    pub(super) fn poll_send(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        loop {
            // With the head goes the beginning of the body, and after that nothing is taken before all of it has left.
            let more = self.parts.are_sent() || !self.touched;
            let waiting = !self.ended && more && self.poll_body(cx)?.is_pending();
            if !self.parts.are_sent() {
                ready!(self.parts.poll_write(|parts| poll_write_parts(Pin::new(stream), cx, parts))).map_err(Unsent::Io)?;
            } else if self.ended {
                return Poll::Ready(Ok(()));
            } else if waiting {
                return Poll::Pending;
            }
        }
    }

    /// Takes the next piece of the body, or its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose().map_err(Unsent::Body)?;
        self.touched = true;
        match frame.map(http_body::Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => self.parts.push(data, self.chunked),
            Some(Err(frame)) => self.end(frame.into_trailers().ok().as_ref()),
            None => self.end(None),
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) {
        self.ended = true;
        if self.chunked {
            let text = self.parts.text();
            text.extend_from_slice(b"0\r\n");
            match trailers {
                Some(trailers) => write_fields(text, trailers),
                None => text.extend_from_slice(b"\r\n"),
            }
        }
    }
}

/// Makes the headers say how long the body is; true if it is to be sent in chunks.
fn set_length(method: &Method, headers: &mut HeaderMap, body: &RequestBody) -> bool {
    if body.is_empty() {
        // Some applications wait for a body that these methods usually have.
        if matches!(*method, Method::POST | Method::PUT | Method::PATCH) && !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, 0.into());
        }
        return false;
    }
    match body.size_hint().exact() {
        Some(length) => {
            headers.insert(CONTENT_LENGTH, length.into());
            false
        }
        None => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, http::HeaderValue::from_static("chunked"));
            true
        }
    }
}

fn write_fields(text: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        write_field(text, name, value);
    }
    text.extend_from_slice(b"\r\n");
}
