//! The files that are a replica of the process runtime.
//!
//! One directory per replica under `process/<app>/<replica>/`, 0700: `launch.json` says what to run and never changes, `state.json` says how
//! it stands and is written by its supervisor alone (by the agent only when the supervisor is dead), `stop.json` asks it to end. Each is
//! written beside its place and renamed into it, so a reader sees all of one version or all of another. The directory without
//! `launch.json` is nothing: the replica was never made.

use crate::process::identity::Identity;
use crate::seal::Seal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_model::digest::Revision;
use landfall_model::name::{AppName, ReleaseNumber, ReplicaId, ServiceName, VolumeName};
use landfall_model::observed::ReplicaState;
use landfall_model::spec::{EnvValue, LogPolicy, Restart};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest of these files that is read.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// `launch.json`: what to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) app: AppName,
    pub(crate) id: ReplicaId,
    pub(crate) service: ServiceName,
    pub(crate) release: ReleaseNumber,
    pub(crate) revision: Revision,
    pub(crate) job: bool,
    pub(crate) port: Option<u16>,
    /// The file that is executed.
    pub(crate) program: PathBuf,
    /// What it is called with, its own name first.
    pub(crate) argv: Vec<String>,
    /// Complete. On disk only sealed: it holds the secrets of the app. A record of an older Landfall has it in clear.
    #[serde(default, skip_serializing)]
    pub(crate) environment: BTreeMap<String, EnvValue>,
    /// The environment as it lies on disk.
    #[serde(default)]
    pub(crate) sealed: String,
    pub(crate) working_dir: PathBuf,
    pub(crate) restart: Restart,
    pub(crate) stop_signal: String,
    pub(crate) stop_grace_ms: u64,
    pub(crate) log: LogPolicy,
    /// Things the process runtime cannot give it, told in its log.
    pub(crate) notes: Vec<String>,
}

/// `state.json`: how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Counted from 1; grows when it is started again on purpose. What makes asking twice start once.
    pub(crate) run: u32,
    pub(crate) shim: Identity,
    pub(crate) state: ReplicaState,
    pub(crate) restarts: u32,
    pub(crate) started_ms: u64,
}

/// `stop.json`: a wish to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopRequest {
    /// The run that is meant; an older wish does not concern a newer run.
    pub(crate) run: u32,
    pub(crate) signal: String,
    pub(crate) grace_ms: u64,
}

/// A replica's directory.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaDir(PathBuf);

