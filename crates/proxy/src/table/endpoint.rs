//! What is known about one endpoint by all threads: is it healthy, what does it hold.
//!
//! Each worker counts in a slot of its own cache line and is its only writer, so counting is a plain load and store; whoever asks adds the
//! slots up. States live as long as a table names them or a request holds them, which is what lets `Status` tell when a replica that left
//! the table has been drained.

use crate::meter::Meter;
use crate::upstream::fault::Failed;
use crate::upstream::reach::Reach;
use arc_swap::ArcSwapOption;
use landfall_model::control::{EndpointStatus, LastFault};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the reason of a failure is told.
const TOLD_FOR: Duration = Duration::from_secs(600);

/// One endpoint, shared by all threads.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// `<app>/<replica>`.
    pub(crate) id: String,
    /// What came of its requests.
    pub(crate) meter: Meter,
    healthy: AtomicBool,
    /// Why the last try failed that did, and when.
    fault: ArcSwapOption<(Instant, String)>,
    slots: Box<[Slot]>,
}

/// One worker's counters. The alignment keeps two workers' slots from sharing a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    requests: AtomicU32,
    streams: AtomicU32,
}

/// What a worker holds at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request waiting for its answer's end.
    Request,
    /// A WebSocket or event stream.
    Stream,
}

impl EndpointState {
    fn new(id: &str, workers: usize) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(workers).collect();
        // It was gated before it came into a table, so it starts healthy.
        Self { id: id.to_owned(), meter: Meter::new(workers), healthy: AtomicBool::new(true), fault: ArcSwapOption::empty(), slots }
    }

    /// It answers, as far as is known.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Records what a health check or a failed connect found; true if that is news.
    pub(crate) fn set_healthy(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Ordering::Relaxed) != healthy
    }

    /// It gave no answer that can be passed on.
    pub(crate) fn failed(&self, reason: &Failed) {
        self.fault.store(Some(Arc::new((Instant::now(), reason.to_string()))));
    }

    /// The last such reason, unless it is too old to be of interest.
    pub(crate) fn last_fault(&self) -> Option<LastFault> {
        let (at, words) = &*self.fault.load_full()?;
        let ago = at.elapsed();
        (ago < TOLD_FOR).then(|| LastFault { words: words.clone(), ago_s: ago.as_secs() })
    }

    /// Counts one more; only ever called by the thread of `worker`.
    pub(crate) fn add(&self, worker: usize, kind: Kind) {
        let cell = self.cell(worker, kind);
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Counts one less; only ever called by the thread of `worker`.
    pub(crate) fn remove(&self, worker: usize, kind: Kind) {
        let cell = self.cell(worker, kind);
        cell.store(cell.load(Ordering::Relaxed) - 1, Ordering::Release);
    }

    /// What `worker` holds here.
    pub(crate) fn load(&self, worker: usize) -> u32 {
        let slot = &self.slots[worker];
        slot.requests.load(Ordering::Relaxed) + slot.streams.load(Ordering::Relaxed)
    }

    /// All slots together.
    pub(crate) fn status(&self) -> EndpointStatus {
        let sum = |of: fn(&Slot) -> &AtomicU32| self.slots.iter().map(|slot| u64::from(of(slot).load(Ordering::Acquire))).sum();
        EndpointStatus { healthy: self.is_healthy(), requests: sum(|s| &s.requests), streams: sum(|s| &s.streams) }
    }

    fn cell(&self, worker: usize, kind: Kind) -> &AtomicU32 {
        match kind {
            Kind::Request => &self.slots[worker].requests,
            Kind::Stream => &self.slots[worker].streams,
        }
    }
}

/// Every endpoint some table names or some request holds, by id. Owned by the control thread.
#[derive(Debug)]
pub(crate) struct Endpoints {
    workers: usize,
    known: HashMap<String, (Arc<EndpointState>, Reach)>,
}

impl Endpoints {
    /// For so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, known: HashMap::new() }
    }

    /// How many.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The state of endpoint `id`, made if it is new. A replica that came back at another address starts healthy again.
    pub(crate) fn state(&mut self, id: &str, reach: &Reach) -> Arc<EndpointState> {
        let workers = self.workers;
        let entry = self.known.entry(id.to_owned()).or_insert_with(|| (Arc::new(EndpointState::new(id, workers)), reach.clone()));
        if entry.1 != *reach {
            entry.1 = reach.clone();
            entry.0.set_healthy(true);
        }
        Arc::clone(&entry.0)
    }

    /// Forgets endpoints that `named` does not name and that hold nothing.
    pub(crate) fn retain(&mut self, named: impl Fn(&str) -> bool) {
        self.known.retain(|id, (state, _)| {
            let status = state.status();
            named(id) || status.requests + status.streams > 0
        });
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<EndpointState>> {
        self.known.values().map(|(state, _)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_forgotten_only_when_it_holds_nothing() {
        let mut endpoints = Endpoints::new(2);
        let reach = Reach { address: "127.0.0.1:1".parse().unwrap(), interface: None };
        let state = endpoints.state("a/web-1-1", &reach);
        state.add(0, Kind::Request);
        state.add(1, Kind::Stream);
        assert_eq!(state.status(), EndpointStatus { healthy: true, requests: 1, streams: 1 });
        endpoints.retain(|_| false);
        assert!(Arc::ptr_eq(&state, &endpoints.state("a/web-1-1", &reach)));
        state.remove(0, Kind::Request);
        state.remove(1, Kind::Stream);
        endpoints.retain(|_| false);
        assert_eq!(endpoints.iter().count(), 0);
    }
}
