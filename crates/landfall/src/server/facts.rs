//! What a server is like, as far as the plan asks. Values only: `observe` reads them, tests make them up.

use std::collections::{BTreeMap, BTreeSet};

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its distribution.
    pub os: Os,
    /// `uname -m`.
    pub machine: String,
    /// systemd is the first process.
    pub systemd: bool,
    /// Cores: sockets are opened once for each.
    pub cores: usize,
    /// Who logged in, unless root.
    pub login: Option<String>,
    /// `login` is in the group `landfall`.
    pub in_group: bool,
    /// Number of the group `landfall`.
    pub group: Option<u32>,
    /// There is the user whose keys are bound to apps.
    pub deployer: bool,
    /// Packages of ours that are installed.
    pub packages: BTreeSet<String>,
    /// A container engine is there, whoever installed it.
    pub engine: bool,
    /// Paths of ours, as they are.
    pub paths: BTreeMap<String, Path>,
    /// SHA-256 of the binary that was brought.
    pub brought: String,
    /// Generation that `current` names.
    pub current: Option<String>,
    /// Units of ours that are enabled and run.
    pub running: BTreeSet<String>,
    /// Without systemd: a supervisor keeps agent and proxy.
    pub supervised: bool,
    /// Who listens on 80 and 443, other than Landfall.
    pub holders: BTreeMap<u16, String>,
    /// Ports on which SSH is reached.
    pub ssh_ports: BTreeSet<u16>,
    /// sshd tells sessions with which key they were begun; absent when it cannot be asked.
    pub exposes: Option<bool>,
    /// ufw is on: the firewall is its.
    pub ufw: bool,
    /// Rules of ufw, as it lists them.
    pub ufw_rules: String,
    /// Bytes free, by directory.
    pub free: BTreeMap<String, u64>,
}

/// A distribution, as os-release(5) has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Os {
    /// `debian`
    pub id: String,
    /// `12`; empty for a testing release.
    pub version: String,
    /// `Debian GNU/Linux 12 (bookworm)`
    pub pretty: String,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Its text; files of ours are short.
        text: String,
    },
    /// A symbolic link.
    Link {
        /// Its target.
        to: String,
    },
    /// Something else, or it cannot be read.
    Other,
}

impl Facts {
    /// The text of a file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        match self.paths.get(path) {
            Some(Path::File { text }) => Some(text),
            _ => None,
        }
    }

    /// `Debian GNU/Linux 12 (bookworm), x86_64, systemd`
    pub(super) fn describe(&self) -> String {
        let init = if self.systemd { "systemd" } else { "no systemd" };
        format!("{}, {}, {init}", self.os.pretty, self.machine)
    }
}
