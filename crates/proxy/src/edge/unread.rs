//! Answers in HTTP/2 that their client does not take.
//!
//! A stream whose window is zero asks its answer for nothing more, while the connection itself is as lively as the client likes; each such stream
//! would hold a connection to the application for ever. So every answer notes when it gave something and whether it was asked again since, and
//! the worker's sweep looks. One stream alone cannot be ended from there: the connection takes no new requests (GOAWAY), and when only such
//! streams are left, it is cut. A browser whose video is paused asks again on a new connection.

use crate::edge::watch::Clock;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// For a client to ask for more.
const LIMIT: Duration = Duration::from_secs(60);
/// In a place that no answer has.
const FREE: u32 = u32::MAX;
/// In the place of an answer that is being asked.
const ASKED: u32 = 0;

/// The answers under way on one connection.
#[derive(Debug)]
pub(crate) struct Unread {
    clock: Rc<Clock>,
    /// For each answer, the tick at which it last gave something.
    since: RefCell<Vec<u32>>,
}

/// One answer's place; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    all: Rc<Unread>,
    index: usize,
}

impl Unread {
    pub(crate) fn new(clock: &Rc<Clock>) -> Rc<Self> {
        Rc::new(Self { clock: Rc::clone(clock), since: RefCell::default() })
    }

    /// A place for one more answer. There are no more places than streams at the same time.
    pub(crate) fn place(self: &Rc<Self>) -> Place {
        let mut since = self.since.borrow_mut();
        let index = since.iter().position(|tick| *tick == FREE).unwrap_or(since.len());
        match since.get_mut(index) {
            Some(free) => *free = ASKED,
            None => since.push(ASKED),
        }
        Place { all: Rc::clone(self), index }
    }

    /// How many answers were not asked for more for too long.
    pub(crate) fn stale(&self) -> u32 {
        let now = self.clock.now();
        let is_stale = |tick: &&u32| !matches!(**tick, FREE | ASKED) && Duration::from_millis(100) * now.saturating_sub(**tick) > LIMIT;
        u32::try_from(self.since.borrow().iter().filter(is_stale).count()).unwrap_or(u32::MAX)
    }

    fn set(&self, index: usize, tick: u32) {
        if let Some(place) = self.since.borrow_mut().get_mut(index) {
            *place = tick;
        }
    }
}

impl Place {
    /// The client takes more, or would.
    pub(crate) fn asked(&self) {
        self.all.set(self.index, ASKED);
    }

    /// It got something.
    pub(crate) fn gave(&self) {
        self.all.set(self.index, self.all.clock.now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.set(self.index, FREE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_got_something_and_asks_for_nothing_is_stale() {
        let clock = Clock::new();
        let unread = Unread::new(&clock);
        let (idle, busy, stuck) = (unread.place(), unread.place(), unread.place());
        busy.gave();
        stuck.gave();
        clock.set(601);
        assert_eq!(unread.stale(), 0);
        busy.asked();
        clock.set(602);
        assert_eq!(unread.stale(), 1);
        drop(stuck);
        assert_eq!(unread.stale(), 0);
        let again = unread.place();
        assert_eq!((again.index, unread.since.borrow().len()), (2, 3), "places are used again");
        drop((idle, busy));
    }
}
