//! Starts and stops the threads.

use crate::access;
use crate::boot::id as boot_id;
use crate::certificate::{CertificateStore, server_config};
use crate::control::{Control, ControlSocket, Sockets, TableFile};
use crate::edge::connection::Origin;
use crate::edge::guess::Guesses;
use crate::error::ProxyError;
use crate::listener::{Listeners, share_out};
use crate::names::{NameServers, Names};
use crate::notify::Notifier;
use crate::shared::{Counters, Ports, Shared};
use crate::table::endpoint::Endpoints;
use crate::worker::{Worker, WorkerAsk};
use landfall_model::filter::Network;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Threads of each worker that wait for files to come from a disk.
const READERS: usize = 8;
/// Descriptors kept for everything that is not a client and its upstream.
const RESERVED_FILES: u64 = 256;
const MAX_CONNECTIONS: u64 = 100_000;
/// Connections of one client address with one worker, however few or many there may be in all.
const MIN_PER_ADDRESS: u32 = 64;
const MAX_PER_ADDRESS: u32 = 1000;
/// Requests of one replica with one worker, however few connections there may be.
const MIN_PER_REPLICA: u32 = 64;

/// How `landfall proxy` runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `LANDFALL_HOME`: `run/proxy.sock` and `proxy/table.json` are in it.
    pub home: PathBuf,
    /// How long a stopping proxy lets connections finish.
    pub drain: Duration,
    /// Worker threads; at least one is started.
    pub workers: usize,
    /// Load balancers that say by PROXY protocol, version 2, whose connections they bring, and must.
    pub proxied_by: Vec<Network>,
}

/// Everything a proxy can be started with.
#[derive(Debug)]
pub struct Config {
    /// As for `landfall proxy`.
    pub settings: Settings,
    /// Sockets that are open already.
    pub listeners: Listeners,
    /// The supervisor's `NOTIFY_SOCKET`.
    pub notify: Option<OsString>,
    /// The supervisor kills a proxy that says nothing for so long.
    pub watchdog: Option<Duration>,
    /// Where questions about other names go.
    pub name_servers: NameServers,
    /// Port of the name service in container networks: 53, but for tests.
    pub names_port: u16,
    /// SIGTERM and SIGINT stop the proxy.
    pub signals: bool,
    /// Connections one client address may have with each worker, and requests that applications work on; chosen by the limit on open files if absent.
    pub max_per_address: Option<u32>,
    /// Requests one replica may have of each worker at the same time; three quarters of the connections if absent, but never fewer
    /// than 64.
    pub max_per_replica: Option<u32>,
    /// Which life of the machine this is; a table that was told in another one has no addresses. See [`boot_id`].
    pub boot: Option<String>,
}

/// A running proxy.
#[derive(Debug)]
pub struct Handle {
    stop: Option<oneshot::Sender<()>>,
    control: Option<Thread>,
    workers: Vec<Thread>,
    log: Option<JoinHandle<()>>,
}

/// A running thread and how it ended.
type Thread = JoinHandle<Result<(), ProxyError>>;

/// Runs the proxy with the sockets of `LISTEN_FDS` until SIGTERM or SIGINT, then lets connections finish.
///
/// # Errors
/// What keeps it from starting. What happens later is logged, answered or both.
pub fn run(settings: Settings) -> Result<(), ProxyError> {
    let config = Config {
        settings,
        listeners: Listeners::from_env()?,
        notify: std::env::var_os("NOTIFY_SOCKET"),
        watchdog: crate::notify::watchdog(|name| std::env::var(name).ok()),
        name_servers: NameServers::File(PathBuf::from("/etc/resolv.conf")),
        names_port: 53,
        signals: true,
        max_per_address: None,
        max_per_replica: None,
        boot: boot_id(),
    };
    Proxy::start(config)?.join()
}

/// The proxy.
#[derive(Debug)]
pub struct Proxy;

