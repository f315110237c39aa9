//! The key a server shows: its fingerprint, and what a person does about one that is not known.
//!
//! `ssh` refuses an unknown key without saying which it was; asked again with its log on, it says so. That goes the same way (jump hosts, ProxyCommand) as the
//! connection itself, which `ssh-keyscan` would not.

use super::command::{SshProgram, by_hand};
use landfall_model::server::ServerAddress;
use std::fmt;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// How long `ssh` may take to show the key once more.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest log that is read.
const MAX_LOG: u64 = 256 * 1024;

/// A host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `SHA256:…`
    pub fingerprint: Option<String>,
    kind: Option<String>,
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.fingerprint, &self.kind) {
            (Some(fingerprint), Some(kind)) => write!(f, "its fingerprint is {fingerprint} ({kind})"),
            (Some(fingerprint), None) => write!(f, "its fingerprint is {fingerprint}"),
            (None, _) => f.write_str("ssh did not say which"),
        }
    }
}

impl HostKey {
    /// What `ssh` told of it in a warning or in its log.
    pub fn told(text: &str) -> Self {
        let logged = text.lines().find_map(|line| line.split_once("Server host key: ").map(|(_, key)| key));
        let kind = logged.and_then(|key| key.split_ascii_whitespace().next()).map(harmless);
        let mut words = logged.unwrap_or(text).split_ascii_whitespace();
        let fingerprint = words.find(|word| word.starts_with("SHA256:")).map(|word| harmless(word.trim_end_matches('.')));
        Self { fingerprint, kind }
    }

    /// Asks `ssh` again, with its log.
    pub async fn ask(ssh: &SshProgram, server: &ServerAddress) -> Self {
        let mut log = Vec::new();
        if let Ok(mut child) = ssh.inspection(server).spawn()
            && let Some(stderr) = child.stderr.take()
        {
            let mut stderr = stderr.take(MAX_LOG);
            // What was read until the limit may have it.
            let _ = timeout(LIMIT, stderr.read_to_end(&mut log)).await;
        }
        Self::told(&String::from_utf8_lossy(&log))
    }
}

fn harmless(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(100).collect()
}

/// How the host stands in known_hosts.
fn entry(server: &ServerAddress) -> String {
    server.port().filter(|port| *port != 22).map_or_else(|| server.host().to_owned(), |port| format!("[{}]:{port}", server.host()))
}

/// What to do about a key that was never seen.
pub fn accept(server: &ServerAddress) -> Vec<String> {
    let by_hand = by_hand(server);
    vec![
        "compare the fingerprint with what the server says on its own console: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`"
            .to_owned(),
        format!("then accept it once: `{by_hand} true`; in CI put the server's line into ~/.ssh/known_hosts"),
    ]
}

/// What to do about one that is another than before.
pub fn replace(server: &ServerAddress) -> Vec<String> {
    vec![
        "somebody may be between you and the server: compare the fingerprint with what it says on its own console".to_owned(),
        format!("if it was installed anew: `ssh-keygen -R '{}'`, then accept the new key once: `{} true`", entry(server), by_hand(server)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_found_in_warning_and_log() {
        let warning =
            "The fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc+/1.\nPlease contact your system administrator.";
        assert_eq!(HostKey::told(warning).fingerprint.as_deref(), Some("SHA256:abc+/1"));
        let log = "debug1: identity file /root/.ssh/id SHA256:mine\ndebug1: Server host key: ssh-ed25519 SHA256:xyz\r\ndebug1: x";
        assert_eq!(HostKey::told(log).to_string(), "its fingerprint is SHA256:xyz (ssh-ed25519)");
        assert_eq!(HostKey::told("nothing").fingerprint, None);
    }
}
