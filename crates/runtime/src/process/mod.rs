//! Replicas as supervised child processes, for a machine without Docker and for apps that are one program.
//!
//! The agent never owns a program: it starts a small supervisor (`shim`) that detaches, and from then on both speak through the files of
//! the replica's directory and one signal. So the agent can be killed or replaced at any moment without a program noticing, and a new agent
//! sees everything by reading directories. It assumes Linux (`/proc`, pidfd) and a home directory on a local file system. It refuses what a
//! process cannot have: another user, mounts at other places, an image.

mod identity;
mod launch;
mod log_line;
mod log_reader;
mod log_writer;
mod program;
mod record;
mod session;
mod shim;
mod volume;

pub(crate) use volume::bytes as directory_bytes;

pub use shim::{shim_exec, shim_run};

use crate::{Exit, Launch, LogEntry, Runtime, RuntimeError, Session, listener, signal};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use landfall_model::image::Login;
use landfall_model::name::{AppName, ImageId, ImageRef, NetworkName, ReplicaId, VolumeName};
use landfall_model::observed::{Observed, ObservedNetwork, Replica, ReplicaState};
use landfall_model::spec::{Network, PullPolicy, RuntimeKind, Volume};
use record::{ReplicaDir, State, StopRequest, present, private_dir};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How often a state that is waited for is looked at.
const POLL: Duration = Duration::from_millis(15);
/// How long a supervisor may take to say that it has started its program.
const START: Duration = Duration::from_secs(30);
/// How long a supervisor may take beyond the grace period before it is killed itself.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// Makes processes exist.
pub struct ProcessRuntime {
    home: PathBuf,
    landfall: PathBuf,
}

impl ProcessRuntime {
    /// `home`: Landfall's directory; `process/`, `programs/` and `volumes/` in it are this runtime's, and are made when they are needed.
    /// `landfall`: the binary that has the verbs `shim run DIR` and `shim exec DIR`.
    pub fn new(home: &Path, landfall: &Path) -> Self {
        Self { home: home.to_owned(), landfall: landfall.to_owned() }
    }

    fn app_dir(&self, app: &AppName) -> PathBuf {
        self.home.join("process").join(app.as_str())
    }

    fn replica(&self, app: &AppName, id: &ReplicaId) -> ReplicaDir {
        ReplicaDir::new(self.app_dir(app).join(id.as_str()))
    }

    fn volumes(&self) -> PathBuf {
        self.home.join("volumes")
    }

    /// A network is only a name here; that it was made is remembered so that every runtime reports the same.
    fn network(&self, app: &AppName, key: &NetworkName) -> PathBuf {
        self.app_dir(app).join(".networks").join(key.as_str())
    }

    /// The directory and state of a replica that was made.
    fn known(&self, app: &AppName, id: &ReplicaId) -> Result<(ReplicaDir, Option<State>), RuntimeError> {
        let dir = self.replica(app, id);
        let read = dir.record().and_then(|record| Ok((record, dir.state()?)));
        match read.map_err(|e| RuntimeError::failed(format!("read the state of `{id}`"), e))? {
            (Some(_), state) => Ok((dir, state)),
            (None, _) => Err(RuntimeError::NoReplica(id.clone())),
        }
    }

