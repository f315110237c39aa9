//! Where large bodies are read to on their way through: the same few pieces of memory again and again, so that what was just read is still in the
//! processor's cache when it is sent or encrypted. An allocator would hand out the piece that was used longest ago.

use bytes::Bytes;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// Read at once, at most.
const PIECE: usize = 256 * 1024;
/// What is copied out of its piece, and not read into one if it is known to be no more.
pub(super) const LITTLE: usize = PIECE / 8;
/// Pieces kept for the next who reads.
const KEPT: usize = 4;

/// One worker's pieces that nobody uses now, the warmest last. Only its own thread asks for the lock: `Bytes` wants what it owns to be `Send`.
#[derive(Debug, Default)]
pub(crate) struct Space(Mutex<Vec<Box<[u8]>>>);

impl Space {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads at most `most` bytes; none at the end.
    pub(super) fn poll_read(self: &Arc<Self>, stream: &mut TcpStream, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
        let piece = self.lock().pop().unwrap_or_else(|| vec![0; PIECE].into());
        let mut lent = Lent { piece, filled: 0, space: Arc::clone(self) };
        let most = usize::try_from(most).unwrap_or(PIECE).min(PIECE);
        let mut read = ReadBuf::new(&mut lent.piece[..most]);
        ready!(Pin::new(stream).poll_read(cx, &mut read))?;
        lent.filled = read.filled().len();
        // A little must not hold a lot for a client that does not take it.
        let little = lent.filled < LITTLE;
        Poll::Ready(Ok(if little { Bytes::copy_from_slice(lent.as_ref()) } else { Bytes::from_owner(lent) }))
    }

    /// Gives back what has not been needed lately.
    pub(crate) fn rest(&self) {
        *self.lock() = Vec::new();
    }
}

/// A piece in use; it goes back when the last who holds some of it is done.
struct Lent {
    piece: Box<[u8]>,
    filled: usize,
    space: Arc<Space>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.piece[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.space.lock();
        if kept.len() < KEPT {
            kept.push(mem::take(&mut self.piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_piece_used_last_is_used_next_and_none_is_kept_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut writer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut reader = listener.accept().await.unwrap().0;
        let space = Arc::new(Space::default());
        let text: Vec<u8> = (0..3 * LITTLE).map(|i| i as u8).collect();
        writer.write_all(&text).await.unwrap();
        while reader.peek(&mut vec![0; text.len()]).await.unwrap() < text.len() {}
        let lot = LITTLE as u64;
        let first = poll_fn(|cx| space.poll_read(&mut reader, cx, lot)).await.unwrap();
        let second = poll_fn(|cx| space.poll_read(&mut reader, cx, lot)).await.unwrap();
        assert_eq!((&first[..], &second[..]), (&text[..LITTLE], &text[LITTLE..2 * LITTLE]));
        let (rest, warm) = (second.slice(1..), second.as_ptr());
        drop((first, second));
        assert_eq!(space.lock().len(), 1, "some of the second is still held");
        drop(rest);
        let little = poll_fn(|cx| space.poll_read(&mut reader, cx, 9)).await.unwrap();
        assert_eq!((&little[..], space.lock().len()), (&text[2 * LITTLE..][..9], 2), "a little holds no piece");
        let third = poll_fn(|cx| space.poll_read(&mut reader, cx, lot)).await.unwrap();
        assert_eq!(&third[..], &text[2 * LITTLE + 9..]);
        writer.write_all(&text).await.unwrap();
        while reader.peek(&mut vec![0; text.len()]).await.unwrap() < text.len() {}
        let fourth = poll_fn(|cx| space.poll_read(&mut reader, cx, lot)).await.unwrap();
        assert_eq!(fourth.as_ptr(), warm);
        drop(fourth);
        space.rest();
        assert!(space.lock().is_empty());
    }
}
