//! What was seen: counts, times, and every kind of failure with its first example.

use crate::fault::FaultKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The whole of it. Shown as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// From the start of the load, milliseconds. All other times count from the same start.
    pub elapsed_ms: u64,
    /// Single requests.
    pub requests: RequestReport,
    /// WebSockets.
    pub sockets: SocketReport,
    /// Event streams.
    pub streams: StreamReport,
}

impl Report {
    /// How many failures of any kind, anywhere.
    pub fn failed(&self) -> u64 {
        let sections = [&self.requests.failed, &self.sockets.failed, &self.streams.failed];
        sections.iter().flat_map(|s| s.values()).map(|t| t.count).sum()
    }

    /// How many failures of this kind, anywhere.
    pub fn count(&self, kind: FaultKind) -> u64 {
        let sections = [&self.requests.failed, &self.sockets.failed, &self.streams.failed];
        sections.iter().filter_map(|s| s.get(&kind)).map(|t| t.count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

/// Failures of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// When the first was seen, milliseconds.
    pub first_ms: u64,
    /// When the last was.
    pub last_ms: u64,
    /// The first one, for people.
    pub example: String,
}

/// Single requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestReport {
    /// Started.
    pub sent: u64,
    /// Answered 2xx, completely and correctly.
    pub ok: u64,
    /// Asked again on a new connection because the server had closed a kept one without answering: no failure (any browser does
    /// it), but a sign.
    pub retried: u64,
    /// By kind.
    pub failed: BTreeMap<FaultKind, Tally>,
    /// Of the `ok` ones, from the scheduled time to the last byte.
    pub latency: Latency,
    /// The latest that a request was started after its scheduled time, microseconds: above a few milliseconds the generator
    /// itself was short of processor.
    pub start_lag_max_us: u64,
    /// 2xx answers by the header `x-version`; "none" without it.
    pub versions: BTreeMap<String, u64>,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half took no longer.
    pub p50_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// None took longer.
    pub max_us: u64,
}

/// WebSockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketReport {
    /// Opened so far.
    pub opened: u64,
    /// Open now, or when the load was stopped.
    pub open: u64,
    /// Texts that came back.
    pub echoes: u64,
    /// Closes by the server, by code; 1006 where there was no closing handshake.
    pub closes: BTreeMap<u16, u64>,
    /// By kind.
    pub failed: BTreeMap<FaultKind, Tally>,
    /// Opened, by the header `x-version`.
    pub versions: BTreeMap<String, u64>,
}

/// Event streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReport {
    /// Opened so far.
    pub opened: u64,
    /// Open now, or when the load was stopped.
    pub open: u64,
    /// Events with an id.
    pub events: u64,
    /// Ended properly by the server.
    pub ended: u64,
    /// By kind.
    pub failed: BTreeMap<FaultKind, Tally>,
    /// Opened, by the header `x-version`.
    pub versions: BTreeMap<String, u64>,
}
