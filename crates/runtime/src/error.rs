//! What can go wrong when something is made to exist.

use landfall_model::name::ReplicaId;

/// An operation of a runtime failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine cannot be reached.
    #[error("cannot reach the Docker Engine at {socket}")]
    Unreachable {
        /// Path of its socket.
        socket: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The image does not exist or may not be read.
    #[error("image `{image}` cannot be had: {reason}")]
    NoImage {
        /// As asked for.
        image: String,
        /// In the registry's or engine's words.
        reason: String,
    },
    /// The registry wants a login, or another one.
    #[error("{registry} does not give out `{image}`: {reason}")]
    NotAllowed {
        /// As asked for.
        image: String,
        /// Where it is kept.
        registry: String,
        /// In the registry's words.
        reason: String,
    },
    /// The registry does not take a login.
    #[error("{registry} does not take this login: {reason}")]
    LoginRefused {
        /// Which.
        registry: String,
        /// In the registry's words.
        reason: String,
    },
    /// The registry cannot be reached or believed.
    #[error("the registry {registry} cannot be reached: {reason}")]
    RegistryAway {
        /// Which.
        registry: String,
        /// In the engine's words.
        reason: String,
    },
    /// No room is left for images.
    #[error("the disk is full: {reason}")]
    DiskFull {
        /// In the engine's words.
        reason: String,
    },
    /// An image could not be built.
    #[error("{step} failed: {reason}")]
    BuildFailed {
        /// Which step: "step 3/7 (RUN make)", or "the build" before the first.
        step: String,
        /// In the builder's words.
        reason: String,
        /// What it wrote, from the step that failed on, at most [`crate::docker::BUILD_LOG`] lines.
        log: Vec<String>,
    },
    /// No such replica.
    #[error("there is no replica `{0}`")]
    NoReplica(ReplicaId),
    /// The program to run does not exist or may not be run.
    #[error("program `{program}` cannot be started: {reason}")]
    NoProgram {
        /// As asked for.
        program: String,
        /// In words.
        reason: String,
    },
    /// A port is taken by something else.
    #[error("port {port} is taken")]
    PortTaken {
        /// Which.
        port: u16,
        /// The engine's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else the engine or the system refused.
    #[error("cannot {doing}")]
    Failed {
        /// What was being done to what: "start `web-3-1`".
        doing: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("{doing} did not end within {seconds} s")]
    TimedOut {
        /// What: "pull of `postgres:15`".
        doing: String,
        /// The bound.
        seconds: u64,
    },
}

impl RuntimeError {
    /// Wraps a cause with what was being done.
    pub fn failed(doing: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed { doing: doing.into(), source: source.into() }
    }

    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "docker-unreachable",
            Self::NoImage { .. } => "no-image",
            Self::NotAllowed { .. } => "registry-refuses",
            Self::LoginRefused { .. } => "login-refused",
            Self::RegistryAway { .. } => "registry-away",
            Self::DiskFull { .. } => "disk-full",
            Self::BuildFailed { .. } => "build-failed",
            Self::NoReplica(_) => "no-replica",
            Self::NoProgram { .. } => "no-program",
            Self::PortTaken { .. } => "port-taken",
            Self::Failed { .. } => "runtime-failed",
            Self::TimedOut { .. } => "timed-out",
        }
    }

    /// What a program of others wrote.
    pub fn log(&self) -> Vec<String> {
        if let Self::BuildFailed { log, .. } = self { log.clone() } else { Vec::new() }
    }

    /// What to try.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { socket, .. } => vec![format!(
                "start Docker (`systemctl start docker`) and check that this user may use {socket}; an app without images runs under `x-landfall: {{ runtime: process }}`"
            )],
            Self::NoImage { .. } => {
                vec![
                    "check the name and tag; or build it (`landfall deploy --build`, where the service has a `build`); or send one that is here: `landfall deploy --push`"
                        .into(),
                ]
            }
            Self::NotAllowed { registry, .. } => {
                vec![format!("log the server in: `landfall registry login {registry}`; a name that does not exist is refused alike")]
            }
            Self::LoginRefused { registry, .. } => {
                vec![format!("check user and password; {registry} may want a token in place of the password")]
            }
            Self::RegistryAway { registry, reason } => vec![
                away(registry, &reason.to_ascii_lowercase()),
                "or do without it: `landfall deploy --push` sends the images that your own machine's Docker has".to_owned(),
            ],
            Self::DiskFull { .. } => {
                vec!["`landfall prune` deletes images that no release needs; `df -h /var/lib/docker` tells the rest".into()]
            }
            Self::BuildFailed { reason, .. } => not_built(&reason.to_ascii_lowercase()),
            Self::PortTaken { port, .. } => vec![format!("see who listens there: `ss -ltnp 'sport = :{port}'`")],
            _ => Vec::new(),
        }
    }
}

/// What to try with a Dockerfile that cannot be built, by what the builder says of it.
fn not_built(lower: &str) -> Vec<String> {
    let any = |signs: &[&str]| signs.iter().any(|s| lower.contains(s));
    let hint = if any(&["buildkit", "unknown flag: mount", "unknown instruction"]) {
        "the engine's own builder does not know this; build it elsewhere (`docker buildx build --load -t NAME .`), write `image: NAME`, and `landfall deploy --push`"
    } else if any(&["not found in build context", "copy failed", "add failed"]) {
        "is the file in the directory that `context` names, and not left out by .dockerignore?"
    } else if any(&["no space left on device"]) {
        "`docker builder prune` and `landfall prune` make room; `df -h /var/lib/docker` tells how much there is"
    } else {
        return Vec::new();
    };
    vec![hint.to_owned()]
}

/// What to try with a registry that cannot be reached, by what the engine says of it.
fn away(registry: &str, lower: &str) -> String {
    let any = |signs: &[&str]| signs.iter().any(|s| lower.contains(s));
    if any(&["no such host", "server misbehaving", "temporary failure in name resolution"]) {
        format!("the server finds no address of {registry}: check the name, and DNS on the server (`getent hosts {registry}`)")
    } else if any(&["x509", "certificate"]) {
        format!("the server does not trust it: put its authority's certificate into /etc/docker/certs.d/{registry}/ca.crt on the server")
    } else if any(&["server gave http response"]) {
        format!("it speaks no TLS; where that is meant, write `\"insecure-registries\": [\"{registry}\"]` into /etc/docker/daemon.json")
    } else if any(&["toomanyrequests"]) {
        format!("it wants fewer questions from this address: log in (`landfall registry login {registry}`), or wait")
    } else {
        format!(
            "is it up, and may the server reach it? `curl -I https://{registry}/v2/` there tells; images that are there need no registry"
        )
    }
}
