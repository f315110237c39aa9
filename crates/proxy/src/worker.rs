//! A worker: one thread, one event loop, everything it touches in `Rc`. Requests never change threads.

use crate::accepted::Accepted;
use crate::access::Log;
use crate::edge::connection::{Conn, Order, Origin};
use crate::edge::filter::{Filters, RequestIds};
use crate::edge::guess::Guesses;
use crate::edge::prelude;
use crate::edge::quota::Quota;
use crate::edge::serve::{http2_builder, serve_http, serve_https};
use crate::edge::watch::{Clock, IDLE_LIMIT, SWEEP};
use crate::exhausted::{Rarely, is_exhausted};
use crate::meter::add;
use crate::shared::{Counters, Ports, Shared};
use crate::stream::Streams;
use crate::table::Compiled;
use crate::tls::Acceptor;
use crate::upstream::balance::{LocalTable, LocalUpstream};
use crate::upstream::http1::Space;
use crate::upstream::pool::LocalEndpoint;
use crate::upstream::reach::Reach;
use httpdate::HttpDate;
use hyper::server::conn::http2;
use landfall_model::route::Protocol;
use rustls::HandshakeKind;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::Instant;

/// How long before the drain limit streams are asked to end, at most, and over how much of that they are spread.
const CLOSING: Duration = Duration::from_secs(5);
const CLOSING_JITTER: Duration = Duration::from_secs(2);
/// After so much silence an HTTP/1 connection of a stopping proxy may be closed. With nobody to replace it that is soon: new connections wait in the
/// kernel's queue until the next proxy starts, or for ever.
const QUIET: Duration = Duration::from_secs(1);
/// How long a head may take to arrive when others wait for a place.
const PRESSED_HEAD: Duration = Duration::from_secs(3);
/// Read at once from a client of HTTP/1 between two requests.
const SCRATCH: usize = 16 * 1024;
/// How often a stopping worker looks whether it is done, and a full one whether there is room.
const LOOK: Duration = Duration::from_millis(20);

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// What the control thread asks of a worker.
pub(crate) enum WorkerAsk {
    /// Use this table from now on.
    Swap { compiled: Arc<Compiled>, done: oneshot::Sender<()> },
    /// Accept connections here too.
    Listen { listeners: Vec<(std::net::TcpListener, Origin)>, done: oneshot::Sender<()> },
    /// Accept no connections any more at these internal addresses.
    Unlisten { addresses: HashSet<SocketAddr> },
    /// Memory is short: have only so many connections. As many as otherwise, if absent.
    Squeeze { places: Option<u32>, relief: Relief },
    /// Ask the streams of these endpoints to end.
    Close { endpoints: HashSet<String>, jitter: Duration },
    /// Accept nothing, finish what is in flight until `drain` is over, and end. `replaced` if another proxy accepts meanwhile.
    Stop { drain: Duration, replaced: bool },
}

/// Whose connections are given up when memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relief {
    Nobody,
    /// Those between two requests.
    Idle,
    /// Also those that have been at the same thing for longest.
    Slow,
}

/// An endpoint's id, and where and how it is reached.
type Reached = (String, (Reach, Protocol));

/// One worker.
pub(crate) struct Worker {
    index: usize,
    shared: Arc<Shared>,
    table: RefCell<Rc<LocalTable>>,
    endpoints: RefCell<HashMap<Reached, Rc<LocalEndpoint>>>,
    conns: RefCell<HashMap<u64, Rc<Conn>>>,
    next_conn: Cell<u64>,
    stopping: Cell<bool>,
    /// How long an HTTP/1 connection may lie between two requests.
    idle_limit: Cell<Duration>,
    /// Connections by address.
    pub(crate) quota: Rc<Quota>,
    /// Requests by address that applications work on. HTTP/2 would let a client have many times as many as it has connections.
    pub(crate) in_flight: Rc<Quota>,
    /// Connections it may have.
    places: Cell<u32>,
    /// Connections wait that there is no room for; until the next sweep.
    pressed: Cell<bool>,
    /// That was told.
    crowded: Rarely,
    /// Requests that are redirected to where their sender says they came from.
    looped: Rarely,
    /// WebSockets and event streams.
    pub(crate) streams: Rc<Streams>,
    /// What is written down of its requests.
    pub(crate) log: Log,
    /// Names of its requests.
    pub(crate) request_ids: RequestIds,
    /// For the connections' limits.
    pub(crate) clock: Rc<Clock>,
    /// Where clients' bytes are read to first, so that a connection without any has no buffer.
    pub(crate) scratch: RefCell<Box<[u8]>>,
    /// Where large bodies are read to.
    space: Arc<Space>,
    /// The time as answers say it, to the second (RFC 9110 §6.6.1).
    pub(crate) date: Cell<[u8; 29]>,
    /// For HTTPS.
    pub(crate) tls: Acceptor,
    /// How HTTP/2 is spoken with clients.
    pub(crate) http2: http2::Builder<LocalExecutor>,
}

