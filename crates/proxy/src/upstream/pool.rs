//! One worker's view of one endpoint: its idle connections and what the worker holds there.
//!
//! Connections never change threads. The newest idle one is used first, so that a burst's connections age and are closed. Many servers
//! close idle connections after a few seconds (gunicorn 2, Node and uvicorn 5), and a request written into a connection that is being closed is lost;
//! so connections are kept only briefly, and a request that must not be sent twice gets one that was used a moment ago or a new one.

use crate::table::endpoint::{EndpointState, Kind};
use crate::upstream::body::RequestBody;
use crate::upstream::multiplex::{Multiplex, Place};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use landfall_model::route::Protocol;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A connection to an application, or a place on one.
pub(crate) enum Sender {
    /// One request after the other.
    Http1(http1::SendRequest<RequestBody>),
    /// Many at once.
    H2c(Place),
}

/// For a connection to be made.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long a connection may lie idle before it is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(4);
/// How long it may have lain idle for a request that cannot be repeated.
const FRESH_LIMIT: Duration = Duration::from_secs(1);
/// Idle connections kept per endpoint and worker.
const MAX_IDLE: usize = 256;
/// Largest head of an answer, and in HTTP/1 the largest piece of a body read at once.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// One endpoint, as one worker sees it.
pub(crate) struct LocalEndpoint {
    /// What all threads know of it.
    pub(crate) state: Arc<EndpointState>,
    address: SocketAddr,
    protocol: Protocol,
    worker: usize,
    idle: RefCell<Vec<Idle>>,
    multiplex: Multiplex,
    retired: Cell<bool>,
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

/// A connection taken for one request.
pub(crate) struct Taken {
    /// The connection.
    pub(crate) sender: Sender,
    /// It was used before, so the application may be closing it right now.
    pub(crate) reused: bool,
}

impl LocalEndpoint {
    pub(crate) fn new(state: Arc<EndpointState>, (address, protocol): (SocketAddr, Protocol), worker: usize) -> Rc<Self> {
        Rc::new(Self {
            state,
            address,
            protocol,
            worker,
            idle: RefCell::default(),
            multiplex: Multiplex::default(),
            retired: Cell::new(false),
        })
    }

    /// Requests and streams this worker holds here.
    pub(crate) fn load(&self) -> u32 {
        self.state.load(self.worker)
    }

    /// An idle connection, a place on one, or a new one.
    pub(crate) async fn take(&self, repeatable: bool) -> io::Result<Taken> {
        if self.protocol == Protocol::H2c {
            let place = self.multiplex.take(self.address).await?;
            return Ok(Taken { reused: place.reused, sender: Sender::H2c(place) });
        }
        let limit = if repeatable { IDLE_LIMIT } else { FRESH_LIMIT };
        while let Some(mut sender) = self.pop(limit) {
            // Its task may not have run since the last answer ended; `ready` waits for that and for nothing else.
            if sender.ready().await.is_ok() {
                return Ok(Taken { sender: Sender::Http1(sender), reused: true });
            }
        }
        Ok(Taken { sender: Sender::Http1(self.connect().await?), reused: false })
    }

    fn pop(&self, limit: Duration) -> Option<http1::SendRequest<RequestBody>> {
        let mut idle = self.idle.borrow_mut();
        // The newest is last: if it is too old, so are the others, but another request may still use them.
        if idle.last()?.since.elapsed() > limit {
            return None;
        }
        idle.pop().map(|idle| idle.sender)
    }

    async fn connect(&self) -> io::Result<http1::SendRequest<RequestBody>> {
        let stream = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(self.address))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for the answer; an idle connection's end is nobody's concern.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// Keeps a connection whose answer has been read to its end. A place is given up by being dropped.
    pub(crate) fn give_back(&self, sender: Sender) {
        let Sender::Http1(sender) = sender else { return };
        let mut idle = self.idle.borrow_mut();
        if !self.retired.get() && !sender.is_closed() && idle.len() < MAX_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn sweep(&self) {
        self.multiplex.sweep();
        let mut idle = self.idle.borrow_mut();
        if !idle.is_empty() {
            idle.retain(|idle| idle.since.elapsed() < IDLE_LIMIT && !idle.sender.is_closed());
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
