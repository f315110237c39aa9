//! Verbs nobody types: the server processes, and what stands before and beside them.

use super::Context;
use crate::cli::{Agent, Proxy, Shim, ShimPart, Stage, Supervise};
use crate::error::{Explain, Outcome, Plain};
use crate::supervise::{Listeners, Lock, SINGLE_USER, Start, Started, Supervisor};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// A server process ended badly.
#[derive(Debug, thiserror::Error)]
enum DaemonError {
    #[error("the agent cannot run")]
    Agent(#[source] landfall_agent::AgentError),
    #[error("the proxy cannot run")]
    Proxy(#[source] landfall_proxy::ProxyError),
}

impl Explain for DaemonError {
    fn code(&self) -> &str {
        match self {
            Self::Agent(_) => "agent-failed",
            Self::Proxy(_) => "proxy-failed",
        }
    }
}

/// The agent, until SIGTERM.
pub fn agent(context: &Context, args: Agent) -> Outcome<ExitCode> {
    crate::trace::to_stderr();
    let home = context.settings.home.path().to_owned();
    let settings = landfall_agent::Settings { home, http: args.http, https: args.https, binary: own_binary()? };
    let single_user = std::env::var_os(SINGLE_USER).is_some();
    landfall_agent::run(settings, single_user).map_err(DaemonError::Agent)?;
    Ok(ExitCode::SUCCESS)
}

/// The proxy, until SIGTERM and what it holds is finished.
pub fn proxy(context: &Context, args: &Proxy) -> Outcome<ExitCode> {
    crate::trace::to_stderr();
    let workers = args.workers.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1).max(1);
    let settings = landfall_proxy::Settings {
        home: context.settings.home.path().to_owned(),
        drain: Duration::from_secs(args.drain),
        workers,
        proxied_by: args.proxy_protocol.clone(),
    };
    landfall_proxy::run(settings).map_err(DaemonError::Proxy)?;
    Ok(ExitCode::SUCCESS)
}

/// What `up --detach` starts, and on a server systemd. Its first line on standard output says how the start went; then it runs until SIGTERM. Replicas outlive it.
pub async fn supervise(context: &Context, args: Supervise) -> Outcome<ExitCode> {
    crate::trace::to_stderr();
    // Out of the terminal's session, so that its end is not ours. Fails only for a process that leads a group already: then it was
    // started by something that has seen to it.
    let _ = setsid();
    let supervisor = match begin(context, args).await {
        Ok(supervisor) => supervisor,
        Err(problem) => {
            context.printer.json_line(&Started::Failed { failure: Box::new(problem.failure()) })?;
            return Err(problem);
        }
    };
    context.printer.json_line(&Started::Ready { supervisor: supervisor.record().clone() })?;
    let watched = tokio::spawn(landfall_agent::tell_service_manager());
    let listen = |kind| signal(kind).map_err(|e| Plain::failed("no-signals", "cannot listen for signals").because(e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let kill = supervisor.killer();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => kill(),
            _ = interrupt.recv() => kill(),
        }
    });
    watched.abort();
    supervisor.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn begin(context: &Context, args: Supervise) -> Outcome<Supervisor> {
    let home = context.settings.home.clone();
    let Some(lock) = Lock::take(&home)? else {
        return Err(Plain::failed("already-supervised", format!("another Landfall supervises {}", home.path().display())).into());
    };
    let listeners = Listeners::inherited()?.map_or_else(|| Listeners::bind(&args.listen), Ok)?;
    Supervisor::start(Start { home, lock, listeners, detached: true, binary: args.binary, without_agent: args.without_agent }).await
}

/// Becomes the child: asks to be told when the supervisor dies, says in LISTEN_PID whom the sockets are for, and execs.
pub fn stage(args: Stage) -> Outcome<ExitCode> {
    let failed = |e: std::io::Error| Plain::failed("no-child", "cannot become the child").because(e);
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|e| failed(e.into()))?;
    // It may have died before we asked.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(args.parent) {
        return Err(Plain::failed("no-supervisor", "the supervisor is gone").into());
    }
    let mut command = Command::new(own_binary()?);
    command.args(args.argv);
    if std::env::var_os("LISTEN_FDS").is_some() {
        command.env("LISTEN_PID", std::process::id().to_string());
    }
    Err(failed(command.exec()).into())
}

/// What stands beside a program of the process runtime.
pub fn shim(args: &Shim) -> ExitCode {
    match &args.part {
        ShimPart::Run { dir } => ExitCode::from(u8::try_from(landfall_runtime::process::shim_run(dir)).unwrap_or(1)),
        ShimPart::Exec { dir } => {
            let error = landfall_runtime::process::shim_exec(dir);
            crate::output::child_note(&format!("cannot start: {error}"));
            // As shells have it: 127 for a program that is not there, 126 for one that may not be run.
            ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
        }
    }
}

fn own_binary() -> Outcome<PathBuf> {
    crate::supervise::own_binary()
}
