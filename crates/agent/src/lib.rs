//! Keeps the server as the spec says, remembers, warns.
//!
//! One daemon a server, on one thread: the API over a Unix socket (`api`), rollouts (`rollout`), background tasks (`background`), and the only SQL of
//! the house (`store`). It carries no request: the proxy is another process, and this one may die at any moment without a request noticing.

mod api;
mod background;
mod certs;
mod clock;
mod control;
mod core;
mod disk;
mod error;
mod folder;
mod grant;
mod home;
mod keys;
mod lines;
mod manifest;
mod notify;
mod prune;
mod reach;
mod registry;
mod rollout;
mod secret;
mod stall;
mod store;
mod table;
mod upload;

pub use api::{DEPLOYER, GROUP, SHARED_SOCKET};
pub use clock::{Clock, WallClock};
pub use core::Runtimes;
pub use disk::{Disk, disks};
pub use error::AgentError;
pub use folder::project_digest;
pub use home::{Home, SYSTEM_HOME};
pub use notify::tell_service_manager;
pub use store::BeforeWrite;

use crate::core::{Core, STORE_PATIENCE};
use certs::Certs;
use control::ProxyControl;
use folder::Folders;
use grant::Guard;
use keys::KeySets;
use landfall_model::api::{Accepted, Event, Failure, RolloutRequest, What};
use landfall_model::certificate::CertificateStatus;
use landfall_model::name::{AppName, ReleaseNumber, RolloutId};
use landfall_model::plan::Serving;
use landfall_runtime::docker::DockerRuntime;
use landfall_runtime::process::ProcessRuntime;
pub(crate) use landfall_runtime::seal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Of, Store};
use table::Table;
use tokio::signal::unix::{SignalKind, signal};

/// How the agent is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its directory.
    pub home: PathBuf,
    /// Where plain HTTP is served, as users type it: `http://localhost:8080`.
    pub http: Option<String>,
    /// Where HTTPS is served, as users type it: `https://localhost:8443`.
    pub https: Option<String>,
    /// This binary, which also has the verb that supervises processes.
    pub binary: PathBuf,
}

/// What an agent finds around it, beside its home.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is, for what waits for days.
    pub clock: Arc<dyn Clock>,
    /// PEM file of the authorities that certify the directories of certificate authorities; the system's when absent.
    pub roots: Option<PathBuf>,
    /// Asked before the store writes anything.
    pub before_write: Option<BeforeWrite>,
    /// How long a rollout waits for a store that fails before it is given up.
    pub store_patience: Duration,
    /// Programs of the process runtime need the owner's grant: they would have more rights than who asks for them.
    pub grant_programs: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(WallClock), roots: None, before_write: None, store_patience: STORE_PATIENCE, grant_programs: false }
    }
}

