//! One worker's view of one endpoint: its idle connections and what the worker holds there.
//!
//! Connections never change threads. The newest idle one is used first, so that a burst's connections age and are closed. Many servers
//! close idle connections after a few seconds (gunicorn 2, Node and uvicorn 5), and a request written into a connection that is being closed is lost;
//! so connections are kept only briefly, and a request that must not be sent twice gets one that was used a moment ago or a new one.

use crate::exhausted::Rarely;
use crate::meter::Slot;
use crate::table::endpoint::{EndpointState, Kind};
use crate::upstream::http1::{Connection, Space};
use crate::upstream::multiplex::{Multiplex, Place};
use crate::upstream::reach::Reach;
use landfall_model::route::Protocol;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a connection may lie idle before it is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(4);
/// How long it may have lain idle for a request that cannot be repeated.
const FRESH_LIMIT: Duration = Duration::from_secs(1);
/// Idle connections kept per endpoint and worker.
const MAX_IDLE: usize = 256;

/// One endpoint, as one worker sees it.
pub(crate) struct LocalEndpoint {
    /// What all threads know of it.
    pub(crate) state: Arc<EndpointState>,
    reach: Reach,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    worker: usize,
    space: Arc<Space>,
    idle: RefCell<Vec<Idle>>,
    multiplex: Multiplex,
    retired: Cell<bool>,
    /// Connections that could not be made for want of descriptors or ports here.
    pub(crate) starved: Rarely,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection taken for one request.
pub(crate) struct Taken {
    /// The connection.
    pub(crate) connection: Connection,
    /// It was used before, so the application may be closing it right now.
    pub(crate) reused: bool,
}

impl LocalEndpoint {
    pub(crate) fn new(state: Arc<EndpointState>, (reach, protocol): (Reach, Protocol), (worker, space): (usize, &Arc<Space>)) -> Rc<Self> {
        let (idle, multiplex, retired) = (RefCell::default(), Multiplex::default(), Cell::new(false));
        let starved = Rarely::default();
        Rc::new(Self { state, reach, protocol, worker, space: Arc::clone(space), idle, multiplex, retired, starved })
    }

    /// This worker's counts of it.
    pub(crate) fn slot(&self) -> &Slot {
        self.state.meter.slot(self.worker)
    }

    /// Requests and streams this worker holds here.
    pub(crate) fn load(&self) -> u32 {
        self.state.load(self.worker)
    }

    /// An idle connection, or a new one.
    pub(crate) async fn take(&self, repeatable: bool) -> io::Result<Taken> {
        let limit = if repeatable { IDLE_LIMIT } else { FRESH_LIMIT };
        while let Some(connection) = self.pop(limit) {
            if connection.is_usable() {
                return Ok(Taken { connection, reused: true });
            }
        }
        Ok(Taken { connection: self.connect().await?, reused: false })
    }

    /// A place among other requests, where that is the protocol.
    pub(crate) async fn place(&self) -> io::Result<Place> {
        self.multiplex.take(&self.reach).await
    }

    fn pop(&self, limit: Duration) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        // The newest is last: if it is too old, so are the others, but another request may still use them.
        if idle.last()?.since.elapsed() > limit {
            return None;
        }
        idle.pop().map(|idle| idle.connection)
    }

    async fn connect(&self) -> io::Result<Connection> {
        Ok(Connection::new(self.reach.connect().await?, &self.space))
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(crate) fn give_back(&self, mut connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if !self.retired.get() && idle.len() < MAX_IDLE {
            connection.rest();
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn sweep(&self) {
        self.multiplex.sweep();
        let mut idle = self.idle.borrow_mut();
        if !idle.is_empty() {
            idle.retain(|idle| idle.since.elapsed() < IDLE_LIMIT && idle.connection.is_usable());
            if idle.is_empty() {
                idle.shrink_to_fit();
            }
        }
    }

    /// It left the table: no connection is kept any more.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.multiplex.clear();
        self.idle.borrow_mut().clear();
    }
}

/// A place in an endpoint's counters; given up when dropped.
pub(crate) struct Held {
    endpoint: Rc<LocalEndpoint>,
    kind: Kind,
}

impl Held {
    /// Counts a request at `endpoint`.
    pub(crate) fn request(endpoint: &Rc<LocalEndpoint>) -> Self {
        endpoint.state.add(endpoint.worker, Kind::Request);
        Self { endpoint: Rc::clone(endpoint), kind: Kind::Request }
    }

    /// From now on it counts as a stream.
    pub(crate) fn becomes_stream(&mut self) {
        if self.kind == Kind::Request {
            self.endpoint.state.add(self.endpoint.worker, Kind::Stream);
            self.endpoint.state.remove(self.endpoint.worker, Kind::Request);
            self.kind = Kind::Stream;
        }
    }

    /// Where.
    pub(crate) fn endpoint(&self) -> &Rc<LocalEndpoint> {
        &self.endpoint
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.endpoint.state.remove(self.endpoint.worker, self.kind);
    }
}
