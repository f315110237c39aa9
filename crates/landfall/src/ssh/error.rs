//! Why a server is not reached, from what `ssh` wrote and how it ended.
//!
//! OpenSSH says everything in words on standard error and ends with 255; the words are those of its source, which is not translated.

use super::command::by_hand;
use super::key::{self, HostKey};
use crate::error::Explain;
use landfall_model::hello::{Hello, PROTOCOL};
use landfall_model::server::ServerAddress;
use std::process::ExitStatus;

/// What `ssh` wrote, or what came in place of a hello.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Said(String);

/// A server is not reached.
#[derive(Debug, thiserror::Error)]
#[error("{server} {}", .why.words(server))]
pub struct SshError {
    server: ServerAddress,
    #[source]
    why: Why,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("{0}")]
    NoProgram(std::io::Error),
    #[error("{0}")]
    NoHost(Said),
    #[error("{0}")]
    Unreachable(Said),
    #[error("{0}")]
    Denied(Said),
    #[error("{0}")]
    UnknownKey(HostKey),
    #[error("{0}")]
    ChangedKey(HostKey),
    #[error("{0}")]
    NoLandfall(Said),
    #[error("{0}")]
    NoVerb(Said),
    #[error("it speaks protocol {} and API {}; this Landfall, {}, speaks protocol {PROTOCOL} and API {}", .0.protocol, .0.versions.api, env!("CARGO_PKG_VERSION"), landfall_model::api::VERSION)]
    Version(Hello),
    #[error("{0}")]
    Noise(Said),
    #[error("nothing came for {0} s")]
    Slow(u64),
    #[error("{0}")]
    Ended(Said),
}

/// `it shows`, or who else does.
fn shows(who: String) -> String {
    if who.is_empty() { "it shows".to_owned() } else { format!("{who} shows") }
}

impl Why {
    fn words(&self, server: &ServerAddress) -> String {
        match self {
            Self::NoProgram(_) => "cannot be reached: the program `ssh` cannot be run".to_owned(),
            Self::NoHost(_) => "cannot be reached: nobody knows the host".to_owned(),
            Self::Unreachable(_) => "cannot be reached".to_owned(),
            Self::Denied(_) => "does not let you in".to_owned(),
            Self::UnknownKey(key) => {
                format!("cannot be trusted: {} a host key that is not known here; nothing was sent", shows(key::of(server, key)))
            }
            Self::ChangedKey(key) => {
                format!("cannot be trusted: {} another host key than before; nothing was sent", shows(key::of(server, key)))
            }
            Self::NoLandfall(_) => "has no Landfall".to_owned(),
            Self::NoVerb(_) => format!("has a Landfall that is older than this one ({}) and cannot speak to it", env!("CARGO_PKG_VERSION")),
            Self::Version(hello) => {
                let age = if is_older(hello) { "older" } else { "newer" };
                format!("has Landfall {}, which is too much {age} than this one ({})", hello.versions.version, env!("CARGO_PKG_VERSION"))
            }
            Self::Noise(_) => "writes something else before Landfall speaks".to_owned(),
            Self::Slow(_) => "does not answer".to_owned(),
            Self::Ended(_) => "ended the connection before Landfall spoke".to_owned(),
        }
    }
}

fn is_older(hello: &Hello) -> bool {
    (hello.protocol, hello.versions.api) < (PROTOCOL, landfall_model::api::VERSION)
}

impl SshError {
    /// Of one server.
    pub fn new(server: &ServerAddress, why: Why) -> Self {
        Self { server: server.clone(), why }
    }

    /// From how `ssh` ended before there was a hello, and the end of what it wrote.
    pub fn ended(server: &ServerAddress, status: Option<ExitStatus>, stderr: &str) -> Self {
        let code = status.and_then(|status| status.code());
        let has = |words: &str| stderr.contains(words);
        let said = || Said(last_words(stderr, code));
        let why = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            Why::ChangedKey(HostKey::told(stderr))
        } else if has("Host key verification failed") {
            Why::UnknownKey(HostKey::told(stderr))
        } else if has("Could not resolve hostname") {
            Why::NoHost(said())
        } else if has("Permission denied (") || has("Too many authentication failures") {
            Why::Denied(said())
        } else if code == Some(127) {
            Why::NoLandfall(said())
        } else if code == Some(2) && has("agent-stdio") {
            Why::NoVerb(said())
        } else if matches!(code, Some(255) | None) {
            Why::Unreachable(said())
        } else {
            Why::Ended(said())
        };
        Self::new(server, why)
    }

    /// The same, with the key the server showed.
    #[must_use]
    pub fn with_key(self, key: HostKey) -> Self {
        let why = match self.why {
            Why::UnknownKey(told) => Why::UnknownKey(key.or_told(told)),
            other => other,
        };
        Self { why, ..self }
    }

    /// Which key was shown is not known yet.
    pub fn wants_key(&self) -> bool {
        matches!(&self.why, Why::UnknownKey(key) if key.fingerprint.is_none())
    }

    /// Something else than a hello came.
    pub fn noise(server: &ServerAddress, bytes: &[u8]) -> Self {
        let text: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
        Self::new(server, Why::Noise(Said(text.trim().to_owned())))
    }

    /// It may be otherwise in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self.why, Why::Unreachable(_) | Why::Slow(_) | Why::Ended(_) | Why::NoHost(_))
    }
}

