//! A public key and the apps it is for, as a line of authorized_keys. Nothing of this crate is used here: the fuzz target `deployer_key` reads this file too.

use landfall_model::hello::MAX_SCOPE;
use landfall_model::name::AppName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Longest key, Base64: RSA with 16384 bits.
const MAX_KEY: usize = 4096;
/// Kinds of keys that sshd takes: no word of a file is anything but one of these.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Whose key, and for which apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployer {
    /// `ssh-ed25519`
    kind: String,
    /// Base64.
    key: String,
    /// All of them.
    apps: BTreeSet<AppName>,
}

impl Deployer {
    /// From the text of a `.pub` file; says what is wrong with it otherwise.
    pub fn parse(text: &str, apps: &[AppName]) -> Result<Self, &'static str> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err("it does not hold exactly one key") };
        if line.contains("PRIVATE KEY") {
            return Err("it is a private key; name the `.pub` beside it");
        }
        let mut words = line.split_ascii_whitespace();
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let deployer = Self { kind: kind.to_owned(), key: key.to_owned(), apps: apps.iter().cloned().collect() };
        if deployer.is_good() {
            Ok(deployer)
        } else {
            Err("it is not a public key as `ssh-keygen` writes it, `ssh-ed25519 AAAA… comment`")
        }
    }

    /// Looked at again where it is written down: it came over a wire.
    pub(super) fn is_good(&self) -> bool {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        KINDS.contains(&self.kind.as_str())
            && self.key.starts_with("AAAA")
            && self.key.len() <= MAX_KEY
            && self.key.bytes().all(base64)
            && (1..=MAX_SCOPE).contains(&self.apps.len())
    }

    /// Of authorized_keys: the command is all that the key may have run.
    pub(super) fn line(&self, command: &str) -> String {
        let apps: String = self.apps.iter().map(|app| format!(" --app {app}")).collect();
        format!("restrict,command=\"{} agent-stdio{apps}\" {} {}\n", command, self.kind, self.key)
    }

    /// Base64.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Of the apps.
    pub(super) fn names(&self) -> String {
        self.apps.iter().map(AppName::as_str).collect::<Vec<_>>().join(", ")
    }
}
