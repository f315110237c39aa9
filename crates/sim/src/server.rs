//! One server: what outlives every agent, and the lives of agents on it.

use crate::app::App;
use crate::crash::{CrashAt, Trapped};
use crate::proxy::FakeProxy;
use landfall_agent::{Agent, Runtimes, Settings};
use landfall_model::api::{Accepted, Event, RolloutRequest, RolloutState, Want, What};
use landfall_model::name::{AppName, ReleaseNumber, ReplicaId, RolloutId, ServiceName};
use landfall_model::observed::Observed;
use landfall_model::plan::Serving;
use landfall_model::route::RouteTable;
use landfall_model::spec::RuntimeKind;
use landfall_runtime::Runtime;
use landfall_runtime::fake::FakeRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a rollout of the simulator may take before the simulation is said to be stuck.
const STUCK: Duration = Duration::from_secs(20);

/// How a life of an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The rollout ended.
    Rollout(RolloutState),
    /// There was nothing to do.
    Unchanged,
    /// The agent was crashed.
    Crashed,
}

/// A server whose agent may die.
pub struct Server {
    home: tempfile::TempDir,
    runtime: Arc<FakeRuntime>,
    proxy: FakeProxy,
    app: AppName,
    rollouts: u32,
}

impl Server {
    /// A bare server.
    ///
    /// # Panics
    /// When the machine has no place for a temporary directory.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let run = home.path().join("run");
        let proxy = std::fs::create_dir(&run).and_then(|()| FakeProxy::start(&run.join("proxy.sock")));
        let app = App { version: 1, database: 1 }.spec().app;
        Self {
            runtime: Arc::new(FakeRuntime::new(RuntimeKind::Process)),
            proxy: proxy.unwrap_or_else(|e| panic!("no socket: {e}")),
            home,
            app,
            rollouts: 0,
        }
    }

    /// The made-up engine, to be told what its programs do.
    pub fn runtime(&self) -> &FakeRuntime {
        &self.runtime
    }

    /// An agent lives, is asked for a release of this app, and lives until the rollout ends or the trap springs.
    pub fn deploy(&mut self, app: App, trap: Option<CrashAt>) -> Ending {
        self.rollouts += 1;
        let id: RolloutId = format!("rollout-{}", self.rollouts).parse().unwrap_or_else(|e| panic!("{e}"));
        let request =
            RolloutRequest { id: id.clone(), want: Want::Deploy { spec: Box::new(app.spec()), given: std::collections::BTreeMap::new() } };
        self.live(trap, Some(request))
    }

    /// An agent lives, takes up what the last one left, and lives until the trap springs or nothing is left to do.
    pub fn recover(&mut self, trap: Option<CrashAt>) -> Ending {
        self.live(trap, None)
    }

    fn live(&self, trap: Option<CrashAt>, request: Option<RolloutRequest>) -> Ending {
        let trapped = Arc::new(Trapped::new(Arc::clone(&self.runtime), trap));
        let sprung = Arc::clone(&trapped.sprung);
        let runtimes = Runtimes { docker: trapped.clone(), process: trapped };
        let settings = Settings { home: self.home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
        let agent = Agent::open(&settings, runtimes).unwrap_or_else(|e| panic!("the agent does not open its home: {e}"));
        let id: RolloutId = format!("rollout-{}", self.rollouts).parse().unwrap_or_else(|e| panic!("{e}"));
        // Dropping the runtime at the end of this function ends every task where it stands.
        let life = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("no runtime: {e}"));
        life.block_on(async {
            agent.wake();
            if let Some(request) = request {
                match agent.begin(&self.app, request, "sim").await {
                    Ok(Accepted::Unchanged { .. }) => return Ending::Unchanged,
                    Ok(Accepted::Rollout { .. }) => {}
                    Err(failure) => panic!("the agent refuses: {failure:?}"),
                }
            }
            tokio::select! {
                () = sprung.notified() => Ending::Crashed,
                state = self.ended(&agent, &id) => Ending::Rollout(state),
                () = tokio::time::sleep(STUCK) => panic!("stuck: {:#?}", agent.events(&self.app, 0)),
            }
        })
    }

    async fn ended(&self, agent: &Agent, id: &RolloutId) -> RolloutState {
        loop {
            let events: Vec<Event> = agent.events(&self.app, 0).unwrap_or_default();
            let end = events.iter().rev().filter(|e| e.rollout.as_ref() == Some(id)).find_map(|e| match &e.what {
                What::RolloutEnded { state, .. } => Some(*state),
                _ => None,
            });
            match end {
                Some(state) => return state,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }

    /// What the store says: the release that serves, and who stands for what.
    pub fn stored(&self) -> (Option<ReleaseNumber>, Serving) {
        let runtimes = Runtimes { docker: self.runtime.clone(), process: self.runtime.clone() };
        let settings = Settings { home: self.home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
        let agent = Agent::open(&settings, runtimes).unwrap_or_else(|e| panic!("the agent does not open its home: {e}"));
        let release = agent.current_release(&self.app).unwrap_or_else(|e| panic!("{e}"));
        (release, agent.serving(&self.app).unwrap_or_else(|e| panic!("{e}")))
    }

    /// What happened, in lines for the reader of a failed test.
    pub fn story(&self) -> Vec<String> {
        let runtimes = Runtimes { docker: self.runtime.clone(), process: self.runtime.clone() };
        let settings = Settings { home: self.home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
        let agent = Agent::open(&settings, runtimes).unwrap_or_else(|e| panic!("the agent does not open its home: {e}"));
        let events = agent.events(&self.app, 0).unwrap_or_default();
        events
            .iter()
            .map(|e| match &e.what {
                What::StepStarted { undo, line, .. } => format!("{} {line}", if *undo { "undo:" } else { "step:" }),
                What::StepFailed { failure, .. } => format!("      failed: {} {:?}", failure.message, failure.causes),
                What::RolloutEnded { state, .. } => format!("ended: {state:?}"),
                other => format!("      {other:?}"),
            })
            .collect()
    }

    /// What exists.
    pub fn observed(&self) -> Observed {
        let life = tokio::runtime::Builder::new_current_thread().build().unwrap_or_else(|e| panic!("no runtime: {e}"));
        life.block_on(self.runtime.observe(&self.app, &BTreeSet::new())).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Running replicas by service, jobs left out.
    pub fn running(&self) -> BTreeMap<ServiceName, BTreeSet<ReplicaId>> {
        let mut running: BTreeMap<ServiceName, BTreeSet<ReplicaId>> = BTreeMap::new();
        for (id, replica) in self.observed().replicas.into_iter().filter(|(_, r)| !r.job && r.state.is_running()) {
            running.entry(replica.service).or_default().insert(id);
        }
        running
    }

    /// How often a job's program was begun.
    pub fn runs(&self, id: &ReplicaId) -> u32 {
        self.runtime.runs(&self.app, id)
    }

    /// Every table the proxy was told, oldest first.
    pub fn tables(&self) -> Vec<RouteTable> {
        self.proxy.tables()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
