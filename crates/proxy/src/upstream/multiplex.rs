//! HTTP/2 without TLS to one endpoint: connections that carry many requests at once (RFC 9113 §3.3, prior knowledge).
//!
//! A connection takes only so many requests that the windows of all of them fit into its own: a client that does not read its answer then holds
//! up nobody who shares the connection. There is no PING to find out whether the application lives: gRPC servers take PINGs of an idle
//! connection for an attack, and the health checks ask anyway.

use crate::upstream::body::RequestBody;
use crate::upstream::http1::MAX_HEAD;
use crate::upstream::reach::{CONNECT_LIMIT, Reach};
use crate::worker::LocalExecutor;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Requests on one connection, as far as the application allows so many.
const MAX_STREAMS: usize = 64;
/// Of an answer that may be under way, per request and per connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// Of a request's body that is kept for an application that does not take it yet.
const SEND_BUFFER: usize = 64 * 1024;
/// For an application to say on a new connection what it takes, and how often that is looked at.
const TOLD_LIMIT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(2);
/// How long a connection may carry nothing before it is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// One worker's connections to one endpoint.
#[derive(Default)]
pub(crate) struct Multiplex {
    open: RefCell<Vec<Rc<Line>>>,
    /// Held by whoever makes a connection, so that a burst of requests shares one.
    making: Mutex<()>,
    /// Attempts that failed, and the kernel's number for the last: who waited for one need not try the same.
    failed: Cell<(u64, Option<i32>)>,
}

/// One connection.
struct Line {
    sender: SendRequest<RequestBody>,
    /// Streams the application allows.
    allowed: Rc<Cell<usize>>,
    /// It takes WebSockets (RFC 8441 §3).
    tunnels: Rc<Cell<bool>>,
    /// Has its task look at what the application has said.
    waker: Rc<RefCell<Option<Waker>>>,
    busy: Cell<usize>,
    made: Instant,
    since: Cell<Instant>,
}

impl Line {
    fn has_room(&self) -> bool {
        !self.sender.is_closed() && self.busy.get() < MAX_STREAMS.min(self.allowed.get())
    }
}

/// One request's place on a connection, until its answer has ended.
pub(crate) struct Place {
    line: Rc<Line>,
    /// The connection has carried requests before this one.
    pub(crate) reused: bool,
}

impl Place {
    fn new(line: &Rc<Line>, reused: bool) -> Self {
        line.busy.set(line.busy.get() + 1);
        Self { line: Rc::clone(line), reused }
    }

    /// Sends a request whose target is absolute.
    pub(crate) async fn send(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.line.sender.clone().try_send_request(request).await
    }

    /// The application takes WebSockets. It says so right at the beginning of a connection.
    pub(crate) async fn takes_tunnels(&self) -> bool {
        let limit = (self.line.made + TOLD_LIMIT).max(Instant::now() + 3 * LOOK);
        while !self.line.tunnels.get() && !self.line.sender.is_closed() && Instant::now() < limit {
            // hyper wakes it for answers only.
            if let Some(waker) = &*self.line.waker.borrow() {
                waker.wake_by_ref();
            }
            tokio::time::sleep(LOOK).await;
        }
        self.line.tunnels.get()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.busy.set(self.line.busy.get() - 1);
        self.line.since.set(Instant::now());
    }
}

impl Multiplex {
    /// A place on a connection that has room, or on a new one.
    pub(crate) async fn take(&self, reach: &Reach) -> io::Result<Place> {
        if let Some(line) = self.with_room() {
            return Ok(Place::new(&line, true));
        }
        let failed = self.failed.get();
        let _making = self.making.lock().await;
        if let Some(line) = self.with_room() {
            return Ok(Place::new(&line, true));
        }
        if self.failed.get().0 != failed.0 {
            let number = self.failed.get().1;
            return Err(number.map_or_else(|| io::ErrorKind::ConnectionRefused.into(), io::Error::from_raw_os_error));
        }
        let fail = |error: &io::Error| self.failed.set((self.failed.get().0.wrapping_add(1), error.raw_os_error()));
        let line = Rc::new(connect(reach).await.inspect_err(fail)?);
        self.open.borrow_mut().push(Rc::clone(&line));
        Ok(Place::new(&line, false))
    }

    fn with_room(&self) -> Option<Rc<Line>> {
        self.open.borrow().iter().find(|line| line.has_room()).cloned()
    }

    /// Closes connections that carried nothing for too long.
    pub(crate) fn sweep(&self) {
        self.open.borrow_mut().retain(|line| !line.sender.is_closed() && (line.busy.get() > 0 || line.since.get().elapsed() < IDLE_LIMIT));
    }

    /// Keeps no connection any more; what is carried is carried to its end.
    pub(crate) fn clear(&self) {
        self.open.borrow_mut().clear();
    }
}

async fn connect(reach: &Reach) -> io::Result<Line> {
    let made = async {
        let stream = reach.connect().await?;
        let mut builder = http2::Builder::new(LocalExecutor);
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD as u32)
            .max_send_buf_size(SEND_BUFFER);
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)
    };
    let (sender, mut connection) =
        tokio::time::timeout(CONNECT_LIMIT, made).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let allowed = Rc::new(Cell::new(connection.current_max_send_streams()));
    let tunnels = Rc::new(Cell::new(false));
    let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (told, told_tunnels, task) = (Rc::clone(&allowed), Rc::clone(&tunnels), Rc::clone(&waker));
    tokio::task::spawn_local(poll_fn(move |cx| {
        // Its errors reach whoever waits for an answer.
        let ended = Pin::new(&mut connection).poll(cx).map(drop);
        told.set(connection.current_max_send_streams());
        *task.borrow_mut() = Some(cx.waker().clone());
        told_tunnels.set(connection.is_extended_connect_protocol_enabled());
        ended
    }));
    Ok(Line { sender, allowed, tunnels, waker, busy: Cell::new(0), made: Instant::now(), since: Cell::new(Instant::now()) })
}