/// The end of what was written, in one line.
fn last_words(stderr: &str, code: Option<i32>) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match (lines.get(lines.len().saturating_sub(3)..).unwrap_or_default(), code) {
        ([], Some(code)) => format!("ssh ended with code {code}"),
        ([], None) => "ssh was ended by a signal".to_owned(),
        (lines, _) => lines.join(" · ").chars().take(600).collect(),
    }
}

impl Explain for SshError {
    fn code(&self) -> &str {
        match &self.why {
            Why::NoProgram(_) => "ssh-missing",
            Why::NoHost(_) => "ssh-no-host",
            Why::Unreachable(_) => "ssh-unreachable",
            Why::Denied(_) => "ssh-denied",
            Why::UnknownKey(_) => "host-key-unknown",
            Why::ChangedKey(_) => "host-key-changed",
            Why::NoLandfall(_) => "no-landfall-there",
            Why::NoVerb(_) => "server-too-old",
            Why::Version(hello) if is_older(hello) => "server-too-old",
            Why::Version(_) => "client-too-old",
            Why::Noise(_) => "ssh-noise",
            Why::Slow(_) => "ssh-slow",
            Why::Ended(_) => "ssh-ended",
        }
    }

    fn hints(&self) -> Vec<String> {
        let (server, by_hand) = (&self.server, by_hand(&self.server));
        match &self.why {
            Why::NoProgram(_) => {
                vec!["install OpenSSH's client (Debian: `apt-get install openssh-client`), or name it in LANDFALL_SSH".to_owned()]
            }
            Why::NoHost(_) | Why::Unreachable(_) | Why::Ended(_) => vec![format!("see it by hand: `{by_hand} true`")],
            Why::Denied(_) => vec![
                format!("see it by hand: `{by_hand} true`; `ssh-add -l` lists the keys that are offered"),
                "in CI: load the deploy key with `ssh-add`, or name it as IdentityFile in ~/.ssh/config".to_owned(),
            ],
            Why::UnknownKey(_) => key::accept(server),
            Why::ChangedKey(key) => key::replace(server, key),
            Why::NoLandfall(_) => vec![format!("prepare the server: `landfall server setup {server}`")],
            Why::NoVerb(_) => vec![format!("bring the server to this version: `landfall server upgrade {server}`")],
            Why::Version(hello) if is_older(hello) => vec![format!("bring the server to this version: `landfall server upgrade {server}`")],
            Why::Version(hello) => vec![format!("install Landfall {} here", hello.versions.version)],
            Why::Noise(_) => vec![format!(
                "`{by_hand} true` must print nothing: let the shell's start files (~/.bashrc) be silent when no terminal is there"
            )],
            Why::Slow(_) => vec![format!("see where it stops: `{by_hand} -v true`")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn code(status: i32, stderr: &str) -> (String, bool) {
        let server = "ssh://deploy@h:2222".parse().unwrap();
        let error = SshError::ended(&server, Some(ExitStatus::from_raw(status << 8)), stderr);
        (error.code().to_owned(), error.is_passing())
    }

    #[test]
    fn what_ssh_says_is_sorted() {
        let of = |status, stderr| code(status, stderr).0;
        assert_eq!(of(255, "deploy@h: Permission denied (publickey)."), "ssh-denied");
        assert_eq!(of(255, "ssh: Could not resolve hostname h: Name or service not known"), "ssh-no-host");
        assert_eq!(code(255, "ssh: connect to host h port 22: Connection refused"), ("ssh-unreachable".into(), true));
        assert_eq!(code(255, ""), ("ssh-unreachable".into(), true));
        assert_eq!(of(127, "bash: line 1: landfall: command not found"), "no-landfall-there");
        assert_eq!(of(2, "error: unrecognized subcommand 'agent-stdio'"), "server-too-old");
        assert_eq!(
            of(255, "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed."),
            "host-key-unknown"
        );
        assert_eq!(of(255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed."), "host-key-changed");
        assert!(!code(255, "Permission denied (publickey).").1);
    }

    #[test]
    fn both_versions_are_named_and_who_is_to_move() {
        let error = |protocol, api| {
            let versions = landfall_model::hello::Versions { version: "0.0.9".into(), api };
            SshError::new(&"ssh://h".parse().unwrap(), Why::Version(Hello { protocol, versions }))
        };
        let (old, new) = (error(PROTOCOL, 0), error(PROTOCOL + 1, 1));
        assert_eq!((old.code(), new.code()), ("server-too-old", "client-too-old"));
        assert!(old.to_string().contains("0.0.9") && old.to_string().contains(env!("CARGO_PKG_VERSION")), "{old}");
        assert!(old.hints()[0].contains("landfall server upgrade ssh://h"));
    }
}