impl Proxy {
    /// Starts the threads; returns when the last table is loaded and every worker accepts.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn start(config: Config) -> Result<Handle, ProxyError> {
        let count = config.settings.workers.max(1);
        let certificates = Arc::new(CertificateStore::default());
        let max_connections = max_connections(count);
        let failed = |source| ProxyError::Thread { name: "access-log".to_owned(), source };
        let (log, log_thread) = access::start(config.settings.home.join("logs/access.log")).map_err(failed)?;
        let shared = Arc::new(Shared {
            tls: server_config(Arc::clone(&certificates))?,
            ports: Ports { http: port(&config.listeners.http, 80), https: port(&config.listeners.https, 443) },
            counters: std::iter::repeat_with(Counters::default).take(count).collect(),
            max_connections,
            log,
            proxied_by: config.settings.proxied_by.clone(),
            // A quarter, so that no address can keep all others out; no more than a busy company behind one address needs.
            // Where there are few places anyway they are what counts.
            max_per_replica: config.max_per_replica.unwrap_or((max_connections / 4 * 3).max(MIN_PER_REPLICA)),
            guesses: Guesses::default(),
            max_per_address: config.max_per_address.unwrap_or((max_connections / 4).clamp(MIN_PER_ADDRESS, MAX_PER_ADDRESS)),
        });
        let mut workers = Vec::with_capacity(count);
        let mut asks = Vec::with_capacity(count);
        for index in 0..count {
            let (ask, asked) = mpsc::unbounded_channel();
            let shared = Arc::clone(&shared);
            asks.push(ask);
            workers.push(thread(&format!("worker-{index}"), move || async move {
                Worker::new(index, shared).run(asked).await;
                Ok(())
            })?);
        }
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let parts = Parts { shared, certificates, asks, stopped, ready };
        let control = thread("control", move || serve(config, parts))?;
        let handle = Handle { stop: Some(stop), control: Some(control), workers, log: Some(log_thread) };
        match is_ready.recv() {
            Ok(()) => Ok(handle),
            Err(_) => handle.join().and(Err(ProxyError::Ended)),
        }
    }
}

