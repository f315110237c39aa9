//! The proxy's own thread for everything that is not carrying requests: it answers the agent, prepares tables, watches endpoints and answers
//! name questions. Workers get finished tables and never wait for it.

mod memory;
mod pulse;
mod socket;
mod sockets;
mod stood;
mod store;
mod swap;

use crate::certificate::CertificateStore;
use crate::edge::refusal::Reason;
use crate::error::SwapError;
use crate::health;
use crate::names::Names;
use crate::notify::Notifier;
use crate::shared::Shared;
use crate::table::Compiled;
use crate::table::endpoint::Endpoints;
use crate::upstream::probe;
use crate::worker::WorkerAsk;
use landfall_model::control::{Answer, Ask, ProxyStatus};
use landfall_model::metrics::{Metrics, RouteTally, Tally};
use landfall_model::route::RouteTable;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

pub(crate) use socket::ControlSocket;
pub(crate) use sockets::Sockets;
use stood::Stood;
use store::Kept;
pub(crate) use store::TableFile;
use swap::Strictness;

/// Whom a probe of the agent's gate says it is from, and how long it may take.
const GATE: &str = "landfall-gate";
const GATE_LIMIT: Duration = Duration::from_secs(5);

/// The control thread's state.
pub(crate) struct Control {
    /// What workers share.
    pub(crate) shared: Arc<Shared>,
    /// The way to each worker.
    pub(crate) workers: Vec<mpsc::UnboundedSender<WorkerAsk>>,
    /// Certificates in use.
    pub(crate) certificates: Arc<CertificateStore>,
    /// Tells the supervisor.
    pub(crate) notifier: Notifier,
    /// Where the table survives a restart; nowhere if absent.
    pub(crate) file: Option<TableFile>,
    /// Every endpoint known.
    pub(crate) endpoints: RefCell<Endpoints>,
    /// The table in use, for health checks and status.
    pub(crate) current: Rc<RefCell<Arc<Compiled>>>,
    /// Sockets opened for the table. One swap at a time holds this.
    pub(crate) sockets: Mutex<Sockets>,
    /// Answers name questions.
    pub(crate) names: RefCell<Names>,
    /// What the last table had.
    pub(crate) stood: RefCell<Stood>,
    /// The table in use, if something of it could not be opened.
    pub(crate) missed: RefCell<Option<RouteTable>>,
}

impl Control {
    /// Loads the table of the proxy before this one, as far as it can still be used.
    pub(crate) async fn restore(&self) {
        let Some(file) = &self.file else { return };
        match file.load() {
            Ok(Some(kept)) => {
                if !kept.confirmed {
                    tracing::warn!(
                        generation = kept.table.generation,
                        "the machine has started since the last table: no address in it is used until the agent confirms it"
                    );
                }
                if let Err(error) = self.use_kept(kept).await {
                    tracing::error!(%error, "the last table cannot be used");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the last table cannot be read"),
        }
    }

    /// Takes over what an earlier proxy was told while this one started. Errors were told by `restore`.
    pub(crate) async fn catch_up(&self) {
        let Some(Ok(Some(kept))) = self.file.as_ref().map(TableFile::load) else { return };
        let newer = kept.table.generation > self.current.borrow().generation;
        if newer && let Err(error) = self.use_kept(kept).await {
            tracing::error!(%error, "the newest table cannot be used");
        }
    }

    async fn use_kept(&self, Kept { table, confirmed }: Kept) -> Result<(), SwapError> {
        *self.stood.borrow_mut() = Stood::of(&table);
        self.swap(table, if confirmed { Strictness::Tolerant } else { Strictness::Unconfirmed }).await
    }

    /// Answers one question of the agent.
    pub(crate) async fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Swap { table } => self.answer_swap(table).await,
            Ask::Status => Answer::Status(self.status()),
            Ask::Probe(asked) => Answer::Probed(probe::probe(&asked, (GATE, GATE_LIMIT)).await),
            Ask::Metrics => Answer::Metrics(Box::new(self.metrics())),
            Ask::Close { endpoints, jitter_ms } => {
                self.close(endpoints.into_iter().collect(), Duration::from_millis(jitter_ms));
                Answer::Closing
            }
        }
    }

