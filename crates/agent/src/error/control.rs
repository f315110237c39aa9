//! What can go wrong between the agent and the proxy.

use super::chain;
use landfall_model::api::Failure;

/// The proxy did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// It cannot be spoken to.
    #[error("the proxy does not answer on {socket}")]
    Unreachable {
        /// Path of its socket.
        socket: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It said no.
    #[error("the proxy refused: {message}")]
    Refused {
        /// Its stable word.
        code: String,
        /// Its reason.
        message: String,
    },
    /// Another app could not be looked at since the agent's start, so that the whole table is not known.
    #[error("another app on this server cannot be looked at, so the proxy's table is not known as a whole")]
    Incomplete,
    /// It said something else.
    #[error("the proxy answered something else than it was asked")]
    Unexpected,
}

impl ControlError {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Refused { code, .. } => chain(code, self, Vec::new(), Vec::new()),
            Self::Incomplete => chain("table-incomplete", self, vec!["is Docker running? `systemctl status docker`".into()], Vec::new()),
            _ => chain(
                "proxy-unreachable",
                self,
                vec!["is the proxy running? its log is logs/proxy.log in Landfall's home".into()],
                Vec::new(),
            ),
        }
    }
}
