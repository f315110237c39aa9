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
            Self::NoReplica(_) => "no-replica",
            Self::NoProgram { .. } => "no-program",
            Self::PortTaken { .. } => "port-taken",
            Self::Failed { .. } => "runtime-failed",
            Self::TimedOut { .. } => "timed-out",
        }
    }

    /// What to try.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { socket, .. } => vec![format!(
                "start Docker (`systemctl start docker`) and check that this user may use {socket}; an app without images runs under `x-landfall: {{ runtime: process }}`"
            )],
            Self::NoImage { image, .. } => {
                vec![format!("check the name and tag, build it (`docker build -t {image} …`), or log in to its registry")]
            }
            Self::PortTaken { port, .. } => vec![format!("see who listens there: `ss -ltnp 'sport = :{port}'`")],
            _ => Vec::new(),
        }
    }
}