impl Handle {
    /// Lets connections finish, at most for the drain time, and ends.
    ///
    /// # Errors
    /// That of the control thread, if it ended badly.
    pub fn stop(mut self) -> Result<(), ProxyError> {
        // Gone already if it was stopped by a signal.
        let _ = self.stop.take().map(|stop| stop.send(()));
        self.join()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// That of the control thread, if it ended badly.
    pub fn join(mut self) -> Result<(), ProxyError> {
        let ended = |name: &str| ProxyError::Thread { name: name.to_owned(), source: io::Error::other("it panicked") };
        let result = self.control.take().map_or(Ok(()), |control| control.join().unwrap_or_else(|_| Err(ended("control"))));
        for worker in self.workers.drain(..) {
            // A worker that could not even start is why the control thread ended, so this comes first.
            worker.join().unwrap_or_else(|_| Err(ended("worker")))?;
        }
        // Everybody who could write a line is gone by now.
        if let Some(log) = self.log.take() {
            log.join().map_err(|_| ended("access-log"))?;
        }
        result
    }
}

/// What the control thread gets from the one that starts it.
struct Parts {
    shared: Arc<Shared>,
    certificates: Arc<CertificateStore>,
    asks: Vec<mpsc::UnboundedSender<WorkerAsk>>,
    stopped: oneshot::Receiver<()>,
    ready: std::sync::mpsc::Sender<()>,
}

/// The control thread's life. Returning early ends the workers too, because their channels close.
async fn serve(config: Config, parts: Parts) -> Result<(), ProxyError> {
    let Config { settings, mut listeners, notify, watchdog, name_servers, names_port, signals, boot, .. } = config;
    let count = parts.asks.len();
    let http = std::mem::take(&mut listeners.http);
    let https = std::mem::take(&mut listeners.https);
    let control = Rc::new(Control {
        shared: parts.shared,
        workers: parts.asks,
        certificates: parts.certificates,
        notifier: Notifier::new(notify),
        file: Some(TableFile::new(settings.home.join("proxy/table.json"), boot)),
        endpoints: RefCell::new(Endpoints::new(count)),
        current: Rc::default(),
        sockets: Mutex::new(Sockets::new(listeners, names_port)),
        names: RefCell::new(Names::new(name_servers, names_port)),
        stood: RefCell::default(),
        missed: RefCell::default(),
    });
    control.restore().await;
    control.listen(shares(&http, &https, count)?).await.map_err(|_| ProxyError::Ended)?;
    // Workers have their copies; ours would keep the port open after they stopped accepting.
    drop((http, https));
    let socket = Rc::new(ControlSocket::bind(&settings.home.join("run/proxy.sock"))?);
    // From here on the agent asks this proxy; what it told the one before in the meantime is on disk.
    control.catch_up().await;
    control.notifier.ready();
    let _ = parts.ready.send(());
    tokio::select! {
        () = Rc::clone(&socket).serve(Rc::clone(&control)) => {}
        () = control.watch_health() => {}
        () = control.open_missed() => {}
        () = control.tell_alive(watchdog) => {}
        () = control.watch_memory() => {}
        () = asked_to_stop(parts.stopped, signals) => {}
    }
    control.stop(settings.drain, socket.is_replaced());
    Ok(())
}

async fn asked_to_stop(stopped: oneshot::Receiver<()>, signals: bool) {
    let stopped = async {
        // A handle that was dropped without a word does not stop the proxy.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let term = terminated(SignalKind::terminate(), signals);
    let interrupt = terminated(SignalKind::interrupt(), signals);
    tokio::select! {
        () = stopped => {}
        () = term => {}
        () = interrupt => {}
    }
}

async fn terminated(kind: SignalKind, wanted: bool) {
    match wanted.then(|| signal(kind)) {
        Some(Ok(mut signal)) => drop(signal.recv().await),
        Some(Err(error)) => tracing::error!(%error, "signals cannot be received"),
        None => std::future::pending().await,
    }
}

fn shares(http: &[TcpListener], https: &[TcpListener], workers: usize) -> Result<Vec<Vec<(TcpListener, Origin)>>, ProxyError> {
    let mut shares: Vec<Vec<(TcpListener, Origin)>> = std::iter::repeat_with(Vec::new).take(workers).collect();
    for (name, sockets, origin) in [("http", http, Origin::Http), ("https", https, Origin::Https)] {
        let refused = |source| ProxyError::Listener { name: name.to_owned(), source };
        for (share, sockets) in shares.iter_mut().zip(share_out(sockets, workers).map_err(refused)?) {
            share.extend(sockets.into_iter().map(|socket| (socket, origin)));
        }
    }
    Ok(shares)
}

fn port(listeners: &[TcpListener], otherwise: u16) -> u16 {
    listeners.first().and_then(|listener| listener.local_addr().ok()).map_or(otherwise, |address| address.port())
}

/// Raises the limit on open files as far as it goes, and answers how many connections a worker may have with it: each may need a second
/// descriptor towards the application.
fn max_connections(workers: usize) -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = (files.saturating_sub(RESERVED_FILES) / 2).clamp(16, MAX_CONNECTIONS);
    u32::try_from(connections / workers as u64).unwrap_or(u32::MAX).max(8)
}

/// A thread with an event loop of its own. The loop spawns tasks that stay on the thread, so it can only be made there.
fn thread<F>(name: &str, body: impl FnOnce() -> F + Send + 'static) -> Result<Thread, ProxyError>
where
    F: Future<Output = Result<(), ProxyError>>,
{
    let failed = |name: String, source| ProxyError::Thread { name, source };
    let own = name.to_owned();
    let run = move || {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(READERS).build_local(LocalOptions::default());
        runtime.map_err(|source| failed(own, source))?.block_on(body())
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| failed(name.to_owned(), source))
}
