//! Who supervises a home directory: a lock that dies with its holder, and a file that says who holds it.
//!
//! The lock is the truth; the file is only read while the lock is held, so a pid in it is never that of a stranger.

use super::Listeners;
use crate::error::{Outcome, Plain};
use crate::settings::Home;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// `run/supervisor.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Process id of the supervisor.
    pub pid: i32,
    /// Version of its binary.
    pub version: String,
    /// Where plain HTTP is served, as clients type it.
    pub http: Option<String>,
    /// Where HTTPS is served, likewise.
    pub https: Option<String>,
    /// Nobody watches it in a terminal.
    pub detached: bool,
    /// The proxy that carries requests.
    pub proxy: Carrier,
}

/// The proxy that carries requests, and how replacing it went: an upgrade looks here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// Its process id; 0 before the first is ready.
    pub pid: i32,
    /// Replacements that were asked for and have ended, one way or the other.
    pub replacements: u64,
    /// Why the last one did not come up, and the one before it stayed.
    pub refused: Option<String>,
}

/// The first line of a supervisor in the background: how its start went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "start")]
pub enum Started {
    /// The proxy carries requests.
    Ready {
        /// Who it is.
        supervisor: Record,
    },
    /// It ended.
    Failed {
        /// Why.
        failure: Box<landfall_model::api::Failure>,
    },
}

/// That this process, and no other, supervises.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Takes it; `None` when another process has it.
    pub fn take(home: &Home) -> Outcome<Option<Self>> {
        home.create()?;
        let path = home.supervisor_lock();
        let failed = |e: std::io::Error| Plain::failed("home-unusable", format!("cannot lock {}", path.display())).because(e);
        let file = open(home).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error).into()),
        }
    }
}

fn open(home: &Home) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(home.supervisor_lock())
}

impl Record {
    /// Says who we are.
    pub(super) fn write(home: &Home, listeners: &Listeners, detached: bool) -> Outcome<Self> {
        let record = Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            http: listeners.http_url(),
            https: listeners.https_url(),
            detached,
            proxy: Carrier::default(),
        };
        record
            .save(home)
            .map_err(|e| Plain::failed("home-unusable", format!("cannot write {}", home.supervisor_record().display())).because(e))?;
        Ok(record)
    }

    /// Writes it whole.
    pub(super) fn save(&self, home: &Home) -> std::io::Result<()> {
        let (path, new) = (home.supervisor_record(), home.supervisor_record().with_extension("new"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        std::fs::rename(&new, &path)
    }

    /// Takes the record away at an orderly end.
    pub(super) fn remove(home: &Home) {
        let _ = std::fs::remove_file(home.supervisor_record());
        // Nobody answers there any more; a socket that is left makes whoever asks wait for an agent that will not come.
        for socket in home.sockets() {
            let _ = std::fs::remove_file(socket);
        }
    }

    /// Who supervises now; nobody, when the lock is free.
    pub fn alive(home: &Home) -> Option<Self> {
        // Not made when it is not there: looking leaves no traces. A shared lock, so that two lookers do not see each other.
        let file = OpenOptions::new().read(true).open(home.supervisor_lock()).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return None,
        }
        serde_json::from_slice(&std::fs::read(home.supervisor_record()).ok()?).ok()
    }

    /// Asks the supervisor for something.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{ListenAddress, ListenArgs};

    #[test]
    fn a_record_counts_only_while_its_lock_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().to_owned()).unwrap();
        assert_eq!(Record::alive(&home), None);
        let lock = Lock::take(&home).unwrap().unwrap();
        assert!(Lock::take(&home).unwrap().is_none());
        let any = ListenAddress(Some("127.0.0.1:0".parse().unwrap()));
        let listeners = Listeners::bind(&ListenArgs { http: ListenAddress(None), https: any, proxy_protocol: Vec::new() }).unwrap();
        let record = Record::write(&home, &listeners, true).unwrap();
        assert_eq!(Record::alive(&home), Some(record));
        drop(lock);
        assert_eq!(Record::alive(&home), None);
    }
}
