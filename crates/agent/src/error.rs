//! What can go wrong in the agent, and how it crosses to the client.

mod control;
mod grant;
mod image;
mod secret;
mod shared;

pub(crate) use control::ControlError;
pub(crate) use grant::GrantError;
pub(crate) use image::{LoginError, UploadError};
pub(crate) use secret::SecretError;
pub(crate) use shared::SharedError;

use crate::core::Holder;
use crate::folder::FolderError;
use landfall_model::api::Failure;
use landfall_model::name::{AppName, CertificateName, RegistryHost, ReleaseNumber, ReplicaId, RolloutId, ServiceName};
use landfall_runtime::RuntimeError;
use std::collections::BTreeSet;
use std::error::Error;

/// The agent could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent has this home.
    #[error("another agent runs with home {0}")]
    AlreadyRuns(String),
    /// A file or socket of the home cannot be used.
    #[error("cannot use {path}")]
    Home {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Certificates cannot be made.
    #[error(transparent)]
    Cert(#[from] CertError),
}

/// The store refused.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot {doing}")]
pub struct StoreError {
    /// What was being done.
    pub doing: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// A certificate could not be made or kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the certificate of {name}")]
pub struct CertError {
    /// "make", "read", "write".
    pub doing: &'static str,
    /// Whose.
    pub name: String,
    /// Why.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// A step of a plan failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// In the runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// In the proxy.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// In the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// With a certificate.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// With the login of a registry.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// With the files of a site.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// With a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It takes what is not granted any more.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A replica did not pass its gate.
    #[error("{replica} did not pass its gate: {seen}")]
    Gate {
        /// Which.
        replica: ReplicaId,
        /// What was seen, in words.
        seen: String,
        /// What to try.
        hint: Option<String>,
        /// Its last lines.
        log: Vec<String>,
    },
    /// A job or migration ended badly.
    #[error("{what} of {service} {ended}")]
    Job {
        /// "the migration", "the job".
        what: &'static str,
        /// Of which service.
        service: ServiceName,
        /// "ended with code 1", "did not end within 1800 s".
        ended: String,
        /// What to try.
        hint: Option<String>,
        /// Its last lines.
        log: Vec<String>,
    },
    /// The plan names a service that its spec lacks: a bug.
    #[error("the plan names {0}, which its spec does not have")]
    Unknown(ServiceName),
}

/// A request to the API was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// One rollout at a time.
    #[error("{} is busy: {purpose} by {} runs since {} s (rollout {}), and it is not what is asked for now", holder.app, holder.who, holder.seconds(), holder.rollout)]
    Busy {
        /// What it is for.
        purpose: String,
        /// Who keeps the app.
        holder: Holder,
    },
    /// The key it was asked with is bound to other apps.
    #[error("this key may not do that: it is bound to {}, and was used for {asked}", apps.iter().map(AppName::as_str).collect::<Vec<_>>().join(", "))]
    OutOfScope {
        /// In words, or as it was asked.
        asked: String,
        /// The apps it is bound to.
        apps: BTreeSet<AppName>,
    },
    /// No such app.
    #[error("there is no app `{0}` on this server")]
    NoApp(AppName),
    /// No such release.
    #[error("{app} has no release {release}")]
    NoRelease {
        /// Whose.
        app: AppName,
        /// Asked for.
        release: ReleaseNumber,
    },
    /// Nothing to go back to.
    #[error("{0} has no earlier release to go back to")]
    NothingEarlier(AppName),
    /// No such rollout.
    #[error("there is no rollout {0}")]
    NoRollout(RolloutId),
    /// No authority is asked for this name.
    #[error("no app wants a certificate for {0} from an authority")]
    NoCertificate(CertificateName),
    /// No certificate was signed here yet.
    #[error("this server has no certificate authority yet")]
    NoAuthority,
    /// No running replica to work in.
    #[error("{0} has no running replica")]
    NoReplica(ServiceName),
    /// No such service.
    #[error("{app} has no service `{service}`")]
    NoService {
        /// Whose.
        app: AppName,
        /// Asked for.
        service: ServiceName,
    },
    /// Two apps want the same host.
    #[error("{host} is already served by app {by}")]
    HostTaken {
        /// Which.
        host: String,
        /// Who has it.
        by: AppName,
    },
    /// The server is nobody there.
    #[error("this server is not logged in to {0}")]
    NoLogin(RegistryHost),
    /// A login cannot be kept.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// An image did not arrive.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// Two apps would write into one volume.
    #[error("the volume {volume} belongs to app {by}")]
    VolumeTaken {
        /// Its name outside the apps.
        volume: String,
        /// Whose it is.
        by: AppName,
    },
    /// What it wants is used by others, or was made otherwise.
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// Two apps would have one name in a network that both use.
    #[error("`{name}` is already a service of app {by} in network `{network}`")]
    NameTaken {
        /// What both are called.
        name: String,
        /// The network, by its name on the server.
        network: String,
        /// Who has it.
        by: AppName,
    },
    /// The request itself is wrong.
    #[error("{0}")]
    Bad(String),
    /// It takes what was not granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A secret is missing or cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// In the runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// In the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// In the proxy.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl RequestError {
    /// HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Busy { .. } | Self::HostTaken { .. } | Self::VolumeTaken { .. } | Self::NameTaken { .. } | Self::Shared(_) => 409,
            Self::NoApp(_)
            | Self::NoCertificate(_)
            | Self::NoAuthority
            | Self::NoRelease { .. }
            | Self::NothingEarlier(_)
            | Self::NoRollout(_)
            | Self::NoLogin(_)
            | Self::NoReplica(_)
            | Self::NoService { .. } => 404,
            Self::Bad(_) => 400,
            Self::Secret(SecretError::Unknown { .. }) => 404,
            Self::Secret(SecretError::Store(_) | SecretError::Seal(_)) => 500,
            Self::Secret(_) => 409,
            Self::Grant(_) | Self::OutOfScope { .. } => 403,
            Self::Runtime(_) | Self::Store(_) | Self::Control(_) | Self::Login(_) | Self::Upload(_) => 500,
        }
    }

    /// As it crosses to the client.
    pub(crate) fn failure(&self) -> Failure {
        let (code, hint) = match self {
            Self::Busy { .. } => ("busy", Some("wait for it: `landfall status` shows where it is, `landfall events -f` follows it")),
            Self::OutOfScope { .. } => (
                "app-not-allowed",
                Some(
                    "use a key that may, or have the server's owner bind this one to the app: `landfall server setup --deployer KEY --app NAME`",
                ),
            ),
            Self::NoApp(_) => ("no-app", Some("`landfall status` lists the apps; `landfall deploy` makes one")),
            Self::NoRelease { .. } | Self::NothingEarlier(_) => ("no-release", Some("`landfall releases` lists what can be gone back to")),
            Self::NoRollout(_) => ("no-rollout", None),
            Self::NoAuthority => ("no-ca", Some("deploy an app that is served by HTTPS: the first one makes it")),
            Self::NoCertificate(_) => ("no-certificate", Some("`landfall certs` lists the names")),
            Self::NoReplica(_) => ("no-replica", Some("`landfall status` shows what runs")),
            Self::NoService { .. } => ("no-service", Some("`landfall status` lists the services")),
            Self::HostTaken { .. } => {
                ("host-taken", Some("give this app `x-landfall: { domains: […] }` of its own, or take the other down"))
            }
            Self::VolumeTaken { .. } => (
                "volume-taken",
                Some(
                    "give it a name of this app's own: `name: ${COMPOSE_PROJECT_NAME}_data`; or write `external: true` where both are meant to have it",
                ),
            ),
            Self::Shared(e) => return e.failure(),
            Self::NameTaken { .. } => (
                "name-taken",
                Some(
                    "rename the service, or keep it out of the shared network: list under `networks:` only the services that other apps call",
                ),
            ),
            Self::Bad(_) => ("bad-request", None),
            Self::Grant(e) => return e.failure(),
            Self::NoLogin(_) => ("no-login", Some("`landfall registry list` lists the registries it knows")),
            Self::Login(e) => return e.failure(),
            Self::Upload(e) => return e.failure(),
            Self::Secret(e) => return e.failure(),
            Self::Runtime(e) => return chain(e.code(), e, e.hints(), e.log()),
            Self::Control(e) => return e.failure(),
            Self::Store(_) => ("store-failed", Some("is the disk full? `df -h` tells")),
        };
        chain(code, self, hint.map(str::to_owned).into_iter().collect(), Vec::new())
    }
}

