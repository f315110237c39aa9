//! Makes containers and processes exist.
//!
//! One trait, three implementations: `docker` (Engine API over its socket), `process` (supervised children) and `fake` (for tests and the
//! simulator). All three pass the suite in `tests/conformance.rs`. Every call is idempotent: starting what runs, stopping what has stopped
//! and removing what is gone succeed, because after a crash the agent asks again.

pub mod conformance;
pub mod docker;
mod entry;
mod error;
pub mod fake;
pub mod listener;
pub mod process;
pub mod seal;
mod signal;

pub use entry::{LogEntry, MAX_LOG_LINE};
pub use error::RuntimeError;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use landfall_model::digest::Revision;
use landfall_model::image::Login;
use landfall_model::name::{AppName, EnvKey, ImageId, ImageRef, NetworkName, ReleaseNumber, ReplicaId, ServiceName, VolumeName};
use landfall_model::observed::Observed;
use landfall_model::spec::{EnvValue, Network, PullPolicy, RuntimeKind, Template, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Everything needed to make one replica or job.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Whose.
    pub app: AppName,
    /// Decided by the planner; names the container or process.
    pub id: ReplicaId,
    /// Of which service.
    pub service: ServiceName,
    /// For which release.
    pub release: ReleaseNumber,
    /// Of the template.
    pub revision: Revision,
    /// True: it is meant to end; no restart policy.
    pub job: bool,
    /// What it is made of.
    pub template: Template,
    /// Instead of the template's command (migrations, `landfall run`). With an image that has an entry point this is what the entry point gets,
    /// as `docker compose run` does; an executable's path is replaced by its first element.
    pub argv: Option<Vec<String>>,
    /// Added to the template's environment without overriding it: `PORT` and the like.
    pub environment: BTreeMap<EnvKey, EnvValue>,
    /// Networks of the spec the template joins, by key.
    pub networks: BTreeMap<NetworkName, Network>,
    /// Volumes of the spec the template mounts, by key.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// Addresses that answer the replica's name questions; empty for the engine's own.
    pub dns: Vec<IpAddr>,
    /// Port assigned to it (process runtime).
    pub port: Option<u16>,
    /// The old replica whose volumes without a name it goes on with.
    pub takes: Option<ReplicaId>,
    /// Absolute; the working directory of programs and the base of relative paths.
    pub project_dir: String,
}

/// A container that Landfall did not make and that uses what an app is to have for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stranger {
    /// "volume" or "network".
    pub what: &'static str,
    /// Its name outside the app.
    pub name: String,
    /// Name of the container.
    pub container: String,
    /// Its project, when `docker compose` made it.
    pub project: Option<String>,
    /// It runs, or the engine is about to start it again.
    pub runs: bool,
}

/// How a replica or job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 + the signal's number for a death by signal.
    pub code: i32,
    /// The kernel killed it for its memory limit.
    pub out_of_memory: bool,
}

/// Who made networks and volumes, by their names on the host, and what is nobody's but the runtime's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// The app that made a network.
    pub networks: BTreeMap<String, AppName>,
    /// The app that made a volume.
    pub volumes: BTreeMap<String, AppName>,
    /// The directory in which the runtime keeps everything, the content of volumes included.
    pub root: Option<PathBuf>,
}

/// A command running inside a replica.
pub struct Session {
    /// To its standard input; dropping it is end of file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// From its standard output (and error, with a terminal).
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// From its standard error; empty with a terminal.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// What else can be done with it.
    pub control: Box<dyn SessionControl>,
}

/// The rest of a session.
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Tells its terminal a new size; nothing without a terminal.
    async fn resize(&self, columns: u16, rows: u16) -> Result<(), RuntimeError>;
    /// Waits for its end.
    async fn wait(&self) -> Result<Exit, RuntimeError>;
    /// Kills it, best effort.
    async fn kill(&self);
}

