//! What is said between the two ends: one JSON value a line, bounded.
//!
//! Both ends are the same version, for one of them brought the other; so there is one version of these words, and `HELLO` is only there to tell an answer
//! of ours from whatever else a login may print.

use super::deployer::Deployer;
use crate::doctor::{Examination, Report};
use landfall_model::api::Failure;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest line: a plan of a hundred changes fits ten times over.
const MAX_LINE: u64 = 1024 * 1024;

/// What the server's owner wants of `server setup`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Security updates install themselves.
    pub updates: bool,
    /// The firewall is left as it is.
    pub no_firewall: bool,
    /// A key that may deploy some apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployer: Option<Deployer>,
}

/// From here to there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Prepare the server.
    Setup {
        /// How.
        wish: Wish,
    },
    /// Move the server to the binary that was brought.
    Upgrade,
    /// Examine the server.
    Examine(Examination),
    /// Do what was proposed.
    Apply,
}

/// From there to here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "kebab-case")]
pub enum Tell {
    /// It runs there.
    Hello {
        /// Of the binary.
        version: String,
    },
    /// What an examination found.
    Report(Box<Report>),
    /// What would be done.
    Proposal(Proposal),
    /// Nothing was touched, and nothing can be done until these are put right.
    Refused {
        /// Each with its remedy.
        refusals: Vec<Failure>,
    },
    /// A change of the proposal begins.
    Begun {
        /// Its place in the proposal, from 0.
        change: usize,
    },
    /// It is done.
    Done {
        /// Which.
        change: usize,
        /// How long it took.
        took_ms: u64,
    },
    /// It was not done, and what was done before it stays or was undone, as the failure says.
    Failed {
        /// Why.
        failure: Box<Failure>,
    },
    /// Everything is done.
    Finished,
}

/// A plan, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// `Debian GNU/Linux 12 (bookworm), x86_64, systemd`
    pub server: String,
    /// In order. Nothing to do when empty.
    pub changes: Vec<Proposed>,
    /// What is left as it is, and why.
    pub notes: Vec<String>,
}

/// One change, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// How it is taken back by hand.
    pub undo: String,
}

/// Says one thing.
pub async fn say<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), word: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// Hears one thing; `None` when the other end has nothing more to say.
pub async fn hear<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<T>> {
    let line = line(from).await?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// One whole line, with its end.
pub async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    match line.last() {
        None | Some(b'\n') => Ok(line),
        Some(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a line broke off, or is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_said_is_heard_and_what_breaks_off_is_not() {
        let mut written = Vec::new();
        say(&mut written, &Ask::Setup { wish: Wish { updates: true, ..Wish::default() } }).await.unwrap();
        assert_eq!(written, b"{\"ask\":\"setup\",\"wish\":{\"updates\":true,\"no_firewall\":false}}\n");
        let heard = hear::<Ask>(&mut written.as_slice()).await.unwrap();
        assert!(matches!(heard, Some(Ask::Setup { wish: Wish { updates: true, .. } })));
        assert!(hear::<Ask>(&mut [].as_slice()).await.unwrap().is_none());
        for cut in 1..written.len() {
            assert!(hear::<Ask>(&mut written.get(..cut).unwrap()).await.is_err(), "{cut}");
        }
        let endless = vec![b'x'; 2 * 1024 * 1024];
        assert!(line(&mut endless.as_slice()).await.is_err());
    }
}
