//! A file on its way to a client, a piece at a time.
//!
//! A piece that the kernel has in memory is read at once (`RWF_NOWAIT`); one that has to come from a disk is waited for on another thread, so that
//! the worker carries other requests meanwhile.

use crate::edge::record::Record;
use crate::edge::watch::InFlight;
use crate::upstream::body::{BodyError, FrameResult, LastWords};
use bytes::Bytes;
use http_body::Frame;
use rustix::io::{ReadWriteFlags, pread, preadv2};
use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSliceMut};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinHandle, spawn_blocking};

/// Read at once, and held for a client that takes its time.
const PIECE: usize = 32 * 1024;

/// What is left of a file to be sent.
pub(crate) struct FileBody {
    file: Arc<OwnedFd>,
    at: u64,
    left: u64,
    waiting: Option<JoinHandle<std::io::Result<Vec<u8>>>>,
    /// How it failed.
    last_words: LastWords,
    /// What is known of the request.
    pub(crate) record: Option<Record>,
    /// The client's connection is busy as long as this lives.
    in_flight: InFlight,
}

impl FileBody {
    pub(super) fn new(file: OwnedFd, at: u64, left: u64, in_flight: InFlight) -> Self {
        in_flight.gave();
        Self { file: Arc::new(file), at, left, waiting: None, last_words: LastWords::default(), record: None, in_flight }
    }

    /// Bytes to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The next piece, or how it failed, one turn late.
    pub(crate) fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        if let Some(error) = self.last_words.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(self.poll_frame(cx));
        self.last_words.hold(cx, frame)
    }

    /// The next piece.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        self.in_flight.asked();
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match self.waiting.take() {
            Some(waiting) => ready!(self.poll_waiting(waiting, cx)),
            None => match self.read_now() {
                Some(piece) => Ok(piece),
                None => {
                    let waiting = self.begin_to_wait();
                    ready!(self.poll_waiting(waiting, cx))
                }
            },
        };
        self.in_flight.gave();
        Poll::Ready(Some(self.advance(piece)))
    }

    fn length(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE)
    }

    /// Nothing when it would have to be waited for, or when the file system cannot tell.
    fn read_now(&self) -> Option<Vec<u8>> {
        let mut piece = vec![0; self.length()];
        let read = preadv2(&self.file, &mut [IoSliceMut::new(&mut piece)], self.at, ReadWriteFlags::NOWAIT).ok().filter(|n| *n > 0)?;
        piece.truncate(read);
        Some(piece)
    }

    fn begin_to_wait(&self) -> JoinHandle<std::io::Result<Vec<u8>>> {
        let (file, at, length) = (Arc::clone(&self.file), self.at, self.length());
        spawn_blocking(move || {
            let mut piece = vec![0; length];
            let read = pread(&file, piece.as_mut_slice(), at)?;
            piece.truncate(read);
            Ok(piece)
        })
    }

    fn poll_waiting(&mut self, mut waiting: JoinHandle<std::io::Result<Vec<u8>>>, cx: &mut Context<'_>) -> Poll<std::io::Result<Vec<u8>>> {
        match Pin::new(&mut waiting).poll(cx) {
            Poll::Ready(read) => Poll::Ready(read.unwrap_or_else(|lost| Err(Error::other(lost)))),
            Poll::Pending => {
                self.waiting = Some(waiting);
                Poll::Pending
            }
        }
    }

    /// A file that ends too early was promised longer: the client must see that it is not whole.
    fn advance(&mut self, piece: std::io::Result<Vec<u8>>) -> Result<Frame<Bytes>, BodyError> {
        let piece = piece.and_then(|piece| if piece.is_empty() { Err(Error::from(ErrorKind::UnexpectedEof)) } else { Ok(piece) });
        let piece = piece.map_err(BodyError::File)?;
        let length = piece.len() as u64;
        self.at += length;
        self.left = self.left.saturating_sub(length);
        Ok(Frame::data(Bytes::from(piece)))
    }
}
