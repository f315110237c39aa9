//! A message on its way out in pieces, whoever it goes to: bytes of our own, a piece of a body as it came, and what stands behind that.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A piece that is cheaper to copy behind another than to name to the kernel.
const SMALL: usize = 4 * 1024;

/// A message, as far as it is made and has not left.
pub(crate) struct Parts {
    /// The head, later what stands before a chunk.
    text: Vec<u8>,
    /// Of `text`.
    written: usize,
    piece: Bytes,
    /// What stands behind a chunk.
    after: &'static [u8],
}

impl Parts {
    /// Begins with a head.
    pub(crate) fn new(head: Vec<u8>) -> Self {
        Self { text: head, written: 0, piece: Bytes::new(), after: b"" }
    }

    /// All of it has left.
    pub(crate) fn are_sent(&self) -> bool {
        self.written == self.text.len() && self.piece.is_empty() && self.after.is_empty()
    }

    /// Nothing of what is there has left.
    pub(crate) fn are_unwritten(&self) -> bool {
        self.written == 0
    }

    /// Begins again with what is there.
    pub(crate) fn rewind(&mut self) {
        self.written = 0;
    }

    /// Where more is written behind what has not left yet.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
        &mut self.text
    }

    /// A piece of a body, as a chunk (RFC 9112 §7.1) or as it is. The piece before it has left.
    pub(crate) fn push(&mut self, data: Bytes, chunk: bool) {
        let text = self.text();
        if chunk {
            // Writing into memory does not fail.
            let _ = write!(text, "{:x}\r\n", data.len());
        }
        let after: &[u8] = if chunk { b"\r\n" } else { b"" };
        if data.len() <= SMALL {
            text.extend_from_slice(&data);
            text.extend_from_slice(after);
        } else {
            self.piece = data;
            self.after = after;
        }
    }

    /// Has some of it written by `write`.
    pub(crate) fn poll_write(&mut self, write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>) -> Poll<io::Result<()>> {
        let parts = [IoSlice::new(&self.text[self.written..]), IoSlice::new(&self.piece), IoSlice::new(self.after)];
        let mut written = ready!(write(&parts))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let mut took = |length: usize| {
            let part = written.min(length);
            written -= part;
            part
        };
        self.written += took(self.text.len() - self.written);
        let part = took(self.piece.len());
        let _ = self.piece.split_to(part);
        let part = took(self.after.len());
        self.after = &self.after[part..];
        Poll::Ready(Ok(()))
    }
}

/// Writes a field of a head or behind a body.
pub(crate) fn write_field(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\r\n");
}

/// Writes some of `parts`. One alone goes by the shorter way through the kernel: `send` in place of `writev`.
pub(crate) fn poll_write_parts<S: AsyncWrite>(stream: Pin<&mut S>, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    let mut some = parts.iter().filter(|part| !part.is_empty());
    match (some.next(), some.next()) {
        (Some(only), None) => stream.poll_write(cx, only),
        _ => stream.poll_write_vectored(cx, parts),
    }
}
