//! One server: what outlives every agent, and the lives of agents on it.

use crate::app::App;
use crate::crash::{CrashAt, Trapped};
use crate::disk::{Disk, Full};
use crate::proxy::FakeProxy;
use landfall_agent::{Agent, Runtimes, Settings, Surroundings};
use landfall_model::api::{Accepted, Event, RolloutRequest, RolloutState, Want, What};
use landfall_model::name::{AppName, ReleaseNumber, ReplicaId, RolloutId, ServiceName};
use landfall_model::observed::Observed;
use landfall_model::plan::Serving;
use landfall_model::route::RouteTable;
use landfall_model::spec::RuntimeKind;
use landfall_runtime::Runtime;
use landfall_runtime::fake::FakeRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
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
    /// Whoever follows the rollout heard that it is given up, because the store fails.
    GivenUp,
}

/// A server whose agent may die.
pub struct Server {
    home: tempfile::TempDir,
    runtime: Arc<FakeRuntime>,
    proxy: FakeProxy,
    app: AppName,
    rollouts: u32,
    disk: Arc<Disk>,
}

/// How long a rollout of the simulator waits for its store.
const PATIENCE: Duration = Duration::from_millis(30);

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
            disk: Arc::default(),
        }
    }

    /// The made-up engine, to be told what its programs do.
    pub fn runtime(&self) -> &FakeRuntime {
        &self.runtime
    }

    /// An agent lives, is asked for a release of this app, and lives until the rollout ends or the trap springs.
    pub fn deploy(&mut self, app: App, trap: Option<CrashAt>) -> Ending {
        let request = self.request(app);
        self.live(trap, Some(request))
    }

    /// An agent lives, takes up what the last one left, and lives until the trap springs or nothing is left to do.
    pub fn recover(&mut self, trap: Option<CrashAt>) -> Ending {
        self.live(trap, None)
    }

    /// An agent lives, is asked for a release while its disk gets full, and dies when its rollout ended or, where the disk stays full, when whoever
    /// follows the rollout heard that it is given up. Without a request it takes up what the last one left.
    pub fn deploy_on_a_full_disk(&mut self, app: App, full: Full) -> Ending {
        let request = self.request(app);
        self.life(None, |server, agent, id| {
            Box::pin(async move {
                match agent.begin(&server.app, request, "sim").await {
                    Ok(Accepted::Rollout { .. }) => server.disk.fill(full),
                    other => panic!("the agent does not begin: {other:?}"),
                }
                tokio::select! {
                    state = server.ended(agent, id) => Ending::Rollout(state),
                    () = server.given_up(agent, id) => Ending::GivenUp,
                }
            })
        })
    }

    /// The same, and the agent lives on: a second request is refused as long as the first one waits, then there is room again.
    pub fn deploy_until_there_is_room(&mut self, app: App, full: Full) -> (Ending, bool) {
        let (request, other) = (self.request(app), App { version: app.version + 90, ..app });
        let ending = self.life(None, |server, agent, id| {
            Box::pin(async move {
                match agent.begin(&server.app, request, "sim").await {
                    Ok(Accepted::Rollout { .. }) => server.disk.fill(full),
                    other => panic!("the agent does not begin: {other:?}"),
                }
                tokio::select! {
                    state = server.ended(agent, id) => return Ending::Rollout(state),
                    () = server.given_up(agent, id) => {}
                }
                let want = Want::Deploy {
                    spec: Box::new(other.spec()),
                    given: BTreeMap::new(),
                    unset: landfall_model::secret::Unset::default(),
                    from: None,
                };
                let second = RolloutRequest { id: "another".parse().unwrap_or_else(|e| panic!("{e}")), want };
                let refused = agent.begin(&server.app, second, "sim").await;
                assert!(refused.as_ref().is_err_and(|f| f.code == "busy"), "the app is held: {refused:?}");
                server.disk.make_room();
                Ending::Rollout(server.ended(agent, id).await)
            })
        });
        // Where the rollout ended before the disk got full, what comes next must not meet it.
        self.disk.make_room();
        (ending, self.disk.refused())
    }

    /// An agent lives until its monitor has begun a repair, and is asked to take the app down.
    pub fn down_during_a_repair(&mut self) -> Ending {
        self.rollouts += 1;
        self.life(None, |server, agent, id| {
            Box::pin(async move {
                let repairs = |e: &Event| matches!(&e.what, What::RolloutStarted { purpose, .. } if purpose == "repair");
                while !agent.events(&server.app, 0).unwrap_or_default().iter().any(repairs) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let request = RolloutRequest { id: id.clone(), want: Want::Down { volumes: false } };
                match agent.begin(&server.app, request, "sim").await {
                    Ok(_) => Ending::Rollout(server.ended(agent, id).await),
                    Err(failure) => panic!("the agent refuses: {failure:?}"),
                }
            })
        })
    }

    /// An agent lives until a repair of its monitor has ended.
    pub fn repair(&mut self) -> Ending {
        self.life(None, |server, agent, _| {
            Box::pin(async move {
                let repair = |e: &Event| e.rollout.as_ref().is_some_and(|id| id.as_str().starts_with("repair-"));
                loop {
                    let events = agent.events(&server.app, 0).unwrap_or_default();
                    let ended = events.iter().rev().filter(|e| repair(e)).find_map(|e| match &e.what {
                        What::RolloutEnded { state, .. } => Some(*state),
                        _ => None,
                    });
                    match ended {
                        Some(state) => return Ending::Rollout(state),
                        None => tokio::time::sleep(Duration::from_millis(2)).await,
                    }
                }
            })
        })
    }

    /// Rows of rollouts, attempts and steps that the agent keeps.
    pub fn journal_size(&self) -> (u64, u64, u64) {
        let runtimes = Runtimes { docker: self.runtime.clone(), process: self.runtime.clone() };
        let settings = Settings { home: self.home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
        let agent = Agent::open(&settings, runtimes).unwrap_or_else(|e| panic!("the agent does not open its home: {e}"));
        agent.journal_size().unwrap_or_else(|e| panic!("{e}"))
    }

    /// The disk has room again.
    pub fn make_room(&self) {
        self.disk.make_room();
    }

    /// The disk refused a write.
    pub fn was_full(&self) -> bool {
        self.disk.refused()
    }

    async fn given_up(&self, agent: &Agent, id: &RolloutId) {
        while !agent.stalled(id).is_some_and(|words| words.contains("given up")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn request(&mut self, app: App) -> RolloutRequest {
        self.rollouts += 1;
        let want = Want::Deploy {
            spec: Box::new(app.spec()),
            given: BTreeMap::new(),
            unset: landfall_model::secret::Unset::default(),
            from: None,
        };
        RolloutRequest { id: self.newest(), want }
    }

    fn newest(&self) -> RolloutId {
        format!("rollout-{}", self.rollouts).parse().unwrap_or_else(|e| panic!("{e}"))
    }

    fn live(&self, trap: Option<CrashAt>, request: Option<RolloutRequest>) -> Ending {
        self.life(trap, |server, agent, id| {
            Box::pin(async move {
                if let Some(request) = request {
                    match agent.begin(&server.app, request, "sim").await {
                        Ok(Accepted::Unchanged { .. }) => return Ending::Unchanged,
                        Ok(Accepted::Rollout { .. }) => {}
                        Err(failure) => panic!("the agent refuses: {failure:?}"),
                    }
                }
                Ending::Rollout(server.ended(agent, id).await)
            })
        })
    }

    /// One life of an agent: until what it is asked to do is done, or the trap springs.
    fn life(
        &self,
        trap: Option<CrashAt>,
        deeds: impl for<'a> FnOnce(&'a Self, &'a Agent, &'a RolloutId) -> Pin<Box<dyn Future<Output = Ending> + 'a>>,
    ) -> Ending {
        let trapped = Arc::new(Trapped::new(Arc::clone(&self.runtime), trap));
        let sprung = Arc::clone(&trapped.sprung);
        let runtimes = Runtimes { docker: trapped.clone(), process: trapped };
        let settings = Settings { home: self.home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
        let surroundings = Surroundings { before_write: Some(self.disk.gate()), store_patience: PATIENCE, ..Surroundings::default() };
        let agent = Agent::open_in(&settings, runtimes, surroundings).unwrap_or_else(|e| panic!("the agent does not open its home: {e}"));
        let id = self.newest();
        // Dropping the runtime at the end of this function ends every task where it stands.
        let life = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("no runtime: {e}"));
        life.block_on(async {
            agent.wake();
            tokio::select! {
                () = sprung.notified() => Ending::Crashed,
                ending = deeds(self, &agent, &id) => ending,
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
