//! What a connection is waiting for and since when, kept so cheaply that no timer is set per request.
//!
//! The connection's own code writes plain numbers here; the worker's sweep reads them twice a second and decides. Atomics only because
//! hyper wants the I/O object to be `Send`; all of this stays on one thread, so they are never contended. A limit may be exceeded by
//! one sweep period, never undercut.

use crate::edge::unread::Place;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// How often connections are looked at.
pub(crate) const SWEEP: Duration = Duration::from_millis(500);

/// From a head's first byte, or from the connection's start, to the head's end.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Between two requests.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// With bytes to send of which the client does not take `LEAST_TAKEN`.
const BLOCKED_LIMIT: Duration = Duration::from_secs(60);
const LEAST_TAKEN: u32 = 32 * 1024;
/// Between being asked to finish and being cut, when no request is in flight.
const FINISH_LIMIT: Duration = Duration::from_secs(10);
/// Between our end of the connection and the client's.
const LINGER_LIMIT: Duration = Duration::from_secs(2);

/// A coarse clock: tenths of a second since the worker started, as of the last sweep.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    ticks: AtomicU32,
}

impl Clock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), ticks: AtomicU32::new(1) })
    }

    /// Reads the real clock; the sweep does.
    pub(crate) fn advance(&self) {
        let tenths = self.start.elapsed().as_millis() / 100 + 1;
        self.ticks.store(u32::try_from(tenths).unwrap_or(u32::MAX), Relaxed);
    }

    pub(crate) fn now(&self) -> u32 {
        self.ticks.load(Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn set(&self, ticks: u32) {
        self.ticks.store(ticks, Relaxed);
    }
}

/// One connection's state.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Arc<Clock>,
    /// Reading a head, as opposed to waiting for one.
    head: AtomicBool,
    /// Tick at which `head` or `in_flight` last changed.
    since: AtomicU32,
    in_flight: AtomicU32,
    /// Tick since which a write has been waiting; 0 if none is.
    blocked: AtomicU32,
    /// Bytes taken since.
    taken: AtomicU32,
    /// Tick at which our end was closed; 0 if it is open.
    closed: AtomicU32,
    /// First request of this connection that must be refused; 0 if none.
    ambiguous: AtomicU64,
    /// Told when a write that had to wait went on.
    room: Arc<Notify>,
}

/// What the sweep finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Keep,
    /// It has been idle long enough: finish politely.
    Finish,
    /// It exceeds a limit: cut it.
    Cut,
}

impl Watch {
    pub(crate) fn new(clock: &Arc<Clock>) -> Arc<Self> {
        Arc::new(Self {
            head: AtomicBool::new(true),
            since: AtomicU32::new(clock.now()),
            clock: Arc::clone(clock),
            in_flight: AtomicU32::new(0),
            blocked: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            ambiguous: AtomicU64::new(0),
            room: Arc::default(),
        })
    }

    /// The clock it reads.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A head's bytes came.
    pub(crate) fn head_begins(&self) {
        if !self.head.swap(true, Relaxed) {
            self.since.store(self.clock.now(), Relaxed);
        }
    }

    /// No head is being read: HTTP/2, whose connection is one long exchange of frames.
    pub(crate) fn no_head(&self) {
        self.head.store(false, Relaxed);
        self.since.store(self.clock.now(), Relaxed);
    }

    /// Tick since which it has been reading a head, carrying requests, or idle.
    pub(crate) fn since(&self) -> u32 {
        self.since.load(Relaxed)
    }

    /// Whether a head has been arriving for longer than `limit`.
    pub(crate) fn reads_head_for(&self, limit: Duration) -> bool {
        self.head.load(Relaxed) && self.in_flight.load(Relaxed) == 0 && self.age(self.since.load(Relaxed)) > limit
    }

    fn age(&self, since: u32) -> Duration {
        Duration::from_millis(100) * self.clock.now().saturating_sub(since)
    }

    /// Our end is closed; what the client still sends is thrown away.
    pub(crate) fn set_closed(&self) {
        self.closed.store(self.clock.now(), Relaxed);
    }

