//! Keeps one proxy alive, and replaces it without refusing a connection.
//!
//! Replacing: the new proxy is started on the same sockets and waited for; then the old one is asked to end and finishes what it holds beside
//! the new one. A proxy that dies is started again at once, one that is silent (stopped, or with a thread that is stuck) is killed first; connections that
//! arrive in between wait in the kernel's queue.

use super::child::{Backoff, Child, Program};
use super::notify::{Notice, NotifySocket, Said};
use super::record::Carrier;
use super::store::FdStore;
use super::{Listeners, Order, PROXY_DRAIN, end, stop_ordered, tunable};
use crate::error::{Explain, Outcome, Plain};
use crate::settings::Home;
use landfall_model::api::Failure;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

/// How long a new proxy may take until it carries requests.
const READY_LIMIT: Duration = Duration::from_secs(15);
/// A proxy that runs and says nothing in so many seconds of the supervisor's own is stuck.
const SILENT_SECONDS: u32 = 4;
/// The same, as it is told.
const WATCHDOG: Duration = Duration::from_secs(SILENT_SECONDS as u64);
/// Over and above the drain limit, before a proxy that was asked to end is killed.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// The proxy did not come up.
#[derive(Debug, thiserror::Error)]
#[error("the proxy did not start: {reason}")]
pub(super) struct ProxyFailed {
    reason: String,
    log: Vec<String>,
}

impl ProxyFailed {
    /// Its keeper is gone.
    pub(super) fn lost() -> Self {
        Self { reason: "its keeper ended".to_owned(), log: Vec::new() }
    }
}

impl Explain for ProxyFailed {
    fn code(&self) -> &str {
        "proxy-failed"
    }
    fn failure(&self) -> Failure {
        Failure { code: self.code().to_owned(), message: self.to_string(), causes: Vec::new(), hints: Vec::new(), log: self.log.clone() }
    }
}

/// Keeps the proxy.
pub(super) struct ProxyKeeper {
    program: Program,
    sockets: Vec<(String, Arc<OwnedFd>)>,
    store: FdStore,
    notify: NotifySocket,
    nudge: Arc<Notify>,
    /// The proxy that is coming up was spawned without a socket that the one before it has opened since.
    behind: bool,
    /// Who carries requests, for those who look.
    carrier: watch::Sender<Carrier>,
}

/// Why a phase of a proxy's life ended.
enum Turn {
    Ready,
    Ended(String),
    Replace,
    Stop,
    Late,
    Silent,
}

impl ProxyKeeper {
    /// Nothing runs yet.
    pub(super) fn new(home: &Home, binary: PathBuf, listeners: Listeners) -> Outcome<Self> {
        let path = home.notify_socket();
        let notify =
            NotifySocket::bind(&path).map_err(|e| Plain::failed("home-unusable", format!("cannot bind {}", path.display())).because(e))?;
        let drain = PROXY_DRAIN.as_secs().to_string();
        let mut argv: Vec<OsString> =
            vec!["proxy".into(), "--home".into(), home.path().as_os_str().to_owned(), "--drain".into(), drain.into()];
        argv.extend(listeners.arguments());
        let environment = tunable::tunables().map(|value| (tunable::NAME, value)).into_iter().collect();
        let log = home.log("proxy");
        let program = Program { binary, argv, log, notify: Some(path), watchdog: Some(WATCHDOG), environment, fds: Vec::new() };
        Ok(Self {
            program,
            sockets: listeners.into_named(),
            store: FdStore::default(),
            notify,
            nudge: Arc::new(Notify::new()),
            behind: false,
            carrier: watch::Sender::new(Carrier::default()),
        })
    }

    /// Who carries requests, from now on.
    pub(super) fn carrier(&self) -> watch::Receiver<Carrier> {
        self.carrier.subscribe()
    }