/// Makes containers or processes exist.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which it is.
    fn kind(&self) -> RuntimeKind;

    /// Answers if the runtime can be used at all, with the version of the engine; the error says what to do if not.
    async fn ping(&self) -> Result<String, RuntimeError>;

    /// Everything of one app that exists, and which of `images` the server has.
    async fn observe(&self, app: &AppName, images: &BTreeSet<ImageRef>) -> Result<Observed, RuntimeError>;

    /// Apps that have replicas here.
    async fn apps(&self) -> Result<BTreeSet<AppName>, RuntimeError>;

    /// Fetches an image as the policy says and answers what it is; with a login of its registry, if there is one. `progress` gets one line now and
    /// then.
    async fn pull(
        &self,
        image: &ImageRef,
        how: (PullPolicy, Option<&Login>),
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageId, RuntimeError>;

    /// The engine's images; none where programs are files.
    fn images(&self) -> Option<&docker::Images> {
        None
    }

    /// Writes the files of a directory of an image that is here, as a tar archive whose names begin with the directory's own.
    async fn files(&self, image: &ImageId, path: &str, into: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), RuntimeError>;

    /// Of these networks and volumes, those that an app made, as their labels say.
    async fn owners(&self, _networks: &BTreeSet<&str>, _volumes: &BTreeSet<&str>) -> Result<Owners, RuntimeError> {
        Ok(Owners::default())
    }

    /// Makes a network unless it exists.
    async fn ensure_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError>;

    /// Makes a volume unless it exists.
    async fn ensure_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError>;

    /// Makes and starts a replica or job. A replica of that id that runs is left as it is; one that was made and never started is started; one
    /// that has ended is left ended (jobs run once).
    async fn start(&self, launch: &Launch) -> Result<(), RuntimeError>;

    /// Starts a replica that was stopped, as it was.
    async fn start_again(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError>;

    /// Waits for a job's end.
    async fn wait(&self, app: &AppName, id: &ReplicaId) -> Result<Exit, RuntimeError>;

    /// Sends the signal (the replica's own when absent), waits `grace`, kills. Done when it has ended; it is not started again by its restart policy.
    async fn stop(&self, app: &AppName, id: &ReplicaId, signal: Option<&str>, grace: Duration) -> Result<(), RuntimeError>;

    /// Deletes a replica that has ended (kills it first if it has not) and its anonymous volumes.
    async fn remove(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError>;

    /// Deletes a volume of the app. Only `down --volumes` asks.
    async fn remove_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError>;

    /// Containers of others that use these networks and volumes, which are the app's own.
    async fn strangers(&self, _networks: &BTreeSet<String>, _volumes: &BTreeSet<String>) -> Result<Vec<Stranger>, RuntimeError> {
        Ok(Vec::new())
    }

    /// Bytes in a volume of the app; nothing where that cannot be found out in a moment.
    async fn volume_bytes(&self, _app: &AppName, _key: &VolumeName, _volume: &Volume) -> Option<u64> {
        None
    }

    /// Deletes a network of the app that nobody uses.
    async fn remove_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError>;

    /// Runs a command inside a running replica, with its environment.
    async fn exec(&self, app: &AppName, id: &ReplicaId, argv: &[String], tty: bool) -> Result<Session, RuntimeError>;

    /// Lines of a replica: the last `tail` of the past, then, with `follow`, new ones until it is removed.
    async fn logs(
        &self,
        app: &AppName,
        id: &ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogEntry, RuntimeError>>, RuntimeError>;

    /// Whether a name server answers a question for a name that a running replica asks; nothing where that cannot be found out.
    async fn is_answered(&self, _app: &AppName, _id: &ReplicaId, _asked: (SocketAddr, &str)) -> Option<bool> {
        None
    }

    /// TCP ports a replica listens on, for the message of a failed gate. Empty when that cannot be found out.
    async fn listening(&self, app: &AppName, id: &ReplicaId) -> BTreeSet<u16>;
}
