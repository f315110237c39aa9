//! The supervisor: holds the listening sockets, runs the proxy and the agent, and starts them again when they die.
//!
//! It is the parent of `landfall up` without systemd, and speaks systemd's own protocols (LISTEN_FDS, NOTIFY_SOCKET, FDSTORE), so that the
//! proxy is the same program under both. Because the sockets live here, a proxy that dies or is replaced refuses no connection: clients wait
//! in the kernel's queue until the next one accepts. It assumes nothing about what its children do; it carries no request itself.

mod background;
mod child;
mod holder;
mod listen;
mod notify;
mod proxy;
mod record;
mod store;
mod tunable;

pub use background::start_in_background;
pub use child::{environment, open_log};
pub use holder::{is_system, listener_of, ports_of};
pub use listen::Listeners;
pub use record::{Lock, Record, Started};

use crate::error::{Outcome, Plain};
use crate::settings::Home;
use child::{Backoff, Child, Program};
use proxy::{ProxyFailed, ProxyKeeper};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How long the proxy lets connections finish when it is replaced or stopped.
pub const PROXY_DRAIN: Duration = Duration::from_secs(30);
/// Tells an agent that it works for the user who started it and for nobody else. A variable and no flag: after an upgrade an older agent may be
/// started again, which would refuse a flag it does not know.
pub const SINGLE_USER: &str = "LANDFALL_SINGLE_USER";
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
    agent: Option<JoinHandle<()>>,
    proxy: JoinHandle<()>,
    aside: [JoinHandle<()>; 2],
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
    /// The program both children are, looked up again at every start: what an upgrade changes. This very program when absent.
    pub binary: Option<PathBuf>,
    /// Somebody else runs the agent.
    pub without_agent: bool,
}

impl Supervisor {
    /// Starts both children: the proxy first, so that the agent finds the table that is in use. Answers when the proxy carries requests; the
    /// agent is waited for by whoever asks it something.
    pub async fn start(start: Start) -> Outcome<Self> {
        let Start { home, lock, listeners, detached, binary, without_agent } = start;
        let binary = binary.map_or_else(own_binary, Ok)?;
        let (order, orders) = watch::channel(Order::Run);
        let mut record = Record::write(&home, &listeners, detached)?;
        let keeper = ProxyKeeper::new(&home, binary.clone(), listeners)?;
        let (nudge, mut carrier) = (keeper.nudge(), keeper.carrier());
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let proxy = tokio::spawn(keeper.keep(orders.clone(), ready));
        if let Err(why) = is_ready.await.unwrap_or_else(|_| Err(ProxyFailed::lost())) {
            order.send_replace(Order::Kill);
            let _ = proxy.await;
            Record::remove(&home);
            return Err(why.into());
        }
        let restart = Arc::new(Notify::new());
        let agent = (!without_agent).then(|| tokio::spawn(keep_agent(agent_program(&home, binary, &record), orders, Arc::clone(&restart))));
        let signals = tokio::spawn(async move {
            let (Ok(mut replace_proxy), Ok(mut restart_agent)) = (signal(SignalKind::user_defined1()), signal(SignalKind::user_defined2()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = replace_proxy.recv() => nudge.notify_one(),
                    _ = restart_agent.recv() => restart.notify_one(),
                }
            }
        });
        record.proxy = carrier.borrow_and_update().clone();
        record_proxy(&record, &home);
        let (mut told, told_home) = (record.clone(), home.clone());
        let telling = tokio::spawn(async move {
            while carrier.changed().await.is_ok() {
                told.proxy = carrier.borrow_and_update().clone();
                record_proxy(&told, &told_home);
            }
        });
        Ok(Self { order, agent, proxy, aside: [signals, telling], record, home, _lock: lock })
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
        if let Some(agent) = &mut self.agent {
            let _ = agent.await;
        }
        let _ = (&mut self.proxy).await;
        self.aside.iter().for_each(JoinHandle::abort);
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

/// Requests are carried whether or not this can be written.
fn record_proxy(record: &Record, home: &Home) {
    if let Err(error) = record.save(home) {
        tracing::warn!(%error, "who carries requests cannot be written down");
    }
}

fn agent_program(home: &Home, binary: PathBuf, record: &Record) -> Program {
    let mut argv = vec!["agent".into(), "--home".into(), home.path().as_os_str().to_owned()];
    for (flag, url) in [("--http", &record.http), ("--https", &record.https)] {
        if let Some(url) = url {
            argv.extend([flag.into(), url.into()]);
        }
    }
    Program {
        binary,
        argv,
        log: home.log("agent"),
        notify: None,
        watchdog: None,
        environment: vec![(SINGLE_USER, "1".into())],
        fds: Vec::new(),
    }
}

/// Runs the agent until told otherwise. `restart` ends it, and the next is started at once: it is another program after an upgrade.
async fn keep_agent(program: Program, mut orders: watch::Receiver<Order>, restart: Arc<Notify>) {
    let mut backoff = Backoff::default();
    loop {
        let up = match program.spawn() {
            Ok(mut child) => {
                tokio::select! {
                    status = child.wait() => tracing::warn!(%status, "the agent ended"),
                    () = restart.notified() => {
                        tracing::info!("the agent is restarted");
                        end(&mut child, &mut orders, AGENT_GRACE).await;
                        backoff = Backoff::default();
                        continue;
                    }
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
            () = restart.notified() => backoff = Backoff::default(),
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
