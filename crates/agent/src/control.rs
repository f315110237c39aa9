//! Speaking with the proxy: one short connection a question, so that a restarted proxy needs no reconnect logic.

use crate::error::ControlError;
use landfall_model::control::{Answer, Ask, MAX_FRAME, Probe, Probed, ProxyStatus};
use landfall_model::metrics::Metrics;
use landfall_model::route::RouteTable;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

/// How long a question may take. A swap waits for every worker of the proxy, none of which ever blocks.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a proxy that does not answer is waited for: its supervisor starts it again within two seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a proxy that was replaced may go on carrying what it held, by the table it had then.
const REPLACED: Duration = Duration::from_secs(30);

/// The proxy, as the agent reaches it.
#[derive(Debug)]
pub(crate) struct ProxyControl {
    socket: PathBuf,
    /// Its process id, and when that was seen to change.
    seen: Mutex<Option<(u32, Option<Instant>)>>,
}

impl ProxyControl {
    /// Names its socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, seen: Mutex::new(None) }
    }

    /// Makes it carry requests by this table; waits for a proxy that is being restarted.
    pub(crate) async fn swap(&self, table: &RouteTable) -> Result<(), ControlError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.ask(&Ask::Swap { table: table.clone() }).await {
                Ok(Answer::Swapped { generation }) if generation == table.generation => return Ok(()),
                Ok(Answer::Refused { taken: Some(address), .. }) => return Err(ControlError::taken(address)),
                Ok(Answer::Refused { code, message, .. }) => return Err(ControlError::Refused { code, message }),
                Ok(_) => return Err(ControlError::Unexpected),
                Err(e) if Instant::now() >= until => return Err(e),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// What it is doing.
    pub(crate) async fn status(&self) -> Result<ProxyStatus, ControlError> {
        match self.ask(&Ask::Status).await? {
            Answer::Status(status) => {
                self.see(status.pid);
                Ok(status)
            }
            _ => Err(ControlError::Unexpected),
        }
    }

    /// What it has counted.
    pub(crate) async fn metrics(&self) -> Result<Metrics, ControlError> {
        match self.ask(&Ask::Metrics).await? {
            Answer::Metrics(metrics) => Ok(*metrics),
            _ => Err(ControlError::Unexpected),
        }
    }

    /// Has it ask a replica whether that is ready.
    pub(crate) async fn probe(&self, probe: Probe) -> Result<Probed, ControlError> {
        match self.ask(&Ask::Probe(probe)).await? {
            Answer::Probed(probed) => Ok(probed),
            Answer::Refused { code, message, .. } => Err(ControlError::Refused { code, message }),
            _ => Err(ControlError::Unexpected),
        }
    }

    fn see(&self, pid: u32) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = match *seen {
            None => Some((pid, None)),
            Some((before, changed)) => Some((pid, if before == pid { changed } else { Some(Instant::now()) })),
        };
    }

    /// How long a proxy that was replaced may still carry requests to replicas that this one knows nothing of.
    pub(crate) fn replaced_one_carries(&self) -> Duration {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = seen.and_then(|(_, changed)| changed);
        changed.map_or(Duration::ZERO, |at| REPLACED.saturating_sub(at.elapsed()))
    }

    /// Makes it close what endpoints still hold.
    pub(crate) async fn close(&self, endpoints: Vec<String>, jitter_ms: u64) -> Result<(), ControlError> {
        match self.ask(&Ask::Close { endpoints, jitter_ms }).await? {
            Answer::Closing => Ok(()),
            _ => Err(ControlError::Unexpected),
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, ControlError> {
        let unreachable = |source| ControlError::Unreachable { socket: self.socket.display().to_string(), source };
        match timeout(LIMIT, self.exchange(ask)).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(unreachable(std::io::ErrorKind::TimedOut.into())),
        }
    }

    async fn exchange(&self, ask: &Ask) -> std::io::Result<Answer> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let body = serde_json::to_vec(ask)?;
        let length = u32::try_from(body.len()).map_err(std::io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&body).await?;
        let length = stream.read_u32().await? as usize;
        if length > MAX_FRAME {
            return Err(std::io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }
}
