//! Why the proxy could not start or take a table. What goes wrong with a single request is in `edge::refusal`, because that is an
//! answer, not an error of the proxy.

use std::io;
use std::net::SocketAddr;

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A thread or its event loop could not be made.
    #[error("cannot start thread `{name}`")]
    Thread {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A listening socket that was handed over cannot be used.
    #[error("cannot use the listening socket `{name}`")]
    Listener {
        /// Its name in `LISTEN_FDNAMES`.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The Unix socket the agent asks at could not be made.
    #[error("cannot listen on `{path}`")]
    ControlSocket {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The TLS library refused the configuration.
    #[error("cannot prepare TLS")]
    Tls(#[from] rustls::Error),
    /// The control thread ended before the proxy was ready.
    #[error("the control thread ended before the proxy was ready")]
    Ended,
}

/// Why a table was not taken. The old one stays in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SwapError {
    /// An older table than the one in use.
    #[error("table {asked} is older than table {current}, which is in use")]
    Stale { asked: u64, current: u64 },
    /// A socket the table needs cannot be opened.
    #[error("cannot listen on {address} ({purpose}): {source}")]
    PortTaken { address: SocketAddr, purpose: &'static str, source: io::Error },
    /// Only loopback addresses may stand for a service.
    #[error("internal listener {address} is not on a loopback address")]
    NotLoopback { address: SocketAddr },
    /// A certificate or its key cannot be read, or they do not belong together.
    #[error("certificate `{chain}`: {reason}")]
    Certificate { chain: String, reason: String },
    /// A worker is gone; the supervisor starts the proxy again.
    #[error("a worker thread has ended")]
    WorkerGone,
}

impl SwapError {
    /// The stable word for `Answer::Refused`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SwapError::Stale { .. } => "stale-generation",
            SwapError::PortTaken { .. } => "port-taken",
            SwapError::NotLoopback { .. } => "not-loopback",
            SwapError::Certificate { .. } => "certificate-unreadable",
            SwapError::WorkerGone => "worker-gone",
        }
    }

    /// The address that another process listens on.
    pub(crate) fn taken(&self) -> Option<SocketAddr> {
        match self {
            SwapError::PortTaken { address, source, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(*address),
            _ => None,
        }
    }
}
