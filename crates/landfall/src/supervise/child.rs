//! One of our own processes: how it is spawned, ended, and how soon it is started again.
//!
//! Between the supervisor and its child stands `landfall stage` for a moment: LISTEN_PID must be the child's own process id, which only the
//! child knows, and the child must ask the kernel for a signal when its parent dies; both are done there, then it becomes the child by exec.

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// First descriptor that is handed over (sd_listen_fds(3)).
const FIRST_FD: i32 = 3;

/// A log this long is set aside when its process starts: `x.log` becomes `x.log.1`.
const MAX_LOG: u64 = 5 * 1024 * 1024;

/// What is spawned.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Of Landfall.
    pub binary: PathBuf,
    /// Its arguments.
    pub argv: Vec<OsString>,
    /// Where its standard error goes.
    pub log: PathBuf,
    /// Where it tells how it is.
    pub notify: Option<PathBuf>,
    /// How long it may say nothing there once it is ready.
    pub watchdog: Option<Duration>,
    /// Set in its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Handed over, with their names.
    pub fds: Vec<(String, Arc<OwnedFd>)>,
}

/// What our own processes get of the environment they are started in: nothing that a shell may have been given for the app, such as a password.
pub fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    const NAMES: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
    const PREFIXES: [&str; 5] = ["LANDFALL_", "DOCKER_", "XDG_", "RUST_", "SSL_CERT_"];
    std::env::vars_os().filter(|(name, _)| {
        name.to_str().is_some_and(|name| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
    })
}

impl Program {
    /// Spawns it in a process group of its own, so that the terminal's Ctrl-C does not reach it.
    pub(super) fn spawn(&self) -> io::Result<Child> {
        let log = open_log(&self.log)?;
        let mut command = std::process::Command::new(&self.binary);
        command
            .arg("stage")
            .arg(format!("--parent={}", std::process::id()))
            .arg("--")
            .args(&self.argv)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env_clear()
            .envs(environment())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(notify) = &self.notify {
            command.env("NOTIFY_SOCKET", notify);
        }
        if let Some(watchdog) = self.watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        if !self.fds.is_empty() {
            let names: Vec<&str> = self.fds.iter().map(|(name, _)| name.as_str()).collect();
            command.env("LISTEN_FDS", self.fds.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        }
        let mut mappings = Vec::with_capacity(self.fds.len());
        for (child_fd, (_, fd)) in (FIRST_FD..).zip(&self.fds) {
            mappings.push(FdMapping { parent_fd: fd.as_fd().try_clone_to_owned()?, child_fd });
        }
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        let mut command = tokio::process::Command::from(command);
        let child = command.process_group(0).spawn()?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the child ended at once"))?;
        Ok(Child { child, pid, since: Instant::now() })
    }
}

/// Opens a log to append to, setting a long one aside first.
pub fn open_log(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_LOG) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// A child that runs or has ended.
#[derive(Debug)]
pub(super) struct Child {
    child: tokio::process::Child,
    pid: Pid,
    since: Instant,
}

impl Child {
    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How long ago it was started.
    pub(super) fn up(&self) -> Duration {
        self.since.elapsed()
    }

    /// How it ended, in words. May be asked again.
    pub(super) async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => words(status),
            Err(error) => error.to_string(),
        }
    }

    /// SIGTERM. The process cannot be another's by now: it stays a zombie until `wait` has seen its end.
    pub(super) fn terminate(&self) {
        if self.child.id().is_some() {
            let _ = kill_process(self.pid, Signal::TERM);
        }
    }

    /// SIGKILL, and its end.
    pub(super) async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// SIGKILL. Its end, which may take long for a process that waits for a disk, is seen to aside.
    pub(super) fn kill_aside(mut self) {
        let _ = self.child.start_kill();
        tokio::spawn(async move { self.child.wait().await });
    }
}

fn words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// How long to wait before a child is started again: 50 ms, doubled up to 2 s; from the beginning when it was up for ten seconds.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    deaths: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);
    const HEALTHY: Duration = Duration::from_secs(10);

    /// The child died after having been up so long (not at all if it could not be started).
    pub(super) fn next(&mut self, up: Duration) -> Duration {
        if up >= Self::HEALTHY {
            self.deaths = 0;
        }
        self.deaths = (self.deaths + 1).min(16);
        (Self::FIRST * 2u32.pow(self.deaths - 1)).min(Self::LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_and_is_forgotten_after_a_good_run() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.next(Backoff::HEALTHY).as_millis(), 50);
    }
}