/// Runs the agent until SIGTERM or SIGINT. Rollouts under way are left as their journal has them, and go on at the next start.
///
/// `single_user`: whoever asks it something is the user who started it, as under `landfall up`. Otherwise an agent that is root wants a grant for
/// every program it would start as root. The home of a server is never a single user's.
pub fn run(settings: Settings, single_user: bool) -> Result<(), AgentError> {
    let home = Home::new(&settings.home);
    let failed = |path: PathBuf| move |source| AgentError::Home { path: path.display().to_string(), source };
    let runtimes = Runtimes {
        docker: Arc::new(DockerRuntime::of_host(std::env::var("DOCKER_HOST").ok().as_deref())),
        process: Arc::new(ProcessRuntime::new(home.path(), &settings.binary)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed(settings.home.clone()))?;
    runtime.block_on(async {
        let own = single_user && home.path() != Path::new(SYSTEM_HOME);
        let grant_programs = rustix::process::geteuid().is_root() && !own;
        let agent = Agent::open_in(&settings, runtimes, Surroundings { grant_programs, ..Surroundings::default() })?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed(home.path().to_owned()))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed(home.path().to_owned()))?;
        let listener = api::Listener::bind(&home.agent_socket()).map_err(failed(home.agent_socket()))?;
        share(&listener, &home);
        agent.wake();
        tokio::spawn(tell_service_manager());
        tokio::select! {
            () = api::serve(listener, Arc::clone(&agent.core)) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// Lets the server's group in. An agent that cannot still serves root, who will read why in the log.
fn share(listener: &api::Listener, home: &Home) {
    let Some(group) = api::group().filter(|_| home.path() == Path::new(SYSTEM_HOME)) else { return };
    if let Err(error) = listener.share(Path::new(SHARED_SOCKET), group) {
        tracing::warn!(%error, socket = SHARED_SOCKET, group = GROUP, "members of the group cannot be let in");
    }
}

/// The agent without its socket: what `run` runs and what the simulator drives.
pub struct Agent {
    core: Arc<Core>,
    /// Held for as long as the agent lives.
    _lock: std::fs::File,
}

impl Agent {
    /// Opens a home. Nothing runs yet.
    pub fn open(settings: &Settings, runtimes: Runtimes) -> Result<Self, AgentError> {
        Self::open_in(settings, runtimes, Surroundings::default())
    }

    /// Opens a home in surroundings that a test made up.
    pub fn open_in(settings: &Settings, runtimes: Runtimes, surroundings: Surroundings) -> Result<Self, AgentError> {
        let home = Home::new(&settings.home);
        home.create().map_err(|source| AgentError::Home { path: settings.home.display().to_string(), source })?;
        let lock = lock(&home)?;
        let store = Store::open(&home.store())?.asking(surroundings.before_write);
        let local_host = settings.https.as_deref().and_then(host_of).map(str::to_owned);
        let certs = Certs::open(home.certs(), surroundings.roots.clone());
        let fetched = (Folders::new(home.folders()), KeySets::open(home.keys(), surroundings.roots));
        let table = Table::new(ProxyControl::new(home.proxy_socket()), certs, fetched, local_host);
        let mut core = Core::new(store, runtimes, table, (settings.http.clone(), settings.https.clone()), &home);
        core.clock = surroundings.clock;
        core.guard = Guard::new(&home, surroundings.grant_programs);
        core.store_patience = surroundings.store_patience;
        // An agent that runs on a full disk can still say so, keep replicas alive, and go on when there is room.
        if let Err(e) = core.store.append(None, None, None, &What::AgentStarted { version: env!("CARGO_PKG_VERSION").to_owned() }) {
            tracing::error!(error = %e, cause = %e.source, "the store cannot be written");
        }
        Ok(Self { core: Arc::new(core), _lock: lock })
    }

    /// Takes up what a dead agent left, and the background tasks. Needs a tokio runtime, and dies with it.
    pub fn wake(&self) {
        tokio::spawn(background::drive(Arc::clone(&self.core)));
        rollout::recover(&self.core);
    }

    /// Begins a rollout, as `POST /v1/apps/{app}/rollouts` does.
    pub async fn begin(&self, app: &AppName, request: RolloutRequest, who: &str) -> Result<Accepted, Failure> {
        rollout::begin(&self.core, app, request, who).await.map_err(|e| e.failure())
    }

    /// Has certificates looked after now instead of within a minute.
    pub fn look_after_certificates(&self) {
        self.core.certs_nudge.notify_one();
    }

    /// How certificates stand, as `GET /v1/certs` does.
    pub fn certificates(&self) -> Result<Vec<CertificateStatus>, AgentError> {
        Ok(api::certificates(&self.core)?)
    }

    /// Rows of rollouts, attempts and steps in the store.
    pub fn journal_size(&self) -> Result<(u64, u64, u64), AgentError> {
        Ok(self.core.store.journal_size()?)
    }

    /// What whoever follows a rollout is told although the store could not keep it.
    pub fn stalled(&self, id: &RolloutId) -> Option<String> {
        self.core.stalls.of(id).map(|stall| stall.line)
    }

    /// What happened to an app after the event `after`, at most a thousand events.
    pub fn events(&self, app: &AppName, after: u64) -> Result<Vec<Event>, AgentError> {
        Ok(self.core.store.events(&Of { app: Some(app.clone()), ..Of::default() }, after, 1000)?)
    }

    /// The release of an app that serves.
    pub fn current_release(&self, app: &AppName) -> Result<Option<ReleaseNumber>, AgentError> {
        Ok(self.core.store.app(app)?.and_then(|a| a.release))
    }

    /// Who stands for what in an app.
    pub fn serving(&self, app: &AppName) -> Result<Serving, AgentError> {
        Ok(self.core.store.app(app)?.map(|a| a.serving).unwrap_or_default())
    }
}

/// Forgets the copy of its store that an earlier upgrade of this home made.
pub fn forget_store_copy(home: &Home) -> std::io::Result<()> {
    store::forget(&home.store())
}

/// Undoes a migration: puts the copy of the store that was made before it back, if there is one. Refused (`AgentError::AlreadyRuns`) while an agent runs.
pub fn put_store_back(home: &Home) -> Result<bool, AgentError> {
    let _lock = lock(home)?;
    store::put_back(&home.store()).map_err(|source| AgentError::Home { path: home.store().display().to_string(), source })
}

/// The host of `https://host[:port]` when it is a name.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.parse::<landfall_model::name::Domain>().is_ok().then_some(host)
}

/// One agent a home. The lock dies with the process.
fn lock(home: &Home) -> Result<std::fs::File, AgentError> {
    let path = home.lock();
    let failed = |source| AgentError::Home { path: path.display().to_string(), source };
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(AgentError::AlreadyRuns(home.path().display().to_string())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