impl StepError {
    /// As it is stored and crosses to the client.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Runtime(e) => chain(e.code(), e, e.hints(), e.log()),
            Self::Control(e) => e.failure(),
            Self::Secret(e) => e.failure(),
            Self::Grant(e) => e.failure(),
            Self::Store(e) => chain("store-failed", e, vec!["is the disk full? `df -h` tells".into()], Vec::new()),
            Self::Login(e) => e.failure(),
            Self::Cert(e) => chain("certificate-failed", e, Vec::new(), Vec::new()),
            Self::Folder(e) => {
                chain("files-failed", e, vec!["is the disk full? `df -h` tells; are the files where `static` says?".into()], Vec::new())
            }
            Self::Gate { hint, log, .. } => chain("gate-failed", self, hint.clone().into_iter().collect(), log.clone()),
            Self::Job { what, log, hint, .. } => {
                let code = if *what == "the migration" { "migration-failed" } else { "job-failed" };
                chain(code, self, hint.clone().into_iter().collect(), log.clone())
            }
            Self::Unknown(_) => chain("bug", self, Vec::new(), Vec::new()),
        }
    }
}

/// An error and its causes, each saying only its own layer.
fn chain(code: &str, error: &dyn Error, hints: Vec<String>, log: Vec<String>) -> Failure {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes.dedup();
    Failure { code: code.to_owned(), message: error.to_string(), causes, hints, log }
}
