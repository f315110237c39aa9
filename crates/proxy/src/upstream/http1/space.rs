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
/// Pieces in use at the same time. Past it bodies are read little by little: a client may open hundreds of streams, let each answer begin
/// and take none of them.
const LENT: usize = 32;

/// One worker's pieces. Only its own thread asks for the lock: `Bytes` wants what it owns to be `Send`.
#[derive(Debug, Default)]
pub(crate) struct Space(Mutex<Pieces>);

#[derive(Debug, Default)]
struct Pieces {
    /// Nobody uses them now; the warmest last.
    kept: Vec<Box<[u8]>>,
    /// How many are in use.
    lent: usize,
}

impl Space {
    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads at most `most` bytes; none at the end.
    pub(super) fn poll_read(self: &Arc<Self>, stream: &mut TcpStream, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
        let Some(mut lent) = self.lend() else { return poll_little(stream, cx, most) };
        let most = usize::try_from(most).unwrap_or(PIECE).min(PIECE);
        let mut read = ReadBuf::new(&mut lent.piece[..most]);
        ready!(Pin::new(stream).poll_read(cx, &mut read))?;
        lent.filled = read.filled().len();
        // A little must not hold a lot for a client that does not take it.
        let little = lent.filled < LITTLE;
        Poll::Ready(Ok(if little { Bytes::copy_from_slice(lent.as_ref()) } else { Bytes::from_owner(lent) }))
    }

    /// A piece, unless as many as may be are in use.
    fn lend(self: &Arc<Self>) -> Option<Lent> {
        let mut pieces = self.lock();
        if pieces.lent == LENT {
            return None;
        }
        pieces.lent += 1;
        let piece = pieces.kept.pop().unwrap_or_else(|| vec![0; PIECE].into());
        drop(pieces);
        Some(Lent { piece, filled: 0, space: Arc::clone(self) })
    }

    /// Gives back what has not been needed lately.
    pub(crate) fn rest(&self) {
        self.lock().kept = Vec::new();
    }
}

/// Reads without a piece, at most `most` bytes and a little; none at the end.
fn poll_little(stream: &mut TcpStream, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
    let mut space = [0; LITTLE];
    let most = usize::try_from(most).unwrap_or(LITTLE).min(LITTLE);
    let mut read = ReadBuf::new(&mut space[..most]);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(read.filled())))
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
        let mut pieces = self.space.lock();
        pieces.lent -= 1;
        if pieces.kept.len() < KEPT {
            pieces.kept.push(mem::take(&mut self.piece));
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
        assert_eq!(space.lock().kept.len(), 1, "some of the second is still held");
        drop(rest);
        let little = poll_fn(|cx| space.poll_read(&mut reader, cx, 9)).await.unwrap();
        assert_eq!((&little[..], space.lock().kept.len()), (&text[2 * LITTLE..][..9], 2), "a little holds no piece");
        let third = poll_fn(|cx| space.poll_read(&mut reader, cx, lot)).await.unwrap();
        assert_eq!(&third[..], &text[2 * LITTLE + 9..]);
        writer.write_all(&text).await.unwrap();
        while reader.peek(&mut vec![0; text.len()]).await.unwrap() < text.len() {}
        let fourth = poll_fn(|cx| space.poll_read(&mut reader, cx, lot)).await.unwrap();
        assert_eq!(fourth.as_ptr(), warm);
        drop(fourth);
        space.rest();
        assert!(space.lock().kept.is_empty());
    }

    #[tokio::test]
    async fn answers_that_nobody_takes_hold_few_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut writer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut reader = listener.accept().await.unwrap().0;
        let space = Arc::new(Space::default());
        let held: Vec<Lent> = (0..LENT).map(|_| space.lend().unwrap()).collect();
        let text: Vec<u8> = (0..LITTLE + 9).map(|i| i as u8).collect();
        writer.write_all(&text).await.unwrap();
        while reader.peek(&mut vec![0; text.len()]).await.unwrap() < text.len() {}
        let read = poll_fn(|cx| space.poll_read(&mut reader, cx, text.len() as u64)).await.unwrap();
        assert_eq!(&read[..], &text[..LITTLE], "as much as may be copied");
        let rest = poll_fn(|cx| space.poll_read(&mut reader, cx, 9)).await.unwrap();
        assert_eq!(&rest[..], &text[LITTLE..]);
        drop(held);
        let pieces = space.lock();
        assert_eq!((pieces.lent, pieces.kept.len()), (0, KEPT));
    }
}
