//! The full desired state of one app, complete: every default is filled in, every reference resolved.
//!
//! A `Spec` is what `compose` makes, what a release stores, what the planner reads. An `Option` here never means "the
//! default"; it means the thing may be absent (a container without a command of its own uses the image's).

use crate::container::{Container, is_default};
use crate::digest::{Revision, digest};
use crate::filter::{Answer, Files, Filters, JwtKeys};
use crate::front::Front;
use crate::name::{
    AppName, Domain, EnvKey, EnvironmentName, ImageId, ImageRef, NetworkName, PathMatch, SecretName, ServiceName, VolumeName,
};
use crate::observed::ImageAbout;
use crate::route::Protocol;
use crate::secret::{Need, Part, SecretRef};
pub use crate::tls::Tls;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

mod mount;
mod network;
mod value;

pub use mount::{Mount, MountSource, Propagation, Volume};
pub use network::{Network, Subnet};
pub use value::{EnvValue, Fill};

/// Desired state of one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The Compose project.
    pub app: AppName,
    /// What makes its services exist.
    pub runtime: RuntimeKind,
    /// Absolute directory of the project on the machine that resolved it: the working directory of programs and the base of binds.
    pub project_dir: String,
    /// Domains served; the first is canonical, the others redirect to it. Empty: every host the server is asked for.
    pub domains: Vec<Domain>,
    /// How the domains are served.
    pub tls: Tls,
    /// By name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Named volumes that services use.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// Networks that services use; `default` when the file names none.
    pub networks: BTreeMap<NetworkName, Network>,
    /// What holds for every request from outside.
    #[serde(default, skip_serializing_if = "Front::is_empty")]
    pub front: Front,
    /// The named variant of the app that this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// What it wants of the secrets it names, and of those it only demands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, Need>,
}

/// The keys of one route of a [`Spec`].
#[derive(Debug)]
pub struct TokenKeys<'a> {
    /// The service it leads to.
    pub service: &'a ServiceName,
    /// Its place among the routes of the service.
    pub route: usize,
    /// The keys.
    pub keys: &'a mut JwtKeys,
}

impl Spec {
    /// Hosts of single routes, beside the domains.
    pub fn route_hosts(&self) -> BTreeSet<&Domain> {
        self.services.values().flat_map(|s| &s.routes).filter_map(|r| r.host.as_ref()).collect()
    }

    /// Every name it is served by.
    pub fn all_domains(&self) -> Vec<Domain> {
        self.domains.iter().chain(self.route_hosts()).cloned().collect()
    }

    /// The secrets a service gets, as often as it names them.
    pub fn secrets_of(service: &Service) -> impl Iterator<Item = &SecretRef> {
        let template = &service.template;
        let values = template.environment.values().flat_map(EnvValue::parts);
        let files = template.container.files.iter().flat_map(|f| f.content.parts());
        let keys = service.routes.iter().filter_map(|route| route.filters.jwt.as_ref()?.keys.stored());
        values.chain(files).filter_map(|part| if let Part::Secret(secret) = part { Some(secret) } else { None }).chain(keys)
    }

    /// The keys that check tokens: of each route that has some, with its service and its place among the service's routes.
    pub fn token_keys_mut(&mut self) -> impl Iterator<Item = TokenKeys<'_>> {
        self.services.iter_mut().flat_map(|(service, definition)| {
            let routes = definition.routes.iter_mut().enumerate();
            routes.filter_map(move |(route, r)| Some(TokenKeys { service, route, keys: &mut r.filters.jwt.as_mut()?.keys }))
        })
    }

    /// Likewise for all services, to decide which version they name.
    pub fn secrets_mut(&mut self) -> impl Iterator<Item = &mut SecretRef> {
        self.services.values_mut().flat_map(|service| {
            let template = &mut service.template;
            let values = template.environment.values_mut().flat_map(EnvValue::parts_mut);
            let files = template.container.files.iter_mut().flat_map(|f| f.content.parts_mut());
            let parts = values.chain(files);
            let keys = service.routes.iter_mut().filter_map(|route| route.filters.jwt.as_mut()?.keys.stored_mut());
            parts.filter_map(|part| if let Part::Secret(secret) = part { Some(secret) } else { None }).chain(keys)
        })
    }

    /// Which desired state this is.
    pub fn revision(&self) -> Revision {
        digest(self)
    }
}

/// What makes replicas exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// Containers of the Docker Engine.
    Docker,
    /// Supervised child processes.
    Process,
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuntimeKind::Docker => "docker",
            RuntimeKind::Process => "process",
        })
    }
}

