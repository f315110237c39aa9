//! An answer on its way to a client of HTTP/1: its head as bytes, and its body, sent as it comes.

use super::link::Link;
use crate::edge::header::{announced, clean_trailers};
use crate::edge::http1::head::decimal;
use crate::parts::{Parts, write_field};
use crate::upstream::body::ResponseBody;
use crate::worker::Worker;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// What of the request decides how its answer is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// It was HEAD.
    pub(super) head_only: bool,
    /// It was HTTP/1.1, whose clients read chunks.
    pub(super) chunks: bool,
    /// Its client takes fields behind a body.
    pub(super) trailers: bool,
    /// Another may follow.
    pub(super) keep: bool,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Not at all.
    Nothing,
    /// So many bytes are left.
    Known(u64),
    Chunked,
    UntilClose,
}

/// An answer, as far as it is not sent yet.
pub(super) struct Reply {
    parts: Parts,
    framing: Framing,
    /// Fields that the head promised to a client that takes them.
    promised: Vec<HeaderName>,
    body: ResponseBody,
    /// Some of the body was taken.
    begun: bool,
    /// All of it is in `parts`, or further.
    ended: bool,
    /// Another request may follow.
    keep: bool,
}

/// An answer could not be sent to its end.
#[derive(Debug)]
pub(super) struct Broken;

impl Reply {
    pub(super) fn new(worker: &Worker, asked: Asked, response: Response<ResponseBody>) -> Self {
        let (head, body) = response.into_parts();
        let status = head.status;
        let framing = framing(&head.headers, status, &body, asked);
        let close = head.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let keep = asked.keep && !close && framing != Framing::UntilClose;
        let mut text = Vec::with_capacity(2048);
        text.extend_from_slice(b"HTTP/1.1 ");
        text.extend_from_slice(status.as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(status.canonical_reason().unwrap_or("-").as_bytes());
        text.extend_from_slice(b"\r\n");
        let bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::SWITCHING_PROTOCOLS);
        for (name, value) in head.headers.iter().filter(|(name, _)| !(bare && *name == CONTENT_LENGTH)) {
            write_field(&mut text, name, value);
        }
        // Writing into memory does not fail.
        match framing {
            Framing::Known(length) if !head.headers.contains_key(CONTENT_LENGTH) => drop(write!(text, "content-length: {length}\r\n")),
            Framing::Chunked => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            _ => {}
        }
        if !keep && !close && status != StatusCode::SWITCHING_PROTOCOLS {
            text.extend_from_slice(b"connection: close\r\n");
        }
        if !head.headers.contains_key(DATE) {
            text.extend_from_slice(b"date: ");
            text.extend_from_slice(&worker.date.get());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        let promised = if asked.trailers && framing == Framing::Chunked { promised(&head.headers) } else { Vec::new() };
        let ended = matches!(framing, Framing::Nothing | Framing::Known(0));
        Self { parts: Parts::new(text), framing, promised, body, begun: false, ended, keep }
    }

    /// Another request may follow.
    pub(super) fn keeps(&self) -> bool {
        self.keep
    }

    /// Sends what can be sent; ready when all of it has left.
    pub(super) fn poll_send<S>(&mut self, link: &Link<S>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        ready!(link.poll_answers(cx)).map_err(|_| Broken)?;
        loop {
            // With the head goes the beginning of the body, and after that nothing is taken before all of it has left.
            let more = self.parts.are_sent() || !self.begun;
            let waiting = !self.ended && more && self.poll_body(cx)?.is_pending();
            if !self.parts.are_sent() {
                ready!(self.parts.poll_write(|parts| link.poll_write(cx, parts))).map_err(|_| Broken)?;
            } else if self.ended || waiting {
                ready!(link.poll_flush(cx)).map_err(|_| Broken)?;
                return if self.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
    }

    /// Takes the next piece of the body, or its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose().map_err(|_| Broken)?;
        self.begun = true;
        match frame.map(http_body::Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => {
                if let Framing::Known(left) = &mut self.framing {
                    // Longer than it says: the rest would be read as the next answer.
                    *left = left.checked_sub(data.len() as u64).ok_or(Broken)?;
                    self.ended = *left == 0 && self.body.is_end_stream();
                }
                self.parts.push(data, self.framing == Framing::Chunked);
            }
            Some(Err(frame)) => return Poll::Ready(self.end(frame.into_trailers().ok())),
            None => return Poll::Ready(self.end(None)),
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Broken> {
        self.ended = true;
        match self.framing {
            Framing::Known(left) if left > 0 => return Err(Broken),
            Framing::Chunked => {
                let text = self.parts.text();
                text.extend_from_slice(b"0\r\n");
                if let Some(mut trailers) = trailers {
                    clean_trailers(&mut trailers);
                    for (name, value) in trailers.iter().filter(|(name, _)| self.promised.contains(name)) {
                        write_field(text, name, value);
                    }
                }
                text.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        Ok(())
    }
}

fn framing(headers: &HeaderMap, status: StatusCode, body: &ResponseBody, asked: Asked) -> Framing {
    if asked.head_only || status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Framing::Nothing;
    }
    let said = headers.get(CONTENT_LENGTH).and_then(|value| decimal(value.as_bytes()));
    match said.or_else(|| body.size_hint().exact()) {
        Some(length) => Framing::Known(length),
        None if asked.chunks => Framing::Chunked,
        None => Framing::UntilClose,
    }
}

/// What was announced; no other field is sent behind a body, as a client that was not told may take it for anything.
fn promised(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = announced(headers);
    names.retain(|name| *name != SET_COOKIE);
    names
}
