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
    /// Whose it is, as known_hosts has it: an alias's real name, or a host on the way.
    host: Option<String>,
    /// The file that has another key for it.
    file: Option<String>,
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
        Self { fingerprint, kind, host: named(text), file: offending(text) }
    }

    /// With the host that was told before.
    #[must_use]
    pub fn or_told(self, told: Self) -> Self {
        Self { host: told.host.or(self.host), ..self }
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

/// The host `ssh` speaks of: `Host key for [h]:2222 has changed and …`, `No ED25519 host key is known for h and …`.
fn named(text: &str) -> Option<String> {
    let between = |line: &str, before: &str, after: &str| Some(line.split_once(before)?.1.split_once(after)?.0.to_owned());
    let name = text.lines().find_map(|line| {
        between(line, "Host key for ", " has changed").or_else(|| between(line, "host key is known for ", " and you have"))
    })?;
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-:[]%".contains(&b);
    (!name.is_empty() && name.len() <= 300 && !name.starts_with('-') && name.bytes().all(good)).then_some(name)
}

/// `Offending ED25519 key in /home/a/.ssh/known_hosts:3`
fn offending(text: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.trim().strip_prefix("Offending ")?.split_once(" key in ").map(|(_, rest)| rest))?;
    let (file, line) = rest.trim_end().rsplit_once(':')?;
    let good = |b: u8| b.is_ascii_graphic() && !b"'\"\\`$".contains(&b);
    (line.parse::<u32>().is_ok() && file.starts_with('/') && file.bytes().all(good)).then(|| file.to_owned())
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
pub fn replace(server: &ServerAddress, key: &HostKey) -> Vec<String> {
    let file = key.file.as_ref().map(|file| format!("-f '{file}' ")).unwrap_or_default();
    let host = key.host.clone().unwrap_or_else(|| entry(server));
    vec![
        "somebody may be between you and the host: compare the fingerprint with what it says on its own console".to_owned(),
        format!("if it was installed anew: `ssh-keygen {file}-R '{host}'`, then accept the new key once: `{} true`", by_hand(server)),
    ]
}

/// Whose key it is, when that is not the server as it was typed.
pub fn of(server: &ServerAddress, key: &HostKey) -> String {
    match &key.host {
        Some(host) if *host != entry(server) => format!("its host, or one on the way to it, known here as `{host}`,"),
        _ => String::new(),
    }
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

    #[test]
    fn the_remedy_is_for_the_host_and_the_file_that_ssh_names() {
        let said = "Offending ED25519 key in /home/a/.ssh/known_hosts:3\r\n  remove with:\nHost key for [127.0.0.1]:20022 has changed and you have requested strict checking.\r\n";
        let (server, key) = ("ssh://vps".parse().unwrap(), HostKey::told(said));
        let remedy = replace(&server, &key);
        assert!(remedy[1].contains("ssh-keygen -f '/home/a/.ssh/known_hosts' -R '[127.0.0.1]:20022'"), "{remedy:?}");
        assert!(of(&server, &key).contains("`[127.0.0.1]:20022`"));
        let jump = HostKey::told("No ED25519 host key is known for bastion.example and you have requested strict checking.");
        assert!(of(&server, &jump).contains("`bastion.example`"), "{jump:?}");
        // Words that a server could have sent are no part of a line for a shell.
        for bad in ["Host key for $(id) has changed", "Host key for a'b has changed", "Host key for -x has changed"] {
            assert_eq!(HostKey::told(bad).host, None, "{bad}");
        }
        assert_eq!(HostKey::told("Offending RSA key in /tmp/a'b:1").file, None);
        assert!(replace(&"ssh://h:2222".parse().unwrap(), &HostKey::told(""))[1].contains("-R '[h]:2222'"));
    }
}
