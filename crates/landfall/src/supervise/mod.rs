//! The supervisor: holds the listening sockets, runs the proxy and the agent, and starts them again when they die.
//!
//! It is the parent of `landfall up` without systemd, and speaks systemd's own protocols (LISTEN_FDS, NOTIFY_SOCKET, FDSTORE), so that the
//! proxy is the same program under both. Because the sockets live here, a proxy that dies or is replaced refuses no connection: clients wait
//! in the kernel's queue until the next one accepts. It assumes nothing about what its children do; it carries no request itself.

mod child;
mod holder;
mod listen;
mod notify;
mod proxy;
mod record;
mod store;
mod tunable;

pub use child::{environment, open_log};
pub use listen::Listeners;
pub use record::{Lock, Record, Started};

use crate::error::{Outcome, Plain};
use crate::settings::Home;
use child::{Backoff, Child, Program};
use proxy::{ProxyFailed, ProxyKeeper};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the proxy lets connections finish when it is replaced or stopped.
pub const PROXY_DRAIN: Duration = Duration::from_secs(30);
/// How long the agent has to end after SIGTERM; its rollouts survive it, so it has nothing to finish.
const AGENT_GRACE: Duration = Duration::from_secs(10);

/// What the supervisor is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Keep both alive.
    Run,
    /// End both in order.
    Stop,
    /// End both now.
    Kill,
}

/// A running supervisor. Dropping it kills its children, for their parent-death signal is bound to this process.
pub struct Supervisor {
    order: watch::Sender<Order>,
    agent: JoinHandle<()>,
    proxy: JoinHandle<()>,
    signals: JoinHandle<()>,
    record: Record,
    home: Home,
    _lock: Lock,
}

/// What a supervisor needs to start.
pub struct Start {
    /// Where.
    pub home: Home,
    /// That nobody else supervises here.
    pub lock: Lock,
    /// Bound.
    pub listeners: Listeners,
    /// Nobody watches it in a terminal.
    pub detached: bool,
}

impl Supervisor {
    /// Starts both children: the proxy first, so that the agent finds the table that is in use. Answers when the proxy carries requests; the
    /// agent is waited for by whoever asks it something.
    pub async fn start(start: Start) -> Outcome<Self> {
        let Start { home, lock, listeners, detached } = start;
        let binary = own_binary()?;
        let (order, orders) = watch::channel(Order::Run);
        let record = Record::write(&home, &listeners, detached)?;
        let keeper = ProxyKeeper::new(&home, binary.clone(), listeners)?;
        let nudge = keeper.nudge();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let proxy = tokio::spawn(keeper.keep(orders.clone(), ready));
        if let Err(why) = is_ready.await.unwrap_or_else(|_| Err(ProxyFailed::lost())) {
            order.send_replace(Order::Kill);
            let _ = proxy.await;
            Record::remove(&home);
            return Err(why.into());
        }
        let agent = tokio::spawn(keep_agent(agent_program(&home, binary, &record), orders));
        let signals = tokio::spawn(async move {
            let Ok(mut restart) = signal(SignalKind::user_defined1()) else { return };
            while restart.recv().await.is_some() {
                nudge.notify_one();
            }
        });
        Ok(Self { order, agent, proxy, signals, record, home, _lock: lock })
    }

    /// Where sites are served, as clients type it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Ends proxy and agent in order. Replicas are not touched. [`Supervisor::killer`] hastens it.
    pub async fn stop(mut self) {
        self.order.send_if_modified(|order| {
            let first = *order == Order::Run;
            if first {
                *order = Order::Stop;
            }
            first
        });
        // A task of ours that panicked has told so by the panic hook.
        let _ = (&mut self.agent).await;
        let _ = (&mut self.proxy).await;
        self.signals.abort();
        Record::remove(&self.home);
    }

    /// A way to hasten [`Supervisor::stop`] that outlives the call to it.
    pub fn killer(&self) -> impl Fn() + Send + 'static {
        let order = self.order.clone();
        move || {
            order.send_replace(Order::Kill);
        }
    }
}

/// This very program, even when its file was replaced since: children must be of the version that supervises them.
pub fn own_binary() -> Outcome<PathBuf> {
    let path = std::env::current_exe().map_err(|e| Plain::failed("no-binary", "cannot find Landfall's own program file").because(e))?;
    // After an upgrade in place the link reads `… (deleted)`; then the file of that name is the new version, and the one to run.
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(replaced) => Ok(replaced.into()),
        None => Ok(path),
    }
}

fn agent_program(home: &Home, binary: PathBuf, record: &Record) -> Program {
    let mut argv = vec!["agent".into(), "--home".into(), home.path().as_os_str().to_owned()];
    for (flag, url) in [("--http", &record.http), ("--https", &record.https)] {
        if let Some(url) = url {
            argv.extend([flag.into(), url.into()]);
        }
    }
    Program { binary, argv, log: home.log("agent"), notify: None, watchdog: None, environment: Vec::new(), fds: Vec::new() }
}

/// Runs the agent until told otherwise.
async fn keep_agent(program: Program, mut orders: watch::Receiver<Order>) {
    let mut backoff = Backoff::default();
    loop {
        let up = match program.spawn() {
            Ok(mut child) => {
                tokio::select! {
                    status = child.wait() => tracing::warn!(%status, "the agent ended"),
                    () = stop_ordered(&mut orders) => return end(&mut child, &mut orders, AGENT_GRACE).await,
                }
                child.up()
            }
            Err(error) => {
                tracing::error!(%error, "the agent cannot be started");
                Duration::ZERO
            }
        };
        tokio::select! {
            () = tokio::time::sleep(backoff.next(up)) => {}
            _ = stop_ordered(&mut orders) => return,
        }
    }
}

/// Waits until the supervisor is told to end. A supervisor that is gone is told so too.
async fn stop_ordered(orders: &mut watch::Receiver<Order>) {
    let _ = orders.wait_for(|order| *order != Order::Run).await;
}

/// Waits until there is no more patience.
async fn kill_ordered(orders: &mut watch::Receiver<Order>) {
    let _ = orders.wait_for(|order| *order == Order::Kill).await;
}

/// SIGTERM, `grace`, SIGKILL.
async fn end(child: &mut Child, orders: &mut watch::Receiver<Order>, grace: Duration) {
    child.terminate();
    tokio::select! {
        _ = child.wait() => return,
        () = tokio::time::sleep(grace) => {}
        () = kill_ordered(orders) => {}
    }
    child.kill().await;
}
