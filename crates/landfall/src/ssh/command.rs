//! The arguments of `ssh`: options of ours, the address's parts each in a place where nothing else can be read, and a constant command.

use crate::error::{Outcome, Plain};
use landfall_model::server::ServerAddress;
use std::ffi::OsString;
use std::process::Stdio;
use tokio::process::Command;

/// What the server is asked to run. The only thing.
pub const REMOTE: [&str; 2] = ["landfall", "agent-stdio"];

/// What we need of a connection, whatever the user's configuration says of it. A host's key is never taken on trust; forwards and commands of the configuration are for the
/// user's own logins.
const OPTIONS: [&str; 10] = [
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "LogLevel=INFO",
];

/// The user's `ssh`, or what LANDFALL_SSH has in its place.
#[derive(Debug, Clone)]
pub struct SshProgram {
    words: Vec<OsString>,
    /// Nobody is there to type a passphrase.
    batch: bool,
}

impl SshProgram {
    /// `words` is program and arguments divided by blanks, as in LANDFALL_SSH; nothing in it is quoted or interpreted.
    pub fn new(words: Option<&str>, batch: bool) -> Outcome<Self> {
        let words: Vec<OsString> = words.unwrap_or("ssh").split_ascii_whitespace().map(OsString::from).collect();
        if words.is_empty() {
            return Err(Plain::usage("no-ssh-program", "LANDFALL_SSH is empty")
                .hint("unset it, or name a program: `LANDFALL_SSH=\"ssh -F ci.config\"`")
                .into());
        }
        Ok(Self { words, batch })
    }

    /// Somebody may be typing a passphrase.
    pub fn is_interactive(&self) -> bool {
        !self.batch
    }

    /// `ssh` for a command on a server, its three streams ours. `remote` is for constants only: the server's shell reads it.
    pub fn command(&self, server: &ServerAddress, remote: &[&'static str]) -> Command {
        let mut command = Command::new(self.words.first().map(OsString::as_os_str).unwrap_or_default());
        command.args(self.arguments(server, &[])).args(remote);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// `ssh` that tells about its handshake, and does nothing but fail when the host's key is not known.
    pub fn inspection(&self, server: &ServerAddress) -> Command {
        let mut command = Command::new(self.words.first().map(OsString::as_os_str).unwrap_or_default());
        // The first value of an option holds, so these come before ours.
        command.args(self.arguments(server, &["LogLevel=DEBUG1", "BatchMode=yes", "ControlPath=none"])).args(REMOTE);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn arguments(&self, server: &ServerAddress, first: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = self.words.iter().skip(1).cloned().collect();
        arguments.push("-T".into());
        let batch = self.batch.then_some("BatchMode=yes");
        for option in first.iter().copied().chain(OPTIONS).chain(batch) {
            arguments.extend(["-o".into(), option.into()]);
        }
        if let Some(port) = server.port() {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(user) = server.user() {
            arguments.extend(["-l".into(), user.into()]);
        }
        arguments.extend(["--".into(), server.host().into()]);
        arguments
    }
}

/// What a person types to try the same: `ssh -p 2222 deploy@host`.
pub fn by_hand(server: &ServerAddress) -> String {
    let port = server.port().map(|port| format!("-p {port} ")).unwrap_or_default();
    let user = server.user().map(|user| format!("{user}@")).unwrap_or_default();
    format!("ssh {port}{user}{}", server.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_an_address_stands_where_nothing_else_is_read() {
        let server = "ssh://deploy@tutor.example.com:2222".parse().unwrap();
        let command = SshProgram::new(Some("ssh -F x"), true).unwrap().command(&server, &REMOTE);
        let words: Vec<_> = command.as_std().get_args().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words[..5], ["-F", "x", "-T", "-o", "StrictHostKeyChecking=yes"]);
        let tail = ["-o", "BatchMode=yes", "-p", "2222", "-l", "deploy", "--", "tutor.example.com", "landfall", "agent-stdio"];
        assert_eq!(words[words.len() - tail.len()..], tail);
        assert!(SshProgram::new(Some(" "), true).is_err());
        assert_eq!(by_hand(&server), "ssh -p 2222 deploy@tutor.example.com");
    }
}
