//! Writes of one turn, sent together.
//!
//! h2 hands over each piece of an answer with a flush of its own, so a connection with ten answers ready would make ten TLS records and ten system
//! calls of them. Here a small write only joins those before it; they leave when the connection's turn ends, or when they are many. Nothing is kept
//! beyond the turn, so no answer waits for another.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much as fits into one TLS record; larger writes go as they are.
const RECORD: usize = 16 * 1024;

/// A stream whose small writes wait for the end of the turn.
pub(crate) struct Batched<S>(Rc<RefCell<Batch<S>>>);

/// The end of the turn.
pub(crate) struct Turn<S>(Rc<RefCell<Batch<S>>>);

struct Batch<S> {
    stream: S,
    /// Gone when it is empty: an idle connection keeps no memory for it.
    waiting: Vec<u8>,
    written: usize,
}

/// Both ends of `stream`'s batches.
pub(crate) fn batched<S>(stream: S) -> (Batched<S>, Turn<S>) {
    let batch = Rc::new(RefCell::new(Batch { stream, waiting: Vec::new(), written: 0 }));
    (Batched(Rc::clone(&batch)), Turn(batch))
}

impl<S: AsyncWrite + Unpin> Turn<S> {
    /// Sends what waits. Pending is no reason to wait: the task is woken when more can be sent, and takes another turn.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut batch = self.0.borrow_mut();
        ready!(batch.poll_send(cx))?;
        Pin::new(&mut batch.stream).poll_flush(cx)
    }
}

impl<S: AsyncWrite + Unpin> Batch<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.waiting = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if self.waiting.len() + length > RECORD {
            ready!(self.poll_send(cx))?;
            if length > RECORD {
                return Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
            }
        }
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(RECORD);
        }
        for part in parts {
            self.waiting.extend_from_slice(part);
        }
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Batched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Batched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The turn's end does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut batch = self.0.borrow_mut();
        ready!(batch.poll_send(cx))?;
        Pin::new(&mut batch.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn small_writes_leave_together_at_the_end_of_the_turn() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (mut io, turn) = batched(near);
        let mut cx = Context::from_waker(Waker::noop());
        for text in [&b"one "[..], b"two "] {
            assert!(matches!(Pin::new(&mut io).poll_write(&mut cx, text), Poll::Ready(Ok(4))));
            assert!(Pin::new(&mut io).poll_flush(&mut cx).is_ready());
        }
        let mut got = [0; 64];
        let nothing = tokio::time::timeout(std::time::Duration::from_millis(20), far.read(&mut got)).await;
        assert!(nothing.is_err());
        assert!(matches!(turn.poll_end(&mut cx), Poll::Ready(Ok(()))));
        assert_eq!(far.read(&mut got).await.unwrap(), 8);
        assert_eq!(&got[..8], b"one two ");
        // A large one pushes what waits out before it.
        assert!(matches!(Pin::new(&mut io).poll_write(&mut cx, b"small "), Poll::Ready(Ok(6))));
        let large = vec![b'x'; RECORD + 1];
        assert!(matches!(Pin::new(&mut io).poll_write(&mut cx, &large), Poll::Ready(Ok(written)) if written == large.len()));
        assert!(matches!(Pin::new(&mut io).poll_write(&mut cx, b" end"), Poll::Ready(Ok(4))));
        assert!(Pin::new(&mut io).poll_shutdown(&mut cx).is_ready());
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [b"small ".to_vec(), large, b" end".to_vec()].concat());
    }

    #[test]
    fn what_the_other_side_does_not_take_is_kept_and_bounded() {
        let (near, _far) = tokio::io::duplex(10);
        let (mut io, turn) = batched(near);
        let mut cx = Context::from_waker(Waker::noop());
        let piece = [b'x'; 1000];
        let mut taken = 0;
        while let Poll::Ready(written) = Pin::new(&mut io).poll_write(&mut cx, &piece) {
            taken += written.unwrap();
            assert!(turn.poll_end(&mut cx).is_pending());
            assert!(taken <= RECORD + 10);
        }
        assert!(taken > RECORD - 1000);
    }
}
