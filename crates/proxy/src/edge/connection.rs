//! One client connection, from its worker's point of view: who it is, and the order to finish or be cut.

use crate::accepted::Accepted;
use crate::edge::header::Peer;
use crate::edge::unread::Unread;
use crate::edge::watch::{Verdict, Watch};
use crate::edge::websocket::Tunnelled;
use crate::upstream::interim::Interim;
use crate::worker::Worker;
use http::HeaderValue;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::oneshot;

/// Which socket a connection came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Plain HTTP from outside.
    Http,
    /// HTTPS from outside.
    Https,
    /// The listener that stands for a service inside an app.
    Internal(SocketAddr),
}

/// What the connection's task is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Go on.
    Serve,
    /// Close as soon as no request is lost by it.
    Finish,
    /// Close now.
    Cut,
}

/// One connection.
pub(crate) struct Conn {
    /// Whose thread it lives on.
    pub(crate) worker: Rc<Worker>,
    /// Counts it among the open connections, for as long as a tunnel holds it too.
    _accepted: Accepted,
    /// Keeps its time.
    pub(crate) watch: Rc<Watch>,
    /// Where it came in.
    pub(crate) origin: Origin,
    /// Its address, as its own socket says.
    pub(crate) client: IpAddr,
    /// Ours, which the client came to.
    pub(crate) local: IpAddr,
    /// Absent for calls between services, which are carried as they are.
    pub(crate) peer: Option<Peer>,
    /// The name its TLS handshake asked for.
    pub(crate) server_name: Option<String>,
    /// HTTP/2.
    pub(crate) http2: bool,
    /// Its answers that are not taken; in HTTP/1 the watch sees that.
    pub(crate) unread: Rc<Unread>,
    /// What its client is told before the answer; in HTTP/1.1 there is one request at a time.
    pub(crate) interim: Rc<Interim>,
    requests: Cell<u64>,
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
    /// Who takes the connection when its protocol changes.
    tunnel: RefCell<Option<oneshot::Sender<Tunnelled>>>,
}

impl Conn {
    /// A connection from `peer` to our address `local`.
    pub(crate) fn new(accepted: Accepted, origin: Origin, (peer, local): (IpAddr, IpAddr)) -> Self {
        let scheme = match origin {
            Origin::Https => "https",
            Origin::Http | Origin::Internal(_) => "http",
        };
        let claims = !matches!(origin, Origin::Internal(_));
        // An address is made of digits, letters, dots and colons, so it always is a header value.
        let address = HeaderValue::try_from(peer.to_canonical().to_string()).ok().filter(|_| claims);
        Self {
            watch: Watch::new(&accepted.worker().clock),
            unread: Unread::new(&accepted.worker().clock),
            worker: Rc::clone(accepted.worker()),
            _accepted: accepted,
            origin,
            client: peer.to_canonical(),
            local: local.to_canonical(),
            peer: address.map(|address| Peer { address, scheme, host: None }),
            server_name: None,
            http2: false,
            interim: Rc::default(),
            requests: Cell::new(0),
            order: Cell::new(Order::Serve),
            waker: RefCell::default(),
            tunnel: RefCell::default(),
        }
    }

    /// Counts a request and answers its number on this connection, from 1.
    pub(crate) fn count(&self) -> u64 {
        self.requests.set(self.requests.get() + 1);
        self.requests.get()
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Gives the stream below HTTP/1, should the request under way end HTTP here.
    pub(crate) fn await_tunnel(&self) -> oneshot::Receiver<Tunnelled> {
        let (sender, receiver) = oneshot::channel();
        *self.tunnel.borrow_mut() = Some(sender);
        receiver
    }

    /// Who waits for that.
    pub(crate) fn take_tunnel(&self) -> Option<oneshot::Sender<Tunnelled>> {
        self.tunnel.take()
    }

    /// Gives an order; one given before is only made stricter.
    pub(crate) fn command(&self, order: Order) {
        if order > self.order.get() {
            self.order.set(order);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    /// The present order; the task is woken when there is a stricter one.
    pub(crate) fn poll_order(&self, cx: &Context<'_>) -> Order {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.order.get()
    }

    /// True if the answer about to be given is the last one: HTTP/1 clients are told so with it, and then send nothing more here.
    pub(crate) fn is_last_answer(&self) -> bool {
        !self.http2 && (self.worker.is_stopping() || self.order.get() == Order::Finish)
    }

    /// Compares what it waits for with the limits, and acts. `idle` is the limit between two requests.
    pub(crate) fn sweep(&self, idle: Duration) {
        match self.watch.judge(idle, self.order.get() == Order::Finish) {
            Verdict::Keep => match self.unread.stale() {
                0 => {}
                stale if stale == self.watch.in_flight() => self.command(Order::Cut),
                _ => self.command(Order::Finish),
            },
            Verdict::Finish => self.command(Order::Finish),
            Verdict::Cut => self.command(Order::Cut),
        }
    }
}