    /// What asks for a replacement.
    pub(super) fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// Runs until told otherwise. `ready` hears how the first start went.
    pub(super) async fn keep(mut self, mut orders: watch::Receiver<Order>, ready: oneshot::Sender<Result<(), ProxyFailed>>) {
        let mut ready = Some(ready);
        let mut backoff = Backoff::default();
        loop {
            let (reason, up) = match self.spawn() {
                Ok(child) => match self.live(child, &mut orders, &mut ready).await {
                    Some(ended) => ended,
                    None => return,
                },
                Err(error) => (error.to_string(), Duration::ZERO),
            };
            tracing::warn!(%reason, "the proxy ended");
            if let Some(ready) = ready.take() {
                let _ = ready.send(Err(ProxyFailed { reason, log: last_lines(&self.program.log) }));
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next(up)) => {}
                () = stop_ordered(&mut orders) => return,
            }
        }
    }

    /// One proxy's life and that of those who replace it. Answers why the last one ended and how long it was up; nothing when it was told to.
    async fn live(
        &mut self,
        mut child: Child,
        orders: &mut watch::Receiver<Order>,
        ready: &mut Option<oneshot::Sender<Result<(), ProxyFailed>>>,
    ) -> Option<(String, Duration)> {
        let mut limit = Some(READY_LIMIT);
        loop {
            match self.turn(&mut child, orders, limit).await {
                Turn::Ready => {
                    tracing::info!(pid = child.pid(), "the proxy is ready");
                    self.carrier.send_modify(|carrier| carrier.pid = child.pid());
                    limit = None;
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(Ok(()));
                    }
                }
                Turn::Ended(reason) => return Some((reason, child.up())),
                Turn::Stop => {
                    end(&mut child, orders, PROXY_DRAIN + DRAIN_MARGIN).await;
                    return None;
                }
                Turn::Replace => child = self.replace(child, orders).await,
                Turn::Late => return Some(killed(child, format!("not ready within {} s", READY_LIMIT.as_secs()))),
                Turn::Silent => return Some(killed(child, format!("it has been stuck for {SILENT_SECONDS} s and was killed"))),
            }
        }
    }

    /// Puts a new proxy beside the old one and then ends the old one. Answers the one that stays: the old one if the new does not come up.
    async fn replace(&mut self, old: Child, orders: &mut watch::Receiver<Order>) -> Child {
        self.behind = false;
        let mut new = match self.spawn() {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, "a new proxy cannot be started; the old one stays");
                self.replaced(Err(format!("it cannot be started: {error}")));
                return old;
            }
        };
        match self.turn(&mut new, orders, Some(READY_LIMIT)).await {
            Turn::Ready => {}
            Turn::Ended(reason) => {
                tracing::error!(%reason, "the new proxy ended at once; the old one stays");
                self.replaced(Err(format!("it ended at once: {reason}")));
                return old;
            }
            Turn::Stop | Turn::Late | Turn::Replace | Turn::Silent => {
                tracing::error!("the new proxy is not ready in time; the old one stays");
                new.kill_aside();
                self.replaced(Err(format!("it was not ready within {} s", READY_LIMIT.as_secs())));
                return old;
            }
        }
        tracing::info!(old = old.pid(), new = new.pid(), "the proxy is replaced");
        self.replaced(Ok(new.pid()));
        if self.behind {
            tracing::info!("a socket was opened meanwhile; the next proxy gets it");
            self.nudge.notify_one();
        }
        let mut orders = orders.clone();
        tokio::spawn(async move {
            let mut old = old;
            end(&mut old, &mut orders, PROXY_DRAIN + DRAIN_MARGIN).await;
        });
        new
    }

    /// Tells how a replacement went.
    fn replaced(&self, done: Result<i32, String>) {
        self.carrier.send_modify(|carrier| {
            carrier.replacements += 1;
            carrier.refused = done.map(|pid| carrier.pid = pid).err();
        });
    }

    /// Waits for something that concerns this proxy; keeps its sockets meanwhile.
    async fn turn(&mut self, child: &mut Child, orders: &mut watch::Receiver<Order>, limit: Option<Duration>) -> Turn {
        let pid = child.pid();
        let starting = limit.is_some();
        let late = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        // Counted in seconds that this process has lived through: a machine that was paused as a whole is no fault of the proxy's.
        let mut silent = 0;
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // What a proxy said before it died counts, and so does what it said before it was found silent.
                biased;
                notice = self.notify.receive() => match notice {
                    Ok(notice) => {
                        if notice.pid == pid {
                            silent = 0;
                        }
                        if self.note(notice, pid) {
                            return Turn::Ready;
                        }
                    }
                    Err(error) => tracing::error!(%error, "a message of a child cannot be read"),
                },
                status = child.wait() => return Turn::Ended(status),
                () = stop_ordered(orders) => return Turn::Stop,
                () = self.nudge.notified(), if !starting => return Turn::Replace,
                () = &mut late => return Turn::Late,
                _ = second.tick(), if !starting => {
                    silent += 1;
                    if silent > SILENT_SECONDS {
                        return Turn::Silent;
                    }
                }
            }
        }
    }

    /// Does what a child asks for. Answers whether `pid` said that it is ready.
    fn note(&mut self, notice: Notice, pid: i32) -> bool {
        let mut ready = false;
        for said in notice.said {
            match said {
                Said::Ready => ready = notice.pid == pid,
                // That it said anything is what counts.
                Said::Alive => {}
                Said::Status(status) => tracing::info!(pid = notice.pid, %status, "a child tells"),
                Said::Forget { name } => self.store.forget(&name),
                Said::Keep { name, fds } => {
                    for fd in fds {
                        match self.store.keep(&name, fd) {
                            Ok(new) => self.behind |= new && notice.pid != pid,
                            Err(error) => tracing::warn!(%error, name, "a socket is not stored"),
                        }
                    }
                }
            }
        }
        ready
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let fds = self.sockets.iter().map(|(name, fd)| (name.clone(), Arc::clone(fd))).chain(self.store.all()).collect();
        Program { fds, ..self.program.clone() }.spawn()
    }
}

/// Makes an end of a proxy that would not come to one. Its successor need not wait for that: the sockets are not its own.
fn killed(child: Child, reason: String) -> (String, Duration) {
    let up = child.up();
    child.kill_aside();
    (reason, up)
}

/// The end of a log, for a person.
fn last_lines(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].iter().map(|line| (*line).to_owned()).collect()
}
