//! What a connection is waiting for and since when, kept so cheaply that no timer is set per request.
//!
//! The connection's own code writes plain numbers here; the worker's sweep reads them twice a second and decides. A limit may be exceeded by
//! one sweep period, never undercut.

use crate::edge::quota::Share;
use crate::edge::unread::Place;
use std::cell::Cell;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
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
    ticks: Cell<u32>,
}

impl Clock {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { start: Instant::now(), ticks: Cell::new(1) })
    }

    /// Reads the real clock; the sweep does.
    pub(crate) fn advance(&self) {
        let tenths = self.start.elapsed().as_millis() / 100 + 1;
        self.ticks.set(u32::try_from(tenths).unwrap_or(u32::MAX));
    }

    pub(crate) fn now(&self) -> u32 {
        self.ticks.get()
    }

    #[cfg(test)]
    pub(crate) fn set(&self, ticks: u32) {
        self.ticks.set(ticks);
    }
}

/// One connection's state.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Rc<Clock>,
    /// Reading a head, as opposed to waiting for one.
    head: Cell<bool>,
    /// Tick at which `head` or `in_flight` last changed.
    since: Cell<u32>,
    in_flight: Cell<u32>,
    /// Tick since which a write has been waiting; 0 if none is.
    blocked: Cell<u32>,
    /// Bytes taken since.
    taken: Cell<u32>,
    /// Tick at which our end was closed; 0 if it is open.
    closed: Cell<u32>,
    /// First request of this connection that must be refused; 0 if none.
    ambiguous: Cell<u64>,
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
    pub(crate) fn new(clock: &Rc<Clock>) -> Rc<Self> {
        Rc::new(Self {
            head: Cell::new(true),
            since: Cell::new(clock.now()),
            clock: Rc::clone(clock),
            in_flight: Cell::new(0),
            blocked: Cell::new(0),
            taken: Cell::new(0),
            closed: Cell::new(0),
            ambiguous: Cell::new(0),
            room: Arc::default(),
        })
    }

    /// The clock it reads.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A head's bytes came.
    pub(crate) fn head_begins(&self) {
        if !self.head.replace(true) {
            self.since.set(self.clock.now());
        }
    }

    /// No head is being read: HTTP/2, whose connection is one long exchange of frames.
    pub(crate) fn no_head(&self) {
        self.head.set(false);
        self.since.set(self.clock.now());
    }

    /// Tick since which it has been reading a head, carrying requests, or idle.
    pub(crate) fn since(&self) -> u32 {
        self.since.get()
    }

    /// Whether a head has been arriving for longer than `limit`.
    pub(crate) fn reads_head_for(&self, limit: Duration) -> bool {
        self.head.get() && self.in_flight.get() == 0 && self.age(self.since.get()) > limit
    }

    fn age(&self, since: u32) -> Duration {
        Duration::from_millis(100) * self.clock.now().saturating_sub(since)
    }

    /// Our end is closed; what the client still sends is thrown away.
    pub(crate) fn set_closed(&self) {
        self.closed.set(self.clock.now());
    }

    /// No request is being read, carried or answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.get() == 0 && !self.head.get() && self.blocked.get() == 0
    }

    /// A request is in flight until the answer is dropped. In HTTP/2 it has a place among those of its connection.
    pub(crate) fn begin(self: &Rc<Self>, place: Option<Place>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        InFlight { watch: Rc::clone(self), place, share: None }
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    pub(crate) fn refuse_from(&self, request: u64) {
        self.ambiguous.set(request);
    }

    pub(crate) fn is_refused(&self, request: u64) -> bool {
        let first = self.ambiguous.get();
        first != 0 && request >= first
    }

    /// A write had to wait, or the client took something. A little now and then does not count: it would keep a connection for ever.
    pub(crate) fn wrote(&self, poll: &Poll<io::Result<usize>>) {
        match poll {
            Poll::Pending => self.waits(),
            Poll::Ready(Ok(length)) if self.blocked.get() != 0 => {
                let taken = self.taken.get().saturating_add(u32::try_from(*length).unwrap_or(u32::MAX));
                self.taken.set(taken);
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
            Poll::Ready(_) if self.blocked.get() != 0 => self.goes_on(),
            Poll::Ready(_) => {}
        }
    }

    fn goes_on(&self) {
        self.blocked.set(0);
        self.room.notify_waiters();
    }

    fn waits(&self) {
        if self.blocked.get() == 0 {
            self.taken.set(0);
            self.blocked.set(self.clock.now());
        }
    }

    /// Compares what the connection waits for with the limits. `idle` is that between two requests, `finishing` if it has been asked to finish.
    pub(crate) fn judge(&self, idle: Duration, finishing: bool) -> Verdict {
        let exceeds = |since: u32, limit| since != 0 && self.age(since) > limit;
        if exceeds(self.blocked.get(), BLOCKED_LIMIT) || exceeds(self.closed.get(), LINGER_LIMIT) {
            return Verdict::Cut;
        }
        if self.in_flight.get() > 0 {
            return Verdict::Keep;
        }
        let waiting = self.age(self.since.get());
        let head = self.head.get();
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
    watch: Rc<Watch>,
    place: Option<Place>,
    /// Of its client's requests that an application works on.
    share: Option<Share>,
}

impl InFlight {
    /// An application works on it from now on.
    pub(crate) fn counts(&mut self, share: Share) {
        self.share = Some(share);
    }

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
        let left = self.watch.in_flight.get() - 1;
        self.watch.in_flight.set(left);
        if left == 0 {
            self.watch.no_head();
        }
    }
}

/// Room in a connection that many answers share: nothing more is fetched for a client that does not take what it was sent, as every answer would
/// keep a buffer of its own.
pub(crate) struct Room {
    watch: Rc<Watch>,
    wait: Option<Pin<Box<OwnedNotified>>>,
}

impl Room {
    pub(crate) fn new(watch: &Rc<Watch>) -> Self {
        Self { watch: Rc::clone(watch), wait: None }
    }

    /// Ready unless a write waits.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.watch.blocked.get() != 0 {
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
