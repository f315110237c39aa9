//! Where everything seen is written down, and what a report is read from at any time.

use crate::fault::{Fault, FaultKind};
use crate::histogram::Histogram;
use crate::release::{Lifetime, Releases};
use crate::report::{Latency, Report, Tally};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Different versions, close codes and so on that are told apart; the rest is counted under `other`.
const DISTINCT_LIMIT: usize = 100;

/// Shared by the generator's thread and the one that holds its handle.
#[derive(Debug)]
pub(crate) struct Record {
    start: Instant,
    drain: Duration,
    state: Mutex<State>,
    /// Notified after every change.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    report: Report,
    latency: Histogram,
    releases: Releases,
}

/// The part of the report that something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Requests,
    Sockets,
    Streams,
}

impl Record {
    pub(crate) fn new(drain: Duration) -> Self {
        Self { start: Instant::now(), drain, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Changes what was counted.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.state().report);
        self.changed.notify_all();
    }

    pub(crate) fn latency(&self, took: Duration) {
        self.state().latency.add(micros(took));
    }

    pub(crate) fn failed(&self, part: Part, fault: Fault) {
        let now = self.elapsed_ms();
        let mut state = self.state();
        let report = &mut state.report;
        let section = match part {
            Part::Requests => &mut report.requests.failed,
            Part::Sockets => &mut report.sockets.failed,
            Part::Streams => &mut report.streams.failed,
        };
        let tally = section.entry(fault.kind).or_insert_with(|| Tally { first_ms: now, example: fault.detail, ..Tally::default() });
        tally.count += 1;
        tally.last_ms = now;
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn release(&self, version: &str) {
        self.state().releases.begin(version, Instant::now());
    }

    /// Counts a polite end that no release explains as a failure of `kind`.
    pub(crate) fn judge_end(&self, part: Part, kind: FaultKind, life: Lifetime<'_>) {
        if !self.state().releases.explain(life, self.drain) {
            let after = (life.closed - life.opened).as_millis();
            self.failed(part, Fault::new(kind, format_args!("one of version {} ended after {after} ms", life.version)));
        }
    }

    pub(crate) fn report(&self) -> Report {
        self.read(&self.state())
    }

    /// Returns the report that satisfies `done`, or the last one when `limit` has passed.
    pub(crate) fn wait(&self, limit: Duration, done: impl Fn(&Report) -> bool) -> Result<Report, Box<Report>> {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            let report = self.read(&state);
            if done(&report) {
                return Ok(report);
            }
            let Some(left) = limit.checked_sub(start.elapsed()) else { return Err(Box::new(report)) };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn read(&self, state: &State) -> Report {
        let mut report = state.report.clone();
        report.elapsed_ms = self.elapsed_ms();
        report.requests.latency =
            Latency { p50_us: state.latency.percentile(50.0), p99_us: state.latency.percentile(99.0), max_us: state.latency.max() };
        report
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds one to the count of `version`.
pub(crate) fn add_version(versions: &mut BTreeMap<String, u64>, version: &str) {
    let key = if versions.contains_key(version) || versions.len() < DISTINCT_LIMIT { version } else { "other" };
    *versions.entry(key.to_owned()).or_default() += 1;
}

/// The header `x-version`, or "none".
pub(crate) fn version_of(headers: &http::HeaderMap) -> String {
    headers.get("x-version").and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned()
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