impl ReplicaDir {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        private_dir(&self.0)
    }

    /// Absent: the replica was never made. Its environment stays sealed: one whose key is lost can still be looked at and stopped.
    pub(crate) fn record(&self) -> io::Result<Option<Record>> {
        read(&self.0.join("launch.json"))
    }

    /// The same with its environment, for the one who starts something.
    pub(crate) fn opened(&self) -> io::Result<Option<Record>> {
        let Some(mut record) = self.record()? else { return Ok(None) };
        if !record.sealed.is_empty() {
            let sealed = STANDARD.decode(&record.sealed).map_err(io::Error::other)?;
            let opened = self.seal()?.unseal(&context(&record), &sealed).map_err(io::Error::other)?;
            record.environment = serde_json::from_slice(opened.expose())?;
        }
        Ok(Some(record))
    }

    pub(crate) fn write_record(&self, record: &Record) -> io::Result<()> {
        let plain = Zeroizing::new(serde_json::to_vec(&record.environment)?);
        let sealed = self.seal()?.seal(&context(record), &plain).map_err(io::Error::other)?;
        write(&self.0, "launch.json", &Record { sealed: STANDARD.encode(sealed), ..record.clone() })
    }

    /// With the key of the home this replica is in: `<home>/process/<app>/<replica>`.
    fn seal(&self) -> io::Result<Seal> {
        let home = self.0.ancestors().nth(3).unwrap_or(Path::new("/"));
        Seal::open(&home.join("secret.key")).map_err(io::Error::other)
    }

    /// Absent: it was made and never started.
    pub(crate) fn state(&self) -> io::Result<Option<State>> {
        read(&self.0.join("state.json"))
    }

    pub(crate) fn write_state(&self, state: &State) -> io::Result<()> {
        write(&self.0, "state.json", state)
    }

    /// The wish that concerns this run.
    pub(crate) fn stop_request(&self, run: u32) -> Option<StopRequest> {
        read::<StopRequest>(&self.0.join("stop.json")).ok().flatten().filter(|r| r.run == run)
    }

    pub(crate) fn write_stop_request(&self, request: &StopRequest) -> io::Result<()> {
        write(&self.0, "stop.json", request)
    }

    pub(crate) fn forget_stop_request(&self) -> io::Result<()> {
        match fs::remove_file(self.0.join("stop.json")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The file whose lock a supervisor holds as long as it lives.
    pub(crate) fn lock_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(self.0.join("shim.lock"))
    }

    /// Deletes it. It stops being a replica at once, even if deleting its files is cut off.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let Some(name) = self.0.file_name().and_then(|n| n.to_str()) else { return Ok(()) };
        let gone = self.0.with_file_name(format!(".gone-{name}"));
        for step in [fs::remove_dir_all(&gone), fs::rename(&self.0, &gone), fs::remove_dir_all(&gone)] {
            match step {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What an environment is bound to.
fn context(record: &Record) -> [&str; 3] {
    ["environment", record.app.as_str(), record.id.as_str()]
}

/// How a replica stands, taking into account that a dead supervisor writes nothing any more.
pub(crate) fn present(state: Option<&State>) -> ReplicaState {
    match state {
        None => ReplicaState::Created,
        Some(s) if matches!(s.state, ReplicaState::Exited { .. }) || s.shim.alive() => s.state,
        // The kernel killed the program when its supervisor died (PR_SET_PDEATHSIG), or the machine went down.
        Some(_) => ReplicaState::Exited { code: 128 + 9, out_of_memory: false },
    }
}

/// Makes a directory and those above it that nobody else may enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Which volume of which app a directory is; kept beside it, for its content is the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    pub(crate) app: AppName,
    pub(crate) key: VolumeName,
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = Vec::new();
    if file.take(MAX_FILE + 1).read_to_end(&mut text)? as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is larger than {MAX_FILE} bytes", path.display())));
    }
    serde_json::from_slice(&text).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display())))
}

pub(crate) fn write<T: Serialize>(dir: &Path, name: &str, value: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    // The writer's number keeps two writers from renaming each other's half.
    let beside = dir.join(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(run: u32, state: ReplicaState) -> State {
        State { run, shim: Identity::own().unwrap(), state, restarts: 0, started_ms: 1 }
    }

    #[test]
    fn a_wish_to_stop_concerns_one_run_only() {
        let home = tempfile::tempdir().unwrap();
        let dir = ReplicaDir::new(home.path());
        dir.write_stop_request(&StopRequest { run: 1, signal: "SIGTERM".into(), grace_ms: 5 }).unwrap();
        assert!(dir.stop_request(1).is_some());
        assert!(dir.stop_request(2).is_none());
    }

    #[test]
    fn removing_twice_is_removing_once_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dir = ReplicaDir::new(home.path().join("web-1-1"));
        dir.create().unwrap();
        dir.write_state(&state(1, ReplicaState::Running)).unwrap();
        dir.remove().unwrap();
        dir.remove().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_no_record_is_an_error_and_an_absent_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let dir = ReplicaDir::new(home.path());
        assert!(dir.state().unwrap().is_none());
        fs::write(home.path().join("state.json"), "{").unwrap();
        assert!(dir.state().is_err());
    }

    #[test]
    fn running_under_a_dead_supervisor_is_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let shim = Identity::of(child.id()).unwrap();
        child.wait().unwrap();
        let dead = State { shim, ..state(1, ReplicaState::Running) };
        assert_eq!(present(Some(&dead)), ReplicaState::Exited { code: 137, out_of_memory: false });
        assert_eq!(present(Some(&state(1, ReplicaState::Running))), ReplicaState::Running);
        assert_eq!(present(None), ReplicaState::Created);
    }
}
