//! Writes a message that lies in pieces.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// A piece that is cheaper to copy behind another than to name to the kernel.
pub(crate) const SMALL: usize = 4 * 1024;

/// Writes some of `parts`. One alone goes by the shorter way through the kernel: `send` in place of `writev`.
pub(crate) fn poll_write_parts<S: AsyncWrite>(stream: Pin<&mut S>, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    let mut some = parts.iter().filter(|part| !part.is_empty());
    match (some.next(), some.next()) {
        (Some(only), None) => stream.poll_write(cx, only),
        _ => stream.poll_write_vectored(cx, parts),
    }
}
