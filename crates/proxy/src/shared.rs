//! What all workers share: what they are set to, and the counters that only their own worker writes.

use crate::access::Queue;
use crate::edge::guess::Guesses;
use crate::edge::refusal::Reason;
use landfall_model::filter::Network;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// What all workers share.
pub(crate) struct Shared {
    /// For HTTPS.
    pub(crate) tls: Arc<rustls::ServerConfig>,
    /// Ports of the outside listeners, for redirects.
    pub(crate) ports: Ports,
    /// One per worker.
    pub(crate) counters: Box<[Counters]>,
    /// Connections a worker accepts at the same time.
    pub(crate) max_connections: u32,
    /// Of these, how many may come from one address; and how many requests of one address applications may work on, by whatever connections.
    pub(crate) max_per_address: u32,
    /// Requests that one replica may have of a worker.
    pub(crate) max_per_replica: u32,
    /// Failed logins.
    pub(crate) guesses: Guesses,
    /// Load balancers that say by PROXY protocol whose connections they bring.
    pub(crate) proxied_by: Vec<Network>,
    /// To the access log.
    pub(crate) log: Queue,
}

/// Ports clients reach the proxy by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
}

/// One worker's counters; the worker is their only writer.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) connections: AtomicU32,
    pub(crate) handshakes_full: AtomicU64,
    pub(crate) handshakes_resumed: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    /// Requests that nobody could carry, in the order of [`Reason::ALL`].
    pub(crate) refused: [AtomicU64; Reason::ALL.len()],
    /// Grows as long as its thread runs: once with every sweep.
    pub(crate) beats: AtomicU32,
}
