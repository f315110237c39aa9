//! Carries a WebSocket, or another protocol, after the application agreed to it: bytes both ways, following the frames of a WebSocket so that it can be closed
//! politely.
//!
//! Asked to end, or idle for too long, it finishes the frame it is in, puts a Close frame with code 1001 into both directions, waits a moment
//! for the client to answer, and closes. A WebSocket never turns into anything else, so its bytes are not HTTP again.

use crate::stream::StreamGuard;
use crate::stream::frame::{CLOSE_TO_CLIENT, CLOSE_TO_SERVER, Follower};
use bytes::BytesMut;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::Instant;

/// For the frame under way to end, and for the client to answer a Close.
const CLOSING_LIMIT: Duration = Duration::from_secs(2);
/// A direction reads so much at first, and more while reads fill it; an idle tunnel holds no more than this.
const SMALL_READ: usize = 1024;
const LARGE_READ: usize = 32 * 1024;

/// What is known of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// They are frames.
    WebSocket,
    /// Only where they end. Such a tunnel is closed wherever it is.
    Unknown,
}

/// Both ends of a tunnel.
pub(crate) struct Ends<C, U> {
    pub(crate) client: C,
    pub(crate) upstream: U,
}

/// Carries until one side ends, `idle` passes without a byte, or `guard` is asked to end.
pub(crate) async fn carry<C, U>(ends: Ends<C, U>, guard: StreamGuard, idle: Duration, framing: Framing)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let Ends { client, upstream } = ends;
    let (client_read, client_write) = split(client);
    let (upstream_read, upstream_write) = split(upstream);
    let shared = Shared { last: Cell::new(Instant::now()), ending: Cell::new(false) };
    let follower = |close| (framing == Framing::WebSocket).then(|| Frames { follower: Follower::default(), close });
    let mut up = Direction::new(client_read, upstream_write, follower(&CLOSE_TO_SERVER));
    let mut down = Direction::new(upstream_read, client_write, follower(&CLOSE_TO_CLIENT));
    let done = async {
        // An error on either side ends both: what is left cannot be delivered.
        tokio::try_join!(up.run(&shared), down.run(&shared)).map(drop)
    };
    tokio::pin!(done);
    let finished = tokio::select! {
        _ = &mut done => true,
        () = end_is_due(&shared, &guard, idle) => false,
    };
    if !finished {
        shared.ending.set(true);
        // The directions look at `ending` between frames; they are polled right away because `done` is polled by the timeout.
        let _ = tokio::time::timeout(CLOSING_LIMIT, done).await;
    }
}

/// What both directions know.
struct Shared {
    last: Cell<Instant>,
    ending: Cell<bool>,
}

async fn end_is_due(shared: &Shared, guard: &StreamGuard, idle: Duration) {
    let silence = async {
        loop {
            let deadline = shared.last.get() + idle;
            if deadline <= Instant::now() {
                break;
            }
            tokio::time::sleep_until(deadline).await;
        }
    };
    tokio::select! {
        () = poll_fn(|cx| guard.poll_asked(cx)) => {}
        () = silence => {}
    }
}

/// Where the frames of a direction end.
struct Frames {
    follower: Follower,
    /// The last one.
    close: &'static [u8],
}

/// One direction.
struct Direction<R, W> {
    from: ReadHalf<R>,
    to: WriteHalf<W>,
    /// Absent if nobody knows what is carried.
    frames: Option<Frames>,
    buffer: BytesMut,
    want: usize,
}

impl<R: AsyncRead, W: AsyncWrite> Direction<R, W> {
    fn new(from: ReadHalf<R>, to: WriteHalf<W>, frames: Option<Frames>) -> Self {
        Self { from, to, frames, buffer: BytesMut::new(), want: SMALL_READ }
    }

    async fn run(&mut self, shared: &Shared) -> io::Result<()> {
        loop {
            let frames = &self.frames;
            let may_end = || shared.ending.get() && frames.as_ref().is_none_or(|frames| frames.follower.at_boundary());
            if may_end() {
                return self.end().await;
            }
            let read = read_unless(&mut self.from, &mut self.buffer, self.want, may_end).await?;
            match read {
                None => continue,
                Some(0) => {
                    self.to.shutdown().await?;
                    return Ok(());
                }
                Some(read) => self.forward(read, shared).await?,
            }
        }
    }

    async fn forward(&mut self, read: usize, shared: &Shared) -> io::Result<()> {
        shared.last.set(Instant::now());
        if let Some(Frames { follower, .. }) = &mut self.frames {
            if shared.ending.get() {
                // Only the rest of the frame under way.
                let rest = follower.follow_frame(&self.buffer);
                self.buffer.truncate(rest);
            } else {
                follower.follow(&self.buffer);
            }
        }
        self.to.write_all(&self.buffer).await?;
        self.to.flush().await?;
        self.buffer.clear();
        self.want = if read == self.want { (self.want * 2).min(LARGE_READ) } else { self.want };
        if read * 4 < self.want && self.want > SMALL_READ {
            self.want = SMALL_READ;
            self.buffer = BytesMut::new();
        }
        Ok(())
    }

    /// Says goodbye, unless the other side has, and reads what still comes until it ends too.
    async fn end(&mut self) -> io::Result<()> {
        match &self.frames {
            Some(frames) if frames.follower.is_closed() => {}
            Some(frames) => {
                self.to.write_all(frames.close).await?;
                self.to.flush().await?;
            }
            None => self.to.shutdown().await?,
        }
        loop {
            self.buffer.clear();
            if read_some(&mut self.from, &mut self.buffer, SMALL_READ).await? == 0 {
                return self.to.shutdown().await;
            }
        }
    }
}

async fn read_some<R: AsyncRead + Unpin>(from: &mut R, buffer: &mut BytesMut, want: usize) -> io::Result<usize> {
    buffer.reserve(want);
    from.take(want as u64).read_buf(buffer).await
}

/// Reads, or answers nothing as soon as `stop` is true. `stop` is asked whenever the task is polled.
async fn read_unless<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    want: usize,
    stop: impl Fn() -> bool,
) -> io::Result<Option<usize>> {
    let stopped = poll_fn(|_| if stop() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending });
    tokio::select! {
        biased;
        () = stopped => Ok(None),
        read = read_some(from, buffer, want) => read.map(Some),
    }
}