/// A connection's place in its worker's list.
pub(crate) struct Listed {
    worker: Rc<Worker>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.worker.conns.borrow_mut().remove(&self.id);
    }
}

impl Worker {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            index,
            table: RefCell::default(),
            endpoints: RefCell::default(),
            conns: RefCell::default(),
            next_conn: Cell::new(0),
            stopping: Cell::new(false),
            idle_limit: Cell::new(IDLE_LIMIT),
            places: Cell::new(shared.max_connections),
            pressed: Cell::new(false),
            crowded: Rarely::default(),
            looped: Rarely::default(),
            quota: Quota::new(shared.max_per_address),
            in_flight: Quota::new(shared.max_per_address),
            streams: Rc::default(),
            log: Log::new(shared.log.clone()),
            request_ids: RequestIds::new(),
            clock: Clock::new(),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            space: Arc::default(),
            date: Cell::new(date()),
            tls: Acceptor::new(&shared.tls),
            http2: http2_builder(),
            shared,
        })
    }

    /// The table in use.
    pub(crate) fn table(&self) -> Rc<LocalTable> {
        Rc::clone(&self.table.borrow())
    }

    /// It accepts nothing any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ports clients reach the proxy by.
    pub(crate) fn ports(&self) -> Ports {
        self.shared.ports
    }

    /// Failed logins.
    pub(crate) fn guesses(&self) -> &Guesses {
        &self.shared.guesses
    }

    /// Requests that one replica may have of this worker.
    pub(crate) fn max_per_replica(&self) -> u32 {
        self.shared.max_per_replica
    }

    /// Its own.
    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters[self.index]
    }

    /// Counts a TLS handshake; `None` if it came to nothing.
    pub(crate) fn count_handshake(&self, kind: Option<HandshakeKind>) {
        let counters = self.counters();
        let count = match kind {
            None => &counters.handshakes_failed,
            Some(HandshakeKind::Resumed) => &counters.handshakes_resumed,
            Some(_) => &counters.handshakes_full,
        };
        add(count, 1);
    }

    /// A request by plain HTTP says that its client came by HTTPS, and nobody trusts who says so: the redirect leads where it came from.
    pub(crate) fn looped(&self, app: &str, from: IpAddr) {
        if let Some(times) = self.looped.again() {
            tracing::warn!(
                app,
                %from,
                times,
                "a proxy or CDN asks by plain HTTP for clients that came by HTTPS, and is redirected to HTTPS for ever: have it ask by HTTPS, \
                 or name its addresses in `trusted_proxies`"
            );
        }
    }

    /// Counts a request.
    pub(crate) fn count_request(&self) {
        let count = &self.counters().requests;
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// Counts an answer that the proxy had to make because no endpoint made one.
    pub(crate) fn count_failure(&self) {
        let count = &self.counters().failures;
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// Lists a connection, so that it is swept and can be told to finish.
    pub(crate) fn list(self: &Rc<Self>, conn: &Rc<Conn>) -> Listed {
        let id = self.next_conn.get();
        self.next_conn.set(id + 1);
        self.conns.borrow_mut().insert(id, Rc::clone(conn));
        if self.stopping.get() && conn.http2 {
            conn.command(Order::Finish);
        }
        Listed { worker: Rc::clone(self), id }
    }

    /// Does what the control thread asks until it says stop.
    pub(crate) async fn run(self: Rc<Self>, mut asks: mpsc::UnboundedReceiver<WorkerAsk>) {
        let sweep = spawn_local(Rc::clone(&self).sweep());
        let mut acceptors: Vec<(Origin, JoinHandle<()>)> = Vec::new();
        let (drain, replaced) = loop {
            match asks.recv().await {
                Some(WorkerAsk::Swap { compiled, done }) => {
                    self.swap(compiled);
                    let _ = done.send(());
                }
                Some(WorkerAsk::Listen { listeners, done }) => {
                    for (listener, origin) in listeners {
                        acceptors.extend(self.listen(listener, origin).map(|task| (origin, task)));
                    }
                    let _ = done.send(());
                }
                Some(WorkerAsk::Unlisten { addresses }) => acceptors.retain(|(origin, task)| {
                    let gone = matches!(origin, Origin::Internal(address) if addresses.contains(address));
                    if gone {
                        task.abort();
                    }
                    !gone
                }),
                Some(WorkerAsk::Squeeze { places, relief }) => self.squeeze(places, relief),
                Some(WorkerAsk::Close { endpoints, jitter }) => {
                    spawn_local(Rc::clone(&self.streams).close(Some(endpoints), jitter));
                }
                Some(WorkerAsk::Stop { drain, replaced }) => break (drain, replaced),
                // The control thread is gone without a word: so is the proxy.
                None => break (Duration::ZERO, false),
            }
        };
        for (_, task) in acceptors {
            task.abort();
        }
        self.drain(drain, replaced).await;
        sweep.abort();
    }

    fn swap(&self, compiled: Arc<Compiled>) {
        let mut known = self.endpoints.borrow_mut();
        let mut named = HashMap::new();
        let upstreams = compiled
            .upstreams
            .iter()
            .map(|upstream| {
                let local = upstream.endpoints.iter().map(|(state, reach)| {
                    let key = (state.id.clone(), (reach.clone(), upstream.protocol));
                    let endpoint = named.entry(key).or_insert_with_key(|key| {
                        known.remove(key).unwrap_or_else(|| LocalEndpoint::new(Arc::clone(state), key.1.clone(), (self.index, &self.space)))
                    });
                    Rc::clone(endpoint)
                });
                LocalUpstream::new(local.collect())
            })
            .collect();
        for left in known.values() {
            left.retire();
        }
        *known = named;
        *self.table.borrow_mut() = Rc::new(LocalTable {
            filters: compiled.filters.iter().map(|f| Filters::new(f, self.index)).collect(),
            sites: compiled.local_sites().map(Rc::new).collect(),
            compiled,
            upstreams,
        });
    }

    fn listen(self: &Rc<Self>, listener: std::net::TcpListener, origin: Origin) -> Option<JoinHandle<()>> {
        let listener = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
        match listener {
            Ok(listener) => Some(spawn_local(Rc::clone(self).accept(listener, origin))),
            Err(error) => {
                tracing::error!(%error, ?origin, "a listening socket cannot be used");
                None
            }
        }
    }

    async fn accept(self: Rc<Self>, listener: TcpListener, origin: Origin) {
        loop {
            // A full worker leaves new connections in the kernel's queue, or to another worker.
            while self.counters().connections.load(Relaxed) >= self.places.get() {
                self.press(&"as many connections as there may be");
                tokio::time::sleep(LOOK).await;
            }
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Or the client is gone already. Nothing of this is a reason to spin.
                    if is_exhausted(&error) {
                        self.press(&error);
                    }
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let mut accepted = Accepted::new(&self);
            let outside = matches!(origin, Origin::Http | Origin::Https);
            if outside && self.shared.proxied_by.iter().any(|network| network.contains(peer.ip())) {
                spawn_local(serve_proxied(accepted, stream, peer.ip(), origin));
                continue;
            }
            if outside && !accepted.claim(peer.ip()) {
                continue;
            }
            spawn_local(serve(accepted, stream, peer.ip(), origin));
        }
    }

    /// There is no room for those who wait: whoever holds a connection without using it, or is slow to say what for, gives it up soon.
    fn press(&self, reason: &dyn std::fmt::Display) {
        self.pressed.set(true);
        if let Some(times) = self.crowded.again() {
            tracing::warn!(worker = self.index, %reason, times, "connections wait; idle ones are closed for them");
        }
    }

    /// Memory is short, or no more.
    fn squeeze(&self, places: Option<u32>, relief: Relief) {
        let most = self.shared.max_connections;
        self.places.set(places.unwrap_or(most).min(most));
        if relief != Relief::Nobody {
            self.pressed.set(true);
        }
        if relief == Relief::Slow {
            let conns = self.conns.borrow();
            // A tunnel's bytes pass through; it holds little.
            let mut busy: Vec<&Rc<Conn>> = conns.values().collect();
            busy.sort_by_key(|conn| conn.watch.since());
            for conn in busy.iter().take(busy.len().div_ceil(2)) {
                conn.command(Order::Cut);
            }
        }
    }

    async fn sweep(self: Rc<Self>) {
        let (too_many, crowding) = (Rarely::default(), Rarely::default());
        loop {
            tokio::time::sleep(SWEEP).await;
            self.clock.advance();
            self.date.set(date());
            self.space.rest();
            self.log.flush();
            let beats = &self.counters().beats;
            beats.store(beats.load(Relaxed).wrapping_add(1), Relaxed);
            let pressed = self.pressed.take();
            let idle = self.idle_limit.get().min(if pressed { QUIET } else { IDLE_LIMIT });
            for conn in self.conns.borrow().values() {
                conn.sweep(idle);
                if pressed && conn.watch.reads_head_for(PRESSED_HEAD) {
                    conn.command(Order::Cut);
                }
            }
            if let Some(refused) = too_many.more(self.quota.refused().into()) {
                tracing::warn!(refused, limit = self.shared.max_per_address, "an address has too many connections");
            }
            if let Some(refused) = crowding.more(self.in_flight.refused().into()) {
                tracing::warn!(refused, limit = self.shared.max_per_address, "an address has too many requests at the same time");
            }
            for endpoint in self.endpoints.borrow().values() {
                endpoint.sweep();
            }
        }
    }

    /// From now on the next answer on each HTTP/1 connection is its last; those that stay idle are closed by the sweep, little by little.
    async fn drain(self: &Rc<Self>, limit: Duration, replaced: bool) {
        let start = Instant::now();
        let close_at = limit.saturating_sub(CLOSING);
        self.stopping.set(true);
        for conn in self.conns.borrow().values().filter(|conn| conn.http2) {
            conn.command(Order::Finish);
        }
        let mut closing = false;
        while !self.is_empty() && start.elapsed() < limit {
            self.idle_limit.set(if replaced { idle_limit(start.elapsed(), limit) } else { QUIET });
            if !closing && start.elapsed() >= close_at {
                closing = true;
                let jitter = CLOSING_JITTER.min(limit / 3);
                spawn_local(Rc::clone(&self.streams).close(None, jitter));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_empty(&self) -> bool {
        self.counters().connections.load(Relaxed) == 0 && self.streams.is_empty()
    }
}

async fn serve(accepted: Accepted, stream: TcpStream, client: IpAddr, origin: Origin) {
    match origin {
        Origin::Https => serve_https(accepted, stream, client).await,
        _ => serve_http(accepted, stream, client, origin).await,
    }
}

/// Serves a connection that a load balancer brings. The quota is the client's: all of them come from the load balancer's address.
async fn serve_proxied(mut accepted: Accepted, mut stream: TcpStream, peer: IpAddr, origin: Origin) {
    let Some(client) = prelude::read(&mut stream, peer).await else { return };
    if client == peer || accepted.claim(client) {
        serve(accepted, stream, client, origin).await;
    }
}

/// How long a connection may have been idle when `elapsed` of the drain `limit` is over and another proxy carries on. Clients that speak often have
/// moved to that one by then, told by an answer. The longer one has been silent, the less likely it speaks just when its connection is closed, so
/// those go first.
fn idle_limit(elapsed: Duration, limit: Duration) -> Duration {
    if elapsed < limit / 4 { IDLE_LIMIT } else { limit.saturating_sub(CLOSING + elapsed).max(QUIET) }
}

fn date() -> [u8; 29] {
    let mut text = [0; 29];
    // It is 29 bytes long in any year of four digits.
    let _ = write!(text.as_mut_slice(), "{}", HttpDate::from(SystemTime::now()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_go_one_after_another_in_the_middle_of_the_drain() {
        let at = |elapsed| idle_limit(Duration::from_secs(elapsed), Duration::from_secs(30)).as_secs();
        assert_eq!([0, 7, 8, 15, 24, 29].map(at), [75, 75, 17, 10, 1, 1]);
        assert_eq!(idle_limit(Duration::ZERO, Duration::ZERO), QUIET);
    }
}
