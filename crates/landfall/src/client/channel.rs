//! The two ways to an agent: its Unix socket on this machine, or a stream of a link to another one.

use super::ClientError;
use crate::settings::Home;
use crate::ssh::{self, Link};
use crate::supervise::Record;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

/// How long an agent may be away while a supervisor is there to bring it back.
const SUPERVISED_PATIENCE: Duration = Duration::from_secs(20);
/// How long when its socket is there and nobody answers: systemd restarts it, or it was killed and nobody will.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks for an agent that is away.
pub(super) const AWAY_PAUSE: Duration = Duration::from_millis(250);
/// Between two attempts.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How an agent is reached.
#[derive(Debug, Clone)]
pub enum Channel {
    /// On this machine.
    Here(Home),
    /// On another one.
    There(Arc<Link>),
}

impl Channel {
    /// A connection, waiting for an agent that is about to come back.
    pub async fn open(&self) -> Result<Box<dyn Stream>, ClientError> {
        match self {
            Self::Here(home) => Ok(Box::new(connect(home).await?)),
            Self::There(link) => Ok(Box::new(link.open().await?)),
        }
    }

    /// How long a call that was cut off is asked again.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Here(_) => SUPERVISED_PATIENCE,
            Self::There(_) => ssh::PATIENCE,
        }
    }
}

/// Connects to the agent of a home, or to the server's by the socket of its group when nobody said which and there is none of one's own.
pub async fn connect(home: &Home) -> Result<UnixStream, ClientError> {
    let shared = Path::new(landfall_agent::SHARED_SOCKET);
    // One that may not even be looked at is there.
    let is_shared = || shared.try_exists().unwrap_or_else(|e| e.kind() == ErrorKind::PermissionDenied);
    let socket = if home.is_assumed() && !home.agent_socket().exists() && is_shared() { shared.to_owned() } else { home.agent_socket() };
    let began = Instant::now();
    loop {
        match UnixStream::connect(&socket).await {
            Ok(stream) => return Ok(stream),
            Err(source) if began.elapsed() < patience(home, source.kind()) => sleep(PAUSE).await,
            Err(source) => return Err(not_running(home, socket, source)),
        }
    }
}

fn not_running(home: &Home, socket: PathBuf, source: std::io::Error) -> ClientError {
    if source.kind() == ErrorKind::PermissionDenied {
        return ClientError::NotAllowed { socket, source };
    }
    if Record::alive(home).is_some() {
        ClientError::Away { log: home.log("agent"), source }
    } else {
        ClientError::NotRunning { socket, source }
    }
}

/// How long to go on trying after such an error.
fn patience(home: &Home, error: ErrorKind) -> Duration {
    match error {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused if Record::alive(home).is_some() => SUPERVISED_PATIENCE,
        ErrorKind::ConnectionRefused if !home.supervisor_record().exists() => PATIENCE,
        // A full backlog: it is there and busy.
        ErrorKind::WouldBlock => PATIENCE,
        _ => Duration::ZERO,
    }
}
