//! A command beside a running program: `landfall exec` under the process runtime.
//!
//! It gets the program's environment and working directory and a process group of its own. With a terminal it is started through
//! `landfall shim exec`, which makes the terminal its own: only a process itself can do that, between fork and exec, in safe code.

use crate::process::shim::code_of;
use crate::{Exit, RuntimeError, Session, SessionControl};
use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::process::ExitStatus;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How far a command has come: `None` while it runs.
type End = Option<Result<ExitStatus, String>>;

/// The control of a command without a terminal.
struct Piped {
    group: Option<Pid>,
    end: watch::Receiver<End>,
}

/// Starts a command with three pipes.
pub(crate) fn piped(mut command: Command) -> io::Result<Session> {
    use std::process::Stdio;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    Ok(Session { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), control: Box::new(Piped::over(child)) })
}

impl Piped {
    fn over(mut child: Child) -> Self {
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (sender, end) = watch::channel(None);
        // Collected by a task, so that no zombie is left when nobody waits.
        tokio::spawn(async move {
            let ended = tokio::select! {
                status = child.wait() => status.map_err(|e| e.to_string()),
                // Nobody holds the session any more: dropping the child kills it.
                () = sender.closed() => {
                    if let Some(group) = group {
                        let _ = kill_process_group(group, Signal::KILL);
                    }
                    child.wait().await.map_err(|e| e.to_string())
                }
            };
            let _ = sender.send(Some(ended));
        });
        Self { group, end }
    }
}

#[async_trait]
impl SessionControl for Piped {
    async fn resize(&self, _columns: u16, _rows: u16) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn wait(&self) -> Result<Exit, RuntimeError> {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await.map_err(|e| RuntimeError::failed("wait for a command", e))?.clone();
        match ended {
            Some(Ok(status)) => Ok(Exit { code: code_of(status), out_of_memory: false }),
            Some(Err(reason)) => Err(RuntimeError::failed("wait for a command", reason)),
            None => Err(RuntimeError::failed("wait for a command", "it has no end")),
        }
    }

    async fn kill(&self) {
        if let (Some(group), true) = (self.group, self.end.borrow().is_none()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
