//! One health question, asked once.

use crate::control::ProxyControl;
use landfall_model::control::{Probe, Probed};
use landfall_model::name::{AppName, ReplicaId};
use landfall_runtime::{Runtime, Session};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Of what a healthcheck's command printed, shown with its failure.
const OUTPUT: u64 = 2048;

/// What a probe saw, in words that fit after "answers".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// In words.
    pub(super) words: String,
    /// Nobody listens there at all.
    pub(super) refused: bool,
}

impl Seen {
    fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), refused: false }
    }
}

/// What the proxy sees. It asks in the agent's place: whatever its reader would refuse to pass on to a client must not pass a gate either.
pub(super) async fn by_proxy(proxy: &ProxyControl, question: Probe) -> Result<(), Seen> {
    match proxy.probe(question).await {
        Ok(Probed::Ready) => Ok(()),
        Ok(Probed::Refused { seen }) => Err(Seen { words: seen, refused: true }),
        Ok(Probed::Failed { seen } | Probed::Exhausted { seen }) => Err(Seen::new(seen)),
        Err(e) => Err(Seen::new(format!("it cannot be asked ({e})"))),
    }
}

/// A command inside the replica ends with code 0.
pub(super) async fn command(runtime: &dyn Runtime, app: &AppName, id: &ReplicaId, argv: &[String], limit: Duration) -> Result<(), Seen> {
    let session = runtime.exec(app, id, argv, false).await.map_err(|e| Seen::new(format!("its healthcheck cannot be run ({e})")))?;
    let Session { mut stdin, stdout, stderr, control } = session;
    let output = async {
        let _ = stdin.shutdown().await;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(OUTPUT), stderr.take(OUTPUT));
        let _ = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
        out.extend(err);
        (control.wait().await, String::from_utf8_lossy(&out).trim().to_owned())
    };
    match timeout(limit, output).await {
        Ok((Ok(exit), _)) if exit.code == 0 => Ok(()),
        Ok((Ok(exit), output)) if output.is_empty() => Err(Seen::new(format!("its healthcheck ends with code {}", exit.code))),
        Ok((Ok(exit), output)) => Err(Seen::new(format!("its healthcheck ends with code {}: {}", exit.code, one_line(&output)))),
        Ok((Err(e), _)) => Err(Seen::new(format!("its healthcheck cannot be run ({e})"))),
        Err(_) => {
            control.kill().await;
            Err(Seen::new(format!("its healthcheck does not end within {} s", limit.as_secs())))
        }
    }
}

/// Whatever a program printed, on one line a terminal can bear.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