    async fn answer_swap(&self, table: RouteTable) -> Answer {
        let generation = table.generation;
        match self.swap(table, Strictness::Strict).await {
            Ok(()) => {
                tracing::info!(generation, "table in use");
                Answer::Swapped { generation }
            }
            Err(error) => {
                tracing::warn!(generation, %error, "table refused");
                Answer::Refused { code: error.code().to_owned(), message: error.to_string(), taken: error.taken() }
            }
        }
    }

    fn close(&self, endpoints: HashSet<String>, jitter: Duration) {
        for worker in &self.workers {
            let _ = worker.send(WorkerAsk::Close { endpoints: endpoints.clone(), jitter });
        }
    }

    fn status(&self) -> ProxyStatus {
        let current = self.current.borrow().clone();
        let mut endpoints = self.endpoints.borrow_mut();
        forget_drained(&mut endpoints, &current);
        let mut status = ProxyStatus {
            generation: current.generation,
            pid: std::process::id(),
            endpoints: endpoints.iter().map(|state| (state.id.clone(), state.status())).collect(),
            faults: endpoints.iter().filter_map(|state| Some((state.id.clone(), state.last_fault()?))).collect(),
            ..ProxyStatus::default()
        };
        for counters in &self.shared.counters {
            status.requests += counters.requests.load(Relaxed);
            status.failures += counters.failures.load(Relaxed);
            status.connections += u64::from(counters.connections.load(Relaxed));
        }
        status
    }

    fn metrics(&self) -> Metrics {
        let current = self.current.borrow().clone();
        // An app's routes of one path, at different hosts, are counted as one.
        let mut routes: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
        for filters in &current.filters {
            routes.entry(filters.name()).or_default().add(&filters.meter.tally());
        }
        let tally = |((app, route), tally): ((&str, &str), Tally)| RouteTally { app: app.to_owned(), route: route.to_owned(), tally };
        let mut metrics = Metrics {
            routes: routes.into_iter().map(tally).collect(),
            endpoints: self.endpoints.borrow().iter().map(|state| (state.id.clone(), state.meter.tally())).collect(),
            log_dropped: self.shared.log.dropped(),
            names_refused: self.names.borrow().refused(),
            ..Metrics::default()
        };
        for counters in &self.shared.counters {
            metrics.connections += u64::from(counters.connections.load(Relaxed));
            metrics.handshakes_full += counters.handshakes_full.load(Relaxed);
            metrics.handshakes_resumed += counters.handshakes_resumed.load(Relaxed);
            metrics.handshakes_failed += counters.handshakes_failed.load(Relaxed);
            for (reason, count) in Reason::ALL.iter().zip(&counters.refused) {
                *metrics.refused.entry(reason.word().to_owned()).or_default() += count.load(Relaxed);
            }
        }
        metrics
    }

    /// Checks endpoints for ever.
    pub(crate) async fn watch_health(&self) {
        health::watch(Rc::clone(&self.current)).await;
    }

    /// Accepts nothing more; workers finish within `drain`. `replaced` if another proxy carries on.
    pub(crate) fn stop(&self, drain: Duration, replaced: bool) {
        self.notifier.stopping();
        // Another proxy may already answer at the same sockets.
        self.names.borrow_mut().close_all();
        for worker in &self.workers {
            let _ = worker.send(WorkerAsk::Stop { drain, replaced });
        }
    }
}

/// Endpoints the table does not name and nobody uses are not worth remembering.
fn forget_drained(endpoints: &mut Endpoints, current: &Compiled) {
    let named: HashSet<&str> =
        current.upstreams.iter().flat_map(|upstream| &upstream.endpoints).map(|(state, _)| state.id.as_str()).collect();
    endpoints.retain(|id| named.contains(id));
}