    /// Starts a supervisor for the next run, and waits until it says that the run has begun.
    async fn spawn(&self, dir: &ReplicaDir, id: &ReplicaId, run: u32) -> Result<(), RuntimeError> {
        let failed = |e: io::Error| RuntimeError::failed(format!("start `{id}`"), e);
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.path().join("shim.log")).map_err(failed)?;
        let mut command = tokio::process::Command::new(&self.landfall);
        command.args(["shim", "run"]).arg(dir.path()).env_clear().env(shim::RUN, run.to_string()).current_dir("/").process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let until = Instant::now() + START;
        let detached = tokio::time::timeout(START, command.status()).await;
        let status = detached.map_err(|_| late(format!("start of `{id}`"), START))?.map_err(failed)?;
        if !status.success() {
            return Err(failed(io::Error::other(format!(
                "its supervisor ended with {status}; see {}",
                dir.path().join("shim.log").display()
            ))));
        }
        while dir.state().map_err(failed)?.is_none_or(|s| s.run < run) {
            if Instant::now() > until {
                return Err(late(format!("start of `{id}`"), START));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Asks a supervisor to end its program, and sees to it that it does.
    async fn end(&self, dir: &ReplicaDir, id: &ReplicaId, signal: &str, grace: Duration) -> Result<(), RuntimeError> {
        let failed = |e: io::Error| RuntimeError::failed(format!("stop `{id}`"), e);
        let Some(state) = self.settled(dir, id).await? else { return Ok(()) };
        if !is_up(present(Some(&state))) {
            return self.leave_nothing(dir, &state).map_err(failed);
        }
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        dir.write_stop_request(&StopRequest { run: state.run, signal: signal.to_owned(), grace_ms }).map_err(failed)?;
        state.shim.signal(Signal::TERM);
        let until = Instant::now() + grace + STOP_MARGIN;
        loop {
            let now = dir.state().map_err(failed)?;
            if !is_up(present(now.as_ref())) {
                return self.leave_nothing(dir, &state).map_err(failed);
            }
            if Instant::now() > until {
                // A supervisor that does not answer is killed; the kernel kills its program with it.
                state.shim.signal(Signal::KILL);
                return self.leave_nothing(dir, &state).map_err(failed);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The state once no start is under way any more. `None`: never started.
    async fn settled(&self, dir: &ReplicaDir, id: &ReplicaId) -> Result<Option<State>, RuntimeError> {
        let failed = |e: io::Error| RuntimeError::failed(format!("read the state of `{id}`"), e);
        let until = Instant::now() + START;
        loop {
            if let Some(state) = dir.state().map_err(failed)? {
                return Ok(Some(state));
            }
            // A supervisor takes the lock before anything else; who gets it here knows that none is at work yet, and the wish that is
            // left behind stops one that comes later.
            let lock = dir.lock_file().map_err(failed)?;
            if lock.try_lock().is_ok() {
                let wish = StopRequest { run: 1, signal: "SIGKILL".into(), grace_ms: 0 };
                dir.write_stop_request(&wish).map_err(failed)?;
                return dir.state().map_err(failed);
            }
            if Instant::now() > until {
                return Err(late(format!("start of `{id}`"), START));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills what outlived its supervisor: children of the program that left its process group but not its session.
    fn leave_nothing(&self, dir: &ReplicaDir, state: &State) -> io::Result<()> {
        for process in state.shim.session() {
            process.signal(Signal::KILL);
        }
        match dir.state()? {
            Some(last) if is_up(last.state) && !last.shim.alive() => dir.write_state(&State { state: present(Some(&last)), ..last }),
            _ => Ok(()),
        }
    }

    fn observe_now(&self, app: &AppName) -> Result<Observed, RuntimeError> {
        let failed = |e: io::Error| RuntimeError::failed(format!("observe `{app}`"), e);
        let mut replicas = BTreeMap::new();
        for id in entries::<ReplicaId>(&self.app_dir(app)).map_err(failed)? {
            let dir = self.replica(app, &id);
            if let Some(replica) = observe_replica(&dir).map_err(failed)? {
                replicas.insert(id, replica);
            }
        }
        let networks = entries::<NetworkName>(&self.app_dir(app).join(".networks")).map_err(failed)?;
        Ok(Observed {
            replicas,
            images: BTreeMap::new(),
            volumes: volume::of_app(&self.volumes(), app),
            networks: networks.into_iter().map(|key| (key, ObservedNetwork::default())).collect(),
            busy_ports: listener::busy_ports(),
            ..Observed::default()
        })
    }
}

fn late(doing: String, after: Duration) -> RuntimeError {
    RuntimeError::TimedOut { doing, seconds: after.as_secs() }
}

fn is_up(state: ReplicaState) -> bool {
    matches!(state, ReplicaState::Running | ReplicaState::Restarting { .. })
}

/// Names of that kind in a directory; others, such as `.networks`, are no names. An absent directory is empty.
fn entries<T: FromStr>(dir: &Path) -> io::Result<Vec<T>> {
    match fs::read_dir(dir) {
        Ok(found) => Ok(found.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

fn observe_replica(dir: &ReplicaDir) -> io::Result<Option<Replica>> {
    let Some(record) = dir.record()? else { return Ok(None) };
    let state = dir.state()?;
    let default: Option<NetworkName> = "default".parse().ok();
    Ok(Some(Replica {
        service: record.service,
        revision: record.revision,
        release: record.release,
        job: record.job,
        state: present(state.as_ref()),
        addresses: default.into_iter().map(|network| (network, IpAddr::V4(Ipv4Addr::LOCALHOST))).collect(),
        port: record.port,
        restarts: state.as_ref().map_or(0, |s| s.restarts),
        started_ms: state.as_ref().map_or(0, |s| s.started_ms),
        unnamed: BTreeSet::new(),
    }))
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    async fn ping(&self) -> Result<String, RuntimeError> {
        private_dir(&self.home.join("process")).map_err(|e| RuntimeError::failed(format!("use {}", self.home.display()), e))?;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| RuntimeError::failed("read /proc", e))?;
        Ok(format!("Linux {}", release.trim()))
    }

    async fn observe(&self, app: &AppName, _images: &BTreeSet<ImageRef>) -> Result<Observed, RuntimeError> {
        self.observe_now(app)
    }

    async fn apps(&self) -> Result<BTreeSet<AppName>, RuntimeError> {
        let failed = |e: io::Error| RuntimeError::failed("list the apps", e);
        let mut apps = BTreeSet::new();
        for app in entries::<AppName>(&self.home.join("process")).map_err(failed)? {
            if !entries::<ReplicaId>(&self.app_dir(&app)).map_err(failed)?.is_empty() {
                apps.insert(app);
            }
        }
        Ok(apps)
    }

    async fn pull(
        &self,
        image: &ImageRef,
        _how: (PullPolicy, Option<&Login>),
        _progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        Err(RuntimeError::NoImage { image: image.to_string(), reason: "the process runtime runs programs, not images".into() })
    }

    async fn files(
        &self,
        image: &ImageId,
        _path: &str,
        _into: &mut (dyn tokio::io::AsyncWrite + Send + Unpin),
    ) -> Result<(), RuntimeError> {
        Err(RuntimeError::NoImage { image: image.to_string(), reason: "the process runtime runs programs, not images".into() })
    }

    async fn ensure_network(&self, app: &AppName, key: &NetworkName, _network: &Network) -> Result<(), RuntimeError> {
        let path = self.network(app, key);
        let made = path.parent().map_or(Ok(()), private_dir).and_then(|()| fs::write(&path, ""));
        made.map_err(|e| RuntimeError::failed(format!("make network `{key}`"), e))
    }

    async fn ensure_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        volume::ensure(&self.volumes(), app, key, volume).map(drop)
    }

    async fn start(&self, launch: &Launch) -> Result<(), RuntimeError> {
        let dir = self.replica(&launch.app, &launch.id);
        let failed = |e: io::Error| RuntimeError::failed(format!("make `{}`", launch.id), e);
        if dir.record().map_err(failed)?.is_none() {
            let record = launch::record(launch, &self.home.join("programs"), &self.volumes())?;
            dir.create().and_then(|()| dir.write_record(&record)).map_err(failed)?;
        }
        if dir.state().map_err(failed)?.is_some() {
            return Ok(());
        }
        dir.forget_stop_request().map_err(failed)?;
        self.spawn(&dir, &launch.id, 1).await
    }

    async fn start_again(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        let (dir, state) = self.known(app, id)?;
        if is_up(present(state.as_ref())) {
            return Ok(());
        }
        dir.forget_stop_request().map_err(|e| RuntimeError::failed(format!("start `{id}`"), e))?;
        self.spawn(&dir, id, state.map_or(1, |s| s.run.saturating_add(1))).await
    }

    async fn wait(&self, app: &AppName, id: &ReplicaId) -> Result<Exit, RuntimeError> {
        loop {
            let (_, state) = self.known(app, id)?;
            if let ReplicaState::Exited { code, out_of_memory } = present(state.as_ref()) {
                return Ok(Exit { code, out_of_memory });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn stop(&self, app: &AppName, id: &ReplicaId, signal: Option<&str>, grace: Duration) -> Result<(), RuntimeError> {
        if let Some(signal) = signal.filter(|s| signal::parse(s).is_none()) {
            return Err(RuntimeError::failed(format!("stop `{id}`"), format!("`{signal}` is no signal a process can be sent")));
        }
        let (dir, _) = self.known(app, id)?;
        let record = dir.record().map_err(|e| RuntimeError::failed(format!("read the state of `{id}`"), e))?;
        let own = record.map_or_else(|| "SIGTERM".to_owned(), |r| r.stop_signal);
        self.end(&dir, id, signal.unwrap_or(&own), grace).await
    }

    async fn remove(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        let dir = self.replica(app, id);
        if dir.path().exists() {
            self.end(&dir, id, "SIGKILL", Duration::ZERO).await?;
        }
        dir.remove().map_err(|e| RuntimeError::failed(format!("remove `{id}`"), e))
    }

    async fn remove_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        volume::remove(&self.volumes(), app, key, volume)
    }

    async fn volume_bytes(&self, _app: &AppName, _key: &VolumeName, volume: &Volume) -> Option<u64> {
        volume::bytes(&volume::dir(&self.volumes(), volume).ok()?)
    }

    async fn remove_network(&self, app: &AppName, key: &NetworkName, _network: &Network) -> Result<(), RuntimeError> {
        match fs::remove_file(self.network(app, key)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(RuntimeError::failed(format!("remove network `{key}`"), e)),
            _ => Ok(()),
        }
    }

    async fn exec(&self, app: &AppName, id: &ReplicaId, argv: &[String], _tty: bool) -> Result<Session, RuntimeError> {
        let (dir, state) = self.known(app, id)?;
        let failed = |e: io::Error| RuntimeError::failed(format!("run a command in `{id}`"), e);
        if present(state.as_ref()) != ReplicaState::Running {
            return Err(failed(io::Error::other("it does not run")));
        }
        let record = dir.opened().map_err(failed)?.ok_or_else(|| RuntimeError::NoReplica(id.clone()))?;
        session::piped(launch::beside(&record, argv)?)
            .map_err(|e| RuntimeError::NoProgram { program: argv.first().cloned().unwrap_or_default(), reason: e.to_string() })
    }

    async fn logs(
        &self,
        app: &AppName,
        id: &ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogEntry, RuntimeError>>, RuntimeError> {
        let (dir, _) = self.known(app, id)?;
        Ok(log_reader::lines(dir.log(), tail, follow))
    }

    async fn listening(&self, app: &AppName, id: &ReplicaId) -> BTreeSet<u16> {
        let Ok((_, Some(state))) = self.known(app, id) else { return BTreeSet::new() };
        let own: BTreeSet<u64> = state.shim.session().iter().flat_map(identity::Identity::sockets).collect();
        listener::listeners(Path::new("/proc/self/net")).into_iter().filter(|l| own.contains(&l.inode)).map(|l| l.port).collect()
    }
}