/// One entry of `services:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// What one replica is: a change here replaces the replicas, a change elsewhere does not.
    pub template: Template,
    /// How many replicas run. 1 for a job.
    pub replicas: u32,
    /// True for a service that runs to its end once per release (`restart: "no"`) instead of staying.
    pub job: bool,
    /// What must be true of other services before this one starts.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// Port that routes and probes go to, and that the service is known by inside the app.
    pub port: Option<u16>,
    /// What it speaks there. Outside of the template: the port and the program stay what they are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// Requests from outside that come here.
    pub routes: Vec<Route>,
    /// What a new replica must pass before it gets requests.
    pub gate: Gate,
    /// Whether the new starts beside the old or in its place.
    pub order: UpdateOrder,
    /// Argument vector run once per release in the new image, before the switch.
    pub migrate: Option<Vec<String>>,
    /// How long an old replica may finish what it holds, milliseconds.
    pub drain_ms: u64,
    /// Other names it is known by inside the app, by network. Outside of the template: a name can change without a new replica.
    #[serde(default, skip_serializing_if = "is_default")]
    pub aliases: BTreeMap<NetworkName, BTreeSet<String>>,
}

impl Service {
    /// Takes the image's own health check for the gate where the file names none, as Compose does. The deadline is
    /// longer by the time in which failures do not count.
    pub fn gate_by_image(&mut self, check: &Healthcheck) {
        let said = self.template.healthcheck.is_some() || self.template.container.no_healthcheck || self.job;
        let own = match self.gate.probe {
            Probe::Tcp { port } => Some(port) == self.port,
            Probe::Stays { .. } => true,
            Probe::Http { .. } | Probe::Command { .. } => false,
        };
        if own && !said {
            self.gate.probe = Probe::Command { test: check.test.clone(), timeout_ms: check.timeout_ms };
            self.gate.deadline_ms = self.gate.deadline_ms.saturating_add(check.start_period_ms);
        }
    }

    /// What its image says of health would count, and the image has not been seen.
    pub fn waits_for_image(&self) -> bool {
        let said = self.template.healthcheck.is_some() || self.template.container.no_healthcheck || self.job;
        let unseen = matches!(self.template.program, Program::Image { pinned: None, .. });
        unseen && !said && matches!(self.gate.probe, Probe::Tcp { .. } | Probe::Stays { .. })
    }

    /// Paths at which a replica has volumes without a name: the file's, and those of its image.
    pub fn unnamed<'a>(&'a self, image: Option<&'a ImageAbout>) -> impl Iterator<Item = &'a str> {
        let own = self.template.mounts.iter().filter(|m| matches!(m.source, MountSource::Anonymous { .. }));
        own.map(|m| m.target.as_str()).chain(image.into_iter().flat_map(|i| i.volumes.iter().map(String::as_str)))
    }

    /// Files that its routes serve.
    pub fn files(&self) -> impl Iterator<Item = &Files> {
        self.routes.iter().filter_map(|route| match &route.filters.answer {
            Some(Answer::Files(files)) => Some(files),
            _ => None,
        })
    }

    /// Names beside its own that it has in a network.
    pub fn known_as(&self, network: &NetworkName) -> impl Iterator<Item = String> {
        self.aliases.get(network).into_iter().flatten().map(|alias| alias.to_ascii_lowercase())
    }

    /// It has such routes.
    pub fn serves_files(&self) -> bool {
        self.files().next().is_some()
    }
}

/// What one replica of a service is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// What runs.
    pub program: Program,
    /// Overrides the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, or the image's own when absent. For an executable: its arguments.
    pub command: Option<Vec<String>>,
    /// Complete environment the file gives.
    pub environment: BTreeMap<EnvKey, EnvValue>,
    /// Absolute inside a container; absolute on the host for an executable.
    pub working_dir: Option<String>,
    /// `user[:group]`, as Compose writes it.
    pub user: Option<String>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Networks a replica joins.
    pub networks: BTreeSet<NetworkName>,
    /// Ports published on the host beside the proxy.
    pub ports: Vec<PublishedPort>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// What happens when it ends.
    pub restart: Restart,
    /// Signal name that asks it to stop; absent: the image's own, or `SIGTERM` for an executable.
    pub stop_signal: Option<String>,
    /// How long it has after that signal before it is killed, milliseconds.
    pub stop_grace_ms: u64,
    /// The Compose healthcheck.
    pub healthcheck: Option<Healthcheck>,
    /// Upper bounds on what it may use.
    pub limits: Limits,
    /// Bounds of its log on disk.
    pub log: LogPolicy,
    /// Runs an init process as pid 1 that reaps children.
    pub init: bool,
    /// The container's root file system cannot be written.
    pub read_only: bool,
    /// Bytes of `/dev/shm`; 0 leaves the engine's default.
    pub shm_bytes: u64,
    /// What few services need.
    #[serde(default, skip_serializing_if = "is_default")]
    pub container: Container,
}