    /// No request is being read, carried or answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0 && !self.head.load(Relaxed) && self.blocked.load(Relaxed) == 0
    }

    /// A request is in flight until the answer is dropped. In HTTP/2 it has a place among those of its connection.
    pub(crate) fn begin(self: &Arc<Self>, place: Option<Place>) -> InFlight {
        self.in_flight.store(self.in_flight.load(Relaxed) + 1, Relaxed);
        InFlight { watch: Arc::clone(self), place }
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn refuse_from(&self, request: u64) {
        self.ambiguous.store(request, Relaxed);
    }

    pub(crate) fn is_refused(&self, request: u64) -> bool {
        let first = self.ambiguous.load(Relaxed);
        first != 0 && request >= first
    }

    /// A write had to wait, or the client took something. A little now and then does not count: it would keep a connection for ever.
    pub(crate) fn wrote(&self, poll: &Poll<io::Result<usize>>) {
        match poll {
            Poll::Pending => self.waits(),
            Poll::Ready(Ok(length)) if self.blocked.load(Relaxed) != 0 => {
                let taken = self.taken.load(Relaxed).saturating_add(u32::try_from(*length).unwrap_or(u32::MAX));
                self.taken.store(taken, Relaxed);
                if taken >= LEAST_TAKEN {
                    self.goes_on();
                }
            }
            Poll::Ready(_) => {}
        }
    }

    /// Everything was written, or has to wait.
    pub(crate) fn flushed(&self, poll: &Poll<io::Result<()>>) {
        match poll {
            Poll::Pending => self.waits(),
            Poll::Ready(_) if self.blocked.load(Relaxed) != 0 => self.goes_on(),
            Poll::Ready(_) => {}
        }
    }

    fn goes_on(&self) {
        self.blocked.store(0, Relaxed);
        self.room.notify_waiters();
    }

    fn waits(&self) {
        if self.blocked.load(Relaxed) == 0 {
            self.taken.store(0, Relaxed);
            self.blocked.store(self.clock.now(), Relaxed);
        }
    }

    /// Compares what the connection waits for with the limits. `idle` is that between two requests, `finishing` if it has been asked to finish.
    pub(crate) fn judge(&self, idle: Duration, finishing: bool) -> Verdict {
        let exceeds = |since: u32, limit| since != 0 && self.age(since) > limit;
        if exceeds(self.blocked.load(Relaxed), BLOCKED_LIMIT) || exceeds(self.closed.load(Relaxed), LINGER_LIMIT) {
            return Verdict::Cut;
        }
        if self.in_flight.load(Relaxed) > 0 {
            return Verdict::Keep;
        }
        let waiting = self.age(self.since.load(Relaxed));
        let head = self.head.load(Relaxed);
        match (finishing, head) {
            (true, _) if waiting > IDLE_LIMIT + FINISH_LIMIT || head && waiting > HEAD_LIMIT => Verdict::Cut,
            (false, true) if waiting > HEAD_LIMIT => Verdict::Cut,
            (false, false) if waiting > idle => Verdict::Finish,
            _ => Verdict::Keep,
        }
    }
}

/// Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    watch: Arc<Watch>,
    place: Option<Place>,
}

impl InFlight {
    /// The client takes more of the answer, or would.
    pub(crate) fn asked(&self) {
        if let Some(place) = &self.place {
            place.asked();
        }
    }

    /// It got something.
    pub(crate) fn gave(&self) {
        if let Some(place) = &self.place {
            place.gave();
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.watch.in_flight.load(Relaxed) - 1;
        self.watch.in_flight.store(left, Relaxed);
        if left == 0 {
            self.watch.no_head();
        }
    }
}

/// Room in a connection that many answers share: nothing more is fetched for a client that does not take what it was sent, as every answer would
/// keep a buffer of its own.
pub(crate) struct Room {
    watch: Arc<Watch>,
    wait: Option<Pin<Box<OwnedNotified>>>,
}

impl Room {
    pub(crate) fn new(watch: &Arc<Watch>) -> Self {
        Self { watch: Arc::clone(watch), wait: None }
    }

    /// Ready unless a write waits.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.watch.blocked.load(Relaxed) != 0 {
            let wait = self.wait.get_or_insert_with(|| Box::pin(Arc::clone(&self.watch.room).notified_owned()));
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(watch: &Watch, seconds: u32) {
        watch.clock.set(1 + seconds * 10);
    }

    #[test]
    fn a_slow_head_is_cut_and_an_idle_connection_finished() {
        let watch = Watch::new(&Clock::new());
        at(&watch, 10);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep);
        at(&watch, 11);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Cut);
        let request = watch.begin(None);
        at(&watch, 5000);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep);
        drop(request);
        at(&watch, 5075);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep);
        watch.head_begins();
        at(&watch, 5086);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Cut);
        watch.no_head();
        at(&watch, 5162);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Finish);
        assert_eq!(watch.judge(IDLE_LIMIT, true), Verdict::Keep);
        at(&watch, 5172);
        assert_eq!(watch.judge(IDLE_LIMIT, true), Verdict::Cut);
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut_even_with_a_request_in_flight() {
        let watch = Watch::new(&Clock::new());
        let _request = watch.begin(None);
        watch.wrote(&Poll::Pending);
        at(&watch, 60);
        watch.wrote(&Poll::Ready(Ok(1000)));
        watch.wrote(&Poll::Pending);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep);
        at(&watch, 61);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Cut, "a little is not enough");
        watch.wrote(&Poll::Ready(Ok(40_000)));
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep);
        watch.wrote(&Poll::Pending);
        watch.flushed(&Poll::Ready(Ok(())));
        at(&watch, 200);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep, "everything was taken");
    }

    #[test]
    fn a_client_that_does_not_close_its_end_is_not_waited_for_long() {
        let watch = Watch::new(&Clock::new());
        watch.no_head();
        assert!(watch.is_idle());
        at(&watch, 3);
        assert_eq!(watch.judge(IDLE_LIMIT, false), Verdict::Keep);
        assert_eq!(watch.judge(Duration::from_secs(2), false), Verdict::Finish);
        watch.set_closed();
        at(&watch, 5);
        assert_eq!(watch.judge(IDLE_LIMIT, true), Verdict::Keep);
        at(&watch, 6);
        assert_eq!(watch.judge(IDLE_LIMIT, true), Verdict::Cut);
    }
}
