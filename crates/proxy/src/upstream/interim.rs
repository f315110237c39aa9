//! Heads with a status below 200 on their way to a client (RFC 9110 §15.2): that it may send its body, or, as 103 does, what it will need.
//!
//! They are written between the reads of the one task that carries the request, and before its answer. HTTP/1.0 knows none, and hyper's HTTP/2 server
//! cannot send any.

use crate::parts::write_field;
use bytes::{Buf as _, BytesMut};
use http::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use std::cell::RefCell;
use std::io;
use std::task::{Poll, ready};

/// Bytes that wait for a client that does not take them; what comes then is left out, as any hop may do with a hint.
const MOST: usize = 32 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What concerns one connection, or says how long something is that has no body.
const LEFT_OUT: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What is to be said before the answer.
#[derive(Debug, Default)]
pub(crate) struct Interim(RefCell<BytesMut>);

impl Interim {
    /// The client may send its body.
    pub(crate) fn invite(&self) {
        self.0.borrow_mut().extend_from_slice(CONTINUE);
    }

    /// The application says this.
    pub(crate) fn push(&self, head: &Response<()>) {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(b"HTTP/1.1 ");
        text.extend_from_slice(head.status().as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(head.status().canonical_reason().unwrap_or("-").as_bytes());
        text.extend_from_slice(b"\r\n");
        for (name, value) in head.headers().iter().filter(|(name, _)| !LEFT_OUT.contains(name)) {
            write_field(&mut text, name, value);
        }
        text.extend_from_slice(b"\r\n");
        let mut waiting = self.0.borrow_mut();
        if waiting.len() + text.len() <= MOST {
            waiting.extend_from_slice(&text);
        }
    }

    /// Nothing is to be said.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Ready when all of it is written.
    pub(crate) fn poll_write(&self, mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>) -> Poll<io::Result<()>> {
        let mut waiting = self.0.borrow_mut();
        while !waiting.is_empty() {
            match ready!(write(&waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => waiting.advance(written),
            }
        }
        *waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(interim: &Interim, at_once: usize) -> String {
        let mut out = Vec::new();
        let poll = interim.poll_write(|bytes| {
            let some = &bytes[..bytes.len().min(at_once)];
            out.extend_from_slice(some);
            Poll::Ready(Ok(some.len()))
        });
        assert!(matches!(poll, Poll::Ready(Ok(()))) && interim.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_said_keeps_its_order_and_loses_what_one_hop_says_to_the_next() {
        let interim = Interim::default();
        let hint = Response::builder().status(103).header("link", "</a.css>; rel=preload").header("connection", "close").body(()).unwrap();
        interim.push(&hint);
        interim.invite();
        assert_eq!(written(&interim, 3), "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    }

    #[test]
    fn a_client_that_takes_nothing_is_told_no_more_and_the_rest_stays_whole() {
        let interim = Interim::default();
        let hint = Response::builder().status(103).header("link", "x".repeat(10_000)).body(()).unwrap();
        (0..10).for_each(|_| interim.push(&hint));
        let mut taken = 0;
        let poll = interim.poll_write(|bytes| {
            taken += 1;
            if taken == 1 { Poll::Ready(Ok(bytes.len().min(7))) } else { Poll::Pending }
        });
        assert!(poll.is_pending());
        assert_eq!(written(&interim, 1 << 20).matches("\r\n\r\n").count(), 3);
    }
}