impl Template {
    /// What makes two replicas alike.
    pub fn revision(&self) -> Revision {
        digest(self)
    }
}

/// What runs in a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Program {
    /// A container image.
    Image {
        /// As the file names it.
        reference: ImageRef,
        /// The content it stood for when the release was made; absent until the server has looked.
        pinned: Option<ImageId>,
        /// When the registry is asked.
        pull: PullPolicy,
    },
    /// A program on the server.
    Executable {
        /// Absolute path, or a bare name looked up in PATH.
        path: String,
        /// SHA-256 of its content when it lies in the project; the server runs a copy kept under this digest, so that a
        /// rollback runs the old program.
        sha256: Option<String>,
    },
}

/// When an image is fetched (Compose `pull_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Before every release.
    Always,
    /// When the server does not have it.
    Missing,
    /// Never.
    Never,
}

/// A port published on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Address of the host, empty for all.
    pub host_ip: String,
    /// Port of the host; 0 lets the engine choose.
    pub host_port: u16,
    /// Port of the container.
    pub port: u16,
    /// True for UDP.
    pub udp: bool,
}

/// What happens when a replica ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "policy")]
pub enum Restart {
    /// It stays ended.
    No,
    /// It is started again.
    Always,
    /// It is started again unless it was stopped on purpose.
    UnlessStopped,
    /// It is started again after a failure.
    OnFailure {
        /// At most so often; 0 for no bound.
        max: u32,
    },
}

/// A Compose healthcheck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// What is run.
    pub test: HealthTest,
    /// Between two runs, milliseconds.
    pub interval_ms: u64,
    /// Of one run, milliseconds.
    pub timeout_ms: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// In which failures do not count, milliseconds.
    pub start_period_ms: u64,
}

/// The command of a healthcheck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum HealthTest {
    /// `CMD`: an argument vector.
    Exec {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// `CMD-SHELL`: run by the container's own shell, inside it, as the Compose Specification says. Never run on the host.
    Shell {
        /// Its text.
        script: String,
    },
}

impl HealthTest {
    /// What the runtime runs inside the replica.
    pub fn argv(&self) -> Vec<String> {
        match self {
            HealthTest::Exec { argv } => argv.clone(),
            HealthTest::Shell { script } => vec!["/bin/sh".into(), "-c".into(), script.clone()],
        }
    }
}

/// Upper bounds; 0 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory_bytes: u64,
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Processes.
    pub pids: u64,
}

/// How much log of one replica is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// Bytes of one file.
    pub max_bytes: u64,
    /// Files.
    pub max_files: u32,
}

impl Default for LogPolicy {
    /// 10 MB × 3: what every plan in the field writes by hand (R33).
    fn default() -> Self {
        Self { max_bytes: 10_000_000, max_files: 3 }
    }
}

/// What a service waits for in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The condition.
    pub condition: Condition,
    /// False: goes on without it when it is absent or fails.
    pub required: bool,
}

/// `depends_on` conditions of the Compose Specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It was started.
    ServiceStarted,
    /// It passed its gate.
    ServiceHealthy,
    /// It ended with code 0.
    ServiceCompletedSuccessfully,
}

/// Requests that come to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// At this host only, which is none of the app's domains; at those when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Domain>,
    /// Longest matching prefix wins; `/api` matches `/api` and `/api/x`, not `/apix`. `=/api` matches `/api` and wins before all.
    pub path: PathMatch,
    /// From the last byte of the request to the first of the answer, milliseconds.
    pub timeout_ms: u64,
    /// Of a WebSocket or stream without any byte, milliseconds.
    pub idle_timeout_ms: u64,
    /// What is done to its requests and answers on their way.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
}

/// What a new replica must pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The question.
    pub probe: Probe,
    /// How long it may take in all, milliseconds.
    pub deadline_ms: u64,
}

/// One health question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Probe {
    /// GET answers 2xx or 3xx.
    Http {
        /// With query, as sent.
        path: String,
        /// Of the replica.
        port: u16,
        /// How it is asked.
        #[serde(default, skip_serializing_if = "is_default")]
        protocol: Protocol,
    },
    /// The Compose healthcheck's command ends with 0.
    Command {
        /// What is run inside the replica.
        test: HealthTest,
        /// Of one run, milliseconds.
        timeout_ms: u64,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// Of the replica.
        port: u16,
    },
    /// It still runs after this time, milliseconds: all that can be asked of a worker without port or healthcheck.
    Stays {
        /// Milliseconds.
        for_ms: u64,
    },
}

/// Which comes first at an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub enum UpdateOrder {
    /// The new starts beside the old.
    StartFirst,
    /// The old stops before the new starts.
    StopFirst {
        /// Why, for the plan's reader: "volume `pgdata` has one writer", "the file says `order: stop-first`".
        reason: String,
    },
}
