//! What can go wrong between command line and agent.

use crate::error::{Explain, Kind, Remote};
use crate::ssh::SshError;
use http::StatusCode;
use landfall_model::api::Failure;
use std::path::PathBuf;

/// A call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no agent runs here ({} does not answer)", socket.display())]
    NotRunning {
        /// Where it would.
        socket: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its socket is for others.
    #[error("you may not speak to the agent here ({} is closed to you)", socket.display())]
    NotAllowed {
        /// Whose.
        socket: PathBuf,
        /// What connecting says.
        #[source]
        source: std::io::Error,
    },
    /// Nobody listens, though somebody is there to start it again.
    #[error("the agent does not come up")]
    Away {
        /// Where it may have said why.
        log: PathBuf,
        /// What connecting says.
        #[source]
        source: std::io::Error,
    },
    /// Its server is not reached.
    #[error(transparent)]
    Ssh(Box<SshError>),
    /// The connection ended in the middle.
    #[error("the connection to the agent was cut")]
    Cut(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The agent refused or failed, and said why.
    #[error("{}", .0.message)]
    Refused(Box<Failure>),
    /// It answered without saying why.
    #[error("the agent answered {status} to {path}")]
    Status {
        /// Of the question.
        path: String,
        /// Of the answer.
        status: StatusCode,
    },
    /// It answered something else than asked for.
    #[error("the agent's answer to {path} is not understood")]
    Answer {
        /// Of the question.
        path: String,
        /// Where it is not.
        #[source]
        source: serde_json::Error,
    },
    /// It did not answer.
    #[error("the agent did not answer {path} within {seconds} s")]
    Slow {
        /// Of the question.
        path: String,
        /// The bound.
        seconds: u64,
    },
    /// A question could not be written as JSON.
    #[error("the question cannot be written")]
    Question(#[source] serde_json::Error),
}

impl ClientError {
    /// The agent is away and may be about to come back, as after the server was started again: told of a call that got through before.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Cut(_) | Self::NotRunning { .. } | Self::NotAllowed { .. } | Self::Away { .. } => true,
            // While an agent starts its shared socket is not there yet, and for a moment nobody's.
            Self::Refused(failure) => {
                matches!(failure.code.as_str(), "agent-not-running" | "agent-not-allowed" | "agent-away" | "agent-cut-off")
            }
            _ => false,
        }
    }

    /// Wraps what ended the connection.
    pub fn cut(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Cut(source.into())
    }
}

impl From<SshError> for ClientError {
    fn from(error: SshError) -> Self {
        Self::Ssh(Box::new(error))
    }
}

impl Explain for ClientError {
    fn code(&self) -> &str {
        match self {
            Self::NotAllowed { .. } => "agent-not-allowed",
            Self::NotRunning { .. } => "agent-not-running",
            Self::Away { .. } => "agent-away",
            Self::Ssh(error) => error.code(),
            Self::Cut(_) => "agent-cut-off",
            Self::Refused(failure) => &failure.code,
            Self::Status { .. } | Self::Answer { .. } | Self::Question(_) => "agent-not-understood",
            Self::Slow { .. } => "agent-slow",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Refused(failure) => Remote::failed((**failure).clone()).kind(),
            _ => Kind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotAllowed { .. } => vec![
                "become a member of the group `landfall` of that server, and log in anew: `sudo usermod -aG landfall USER` there"
                    .to_owned(),
                "or be the user the agent runs as: root on a server".to_owned(),
            ],
            Self::NotRunning { .. } => vec![
                "`landfall up` runs one here; on a server: `systemctl start landfall-agent`, or `landfall server setup` without systemd"
                    .to_owned(),
            ],
            Self::Away { log, .. } => vec![format!("see why: {}", log.display())],
            Self::Status { .. } | Self::Answer { .. } => {
                vec!["agent and command line may be of different versions: compare `landfall --version` with the one that runs".to_owned()]
            }
            Self::Ssh(error) => error.hints(),
            Self::Slow { .. } => vec!["see what it does: logs/agent.log in the home directory".to_owned()],
            _ => Vec::new(),
        }
    }

    fn failure(&self) -> Failure {
        if let Self::Refused(failure) = self {
            return (**failure).clone();
        }
        if let Self::Ssh(error) = self {
            return error.failure();
        }
        let cause = std::error::Error::source(self).map(|source| vec![source.to_string()]);
        Failure {
            code: self.code().to_owned(),
            message: self.to_string(),
            causes: cause.unwrap_or_default(),
            hints: self.hints(),
            log: Vec::new(),
        }
    }
}
