//! Counts of one route or endpoint, cheap enough for every request.
//!
//! Each worker has a slot of its own cache lines and is its only writer: counting is a load and a store, with nothing locked and nothing bounced
//! between cores. Who reads adds the slots up; that happens when the agent asks, a few times a minute.

use landfall_model::fault::Fault;
use landfall_model::metrics::{BOUNDS_US, BUCKETS, Tally};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// All workers' counts.
#[derive(Debug)]
pub(crate) struct Meter(Box<[Slot]>);

/// One worker's. The alignment keeps two workers' slots from sharing a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    answers: [AtomicU64; 5],
    left: AtomicU64,
    broken: AtomicU64,
    times: [AtomicU64; BUCKETS],
    times_us: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    retries: AtomicU64,
    limited: AtomicU64,
    faults: [AtomicU64; Fault::COUNT],
    dropped: AtomicU64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct End {
    /// Of its answer; absent if the client left before.
    pub(crate) status: Option<u16>,
    /// The answer got to its end.
    pub(crate) whole: bool,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Only ever called by the slot's own worker.
pub(crate) fn add(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
}

impl Slot {
    /// A request began.
    pub(crate) fn begin(&self) {
        add(&self.begun, 1);
    }

    /// An answer's head is there.
    pub(crate) fn answered(&self, status: u16, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            add(count, 1);
        }
        if let Some(bucket) = self.times.get(BOUNDS_US.partition_point(|bound| *bound < us)) {
            add(bucket, 1);
        }
        add(&self.times_us, us);
    }

    /// It is over.
    pub(crate) fn end(&self, end: End) {
        add(&self.ended, 1);
        add(&self.bytes_in, end.bytes_in);
        add(&self.bytes_out, end.bytes_out);
        match end {
            End { status: None, .. } => add(&self.left, 1),
            End { whole: false, .. } => add(&self.broken, 1),
            _ => {}
        }
    }

    /// It was sent once more.
    pub(crate) fn retried(&self) {
        add(&self.retries, 1);
    }

    /// A try brought no answer.
    pub(crate) fn failed(&self, fault: Fault) {
        add(&self.faults[fault.index()], 1);
    }

    /// It had so many headers that no client may send.
    pub(crate) fn dropped(&self, headers: u64) {
        add(&self.dropped, headers);
    }

    /// It was one too many.
    pub(crate) fn limited(&self) {
        add(&self.limited, 1);
    }
}

impl Meter {
    pub(crate) fn new(workers: usize) -> Self {
        Self(std::iter::repeat_with(Slot::default).take(workers).collect())
    }

    /// A worker's own.
    pub(crate) fn slot(&self, worker: usize) -> &Slot {
        &self.0[worker]
    }

    /// All slots together.
    pub(crate) fn tally(&self) -> Tally {
        let sum = |of: fn(&Slot) -> &AtomicU64| self.0.iter().fold(0_u64, |sum, slot| sum.wrapping_add(of(slot).load(Relaxed)));
        let mut tally = Tally {
            left: sum(|s| &s.left),
            broken: sum(|s| &s.broken),
            times_us: sum(|s| &s.times_us),
            bytes_in: sum(|s| &s.bytes_in),
            bytes_out: sum(|s| &s.bytes_out),
            // Read in this order, a request that ends in between is not counted as less than none.
            active: {
                let ended = sum(|s| &s.ended);
                sum(|s| &s.begun).saturating_sub(ended)
            },
            retries: sum(|s| &s.retries),
            limited: sum(|s| &s.limited),
            headers_dropped: sum(|s| &s.dropped),
            ..Tally::default()
        };
        for slot in &self.0 {
            let columns = tally.answers.iter_mut().zip(&slot.answers).chain(tally.times.iter_mut().zip(&slot.times));
            let columns = columns.chain(tally.faults.iter_mut().zip(&slot.faults));
            columns.for_each(|(total, count)| *total += count.load(Relaxed));
        }
        tally
    }
}

/// A route as one worker counts it.
#[derive(Debug)]
pub(crate) struct RouteMeter {
    /// Its path, as the file has it.
    pub(crate) path: String,
    meter: Arc<Meter>,
    worker: usize,
}

impl RouteMeter {
    pub(crate) fn new(path: &str, meter: &Arc<Meter>, worker: usize) -> Self {
        Self { path: path.to_owned(), meter: Arc::clone(meter), worker }
    }

    pub(crate) fn slot(&self) -> &Slot {
        self.meter.slot(self.worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_added_up() {
        let meter = Meter::new(2);
        for (worker, us, status) in [(0, 499, 200), (1, 500, 204), (0, 501, 404), (1, 99_000_000, 503)] {
            meter.slot(worker).begin();
            meter.slot(worker).answered(status, Duration::from_micros(us));
        }
        meter.slot(0).end(End { status: Some(200), whole: true, bytes_in: 3, bytes_out: 5 });
        meter.slot(1).end(End { status: None, ..End::default() });
        let tally = meter.tally();
        assert_eq!(tally.answers, [0, 2, 0, 1, 1]);
        assert_eq!((tally.times[0], tally.times[1], tally.times[BUCKETS - 1]), (2, 1, 1));
        assert_eq!((tally.active, tally.left, tally.broken, tally.bytes_in, tally.bytes_out), (2, 1, 0, 3, 5));
    }
}
