//! `landfall up`: the whole of Landfall for one machine, in one command.
//!
//! In the foreground this process is the supervisor: it runs agent and proxy, deploys, shows what services write, and on Ctrl-C stops
//! everything it started. Detached, a supervisor is left in the background. Where one runs already, `up` deploys to it.

use super::Context;
use super::deploy::Ready;
use crate::cli::{BuildPlace, Up};
use crate::client::Client;
use crate::error::{Kind, Outcome, Plain, Problem};
use crate::follow::follow;
use crate::project::Project;
use crate::rollout::{detachable, roll_out, tell_serving};
use crate::supervise::{Listeners, Lock, Record, Start, Supervisor, start_in_background};
use landfall_model::api::Want;
use landfall_model::name::AppName;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Longest wait for a rollout under way before its app is stopped.
const BUSY_LIMIT: Duration = Duration::from_secs(600);

/// Who supervises this home.
enum Server {
    /// Nobody: this process may.
    Free(Lock),
    /// Somebody.
    Runs(Record),
}

/// Runs it.
pub async fn run(context: &Context, args: Up) -> Outcome<ExitCode> {
    if let Some(server) = &context.settings.server {
        return Err(Plain::usage("up-is-here", format!("`up` runs Landfall on this machine, and {server} is another"))
            .hint("deploy to the server: `landfall deploy`; to run it here, leave out `--server` and unset LANDFALL_SERVER")
            .into());
    }
    // A file that cannot be deployed starts nothing.
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let ready = Ready::check(context, project)?;
    match look(context).await? {
        Server::Free(lock) if args.detach => {
            // The supervisor takes it.
            drop(lock);
            let record = start_in_background(&context.settings.home, supervisor(context, &args)?).await?;
            settled(context, &context.client(), ready.app()).await?;
            deploy(context, ready, args.build.build).await?;
            context.printer.note(&format!("Landfall runs in the background (process {}); stop with `landfall down`", record.pid));
        }
        Server::Free(lock) => return in_foreground(context, args, ready, lock).await,
        Server::Runs(record) => {
            context.printer.note(&format!("deploying to the Landfall that runs here (process {})", record.pid));
            deploy(context, ready, args.build.build).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds out who supervises. A lock without a record is a supervisor that is just starting or ending, or somebody who looks.
async fn look(context: &Context) -> Outcome<Server> {
    let home = &context.settings.home;
    for _ in 0..40 {
        if let Some(lock) = Lock::take(home)? {
            return Ok(Server::Free(lock));
        }
        if let Some(record) = Record::alive(home) {
            return Ok(Server::Runs(record));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Plain::failed("already-supervised", format!("another process holds {}", home.supervisor_lock().display())).into())
}

/// An agent that starts first finishes what a dead one left half done; until then it refuses the app's next rollout.
async fn settled(context: &Context, client: &Client, app: &AppName) -> Outcome {
    let began = tokio::time::Instant::now();
    let mut told = false;
    // Read from the list: the app may not be there yet.
    while let Some(rollout) = client.apps().await?.into_iter().find(|status| status.app == *app).and_then(|status| status.rollout) {
        if began.elapsed() > BUSY_LIMIT {
            break;
        }
        if !told {
            context.printer.note(&format!("waiting for the {} of {app} that was interrupted", rollout.purpose));
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn deploy(context: &Context, mut ready: Ready, place: Option<BuildPlace>) -> Outcome {
    let client = context.client();
    images(context, &client, &mut ready, place).await?;
    let app = ready.app().clone();
    let ended = detachable(&client, &app.clone(), ready.deploy(context, &client)).await?;
    tell_serving(&client, &context.printer, &app, &ended).await
}

/// Builds what is asked for, and what else there would be no image of.
async fn images(context: &Context, client: &Client, ready: &mut Ready, place: Option<BuildPlace>) -> Outcome {
    if let Some(place) = place {
        ready.build(context, client, place).await?;
    }
    ready.build_missing(context, client).await
}

fn supervisor(context: &Context, args: &Up) -> Outcome<tokio::process::Command> {
    let mut command = tokio::process::Command::new(crate::supervise::own_binary()?);
    command
        .arg("supervise")
        .arg("--home")
        .arg(context.settings.home.path())
        .arg(format!("--http={}", args.listen.http))
        .arg(format!("--https={}", args.listen.https))
        .args(args.listen.proxy_protocol.iter().map(|network| format!("--proxy-protocol={network}")))
        .env_clear()
        .envs(crate::supervise::environment());
    Ok(command)
}

/// SIGINT and SIGTERM, which mean the same here.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn new() -> Outcome<Self> {
        let listen = |kind| signal(kind).map_err(|e| Plain::failed("no-signals", "cannot listen for signals").because(e));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn in_foreground(context: &Context, args: Up, ready: Ready, lock: Lock) -> Outcome<ExitCode> {
    let home = context.settings.home.clone();
    let mut stops = Stops::new()?;
    let listeners = Listeners::bind(&args.listen)?;
    crate::trace::to_file(&home.log("supervisor"))?;
    let start = Start { home, lock, listeners, detached: false, binary: None, without_agent: false };
    let supervisor = Supervisor::start(start).await?;
    let client = context.client();
    let app = ready.app().clone();
    // What goes wrong here is told after everything was stopped.
    let done = tokio::select! {
        done = serve(context, &client, ready, (args.build.build, args.quiet)) => done,
        () = stops.next() => Ok(()),
    };
    context.printer.note(&format!("stopping {app} (again to force)"));
    let kill = supervisor.killer();
    let stopped = async {
        let down = stop_apps(context, &client).await;
        supervisor.stop().await;
        down
    };
    tokio::select! {
        down = stopped => {
            done.and(down)?;
            context.printer.note("stopped");
            Ok(ExitCode::SUCCESS)
        }
        () = stops.next() => {
            kill();
            Err(Plain::interrupted("agent and proxy were stopped; programs may still run").hint("`landfall up` takes them over again, `landfall down` then stops them").into())
        }
    }
}

/// Deploys and then shows what goes on, for ever. Ends when nothing serves that could be shown.
async fn serve(context: &Context, client: &Client, mut ready: Ready, (place, quiet): (Option<BuildPlace>, bool)) -> Outcome {
    let app = ready.app().clone();
    settled(context, client, &app).await?;
    images(context, client, &mut ready, place).await?;
    match ready.deploy(context, client).await {
        Ok(ended) => tell_serving(client, &context.printer, &app, &ended).await?,
        // The old release serves: that is worth staying for.
        Err(problem) if problem.kind() == Kind::RolledBack && serves(client, &app).await => context.printer.problem(&problem),
        Err(problem) => return Err(problem),
    }
    context.printer.note("Ctrl-C stops it");
    follow(context, client, &app, quiet).await
}

async fn serves(client: &Client, app: &AppName) -> bool {
    client.app(app).await.is_ok_and(|status| status.release.is_some())
}

/// Stops every app of this home: without agent and proxy their replicas would be of no use to anybody.
async fn stop_apps(context: &Context, client: &Client) -> Outcome {
    let mut first = Ok(());
    for status in client.apps().await? {
        if status.services.iter().all(|service| service.replicas.is_empty()) && status.rollout.is_none() {
            continue;
        }
        let done = stop_app(context, client, &status.app).await;
        first = first.and(done);
    }
    first
}

/// A rollout under way ends first; the agent does one at a time for each app.
async fn stop_app(context: &Context, client: &Client, app: &AppName) -> Outcome {
    let began = tokio::time::Instant::now();
    loop {
        match roll_out(client, &context.printer, app, Want::Down { volumes: false }).await {
            Ok(_) => return Ok(()),
            Err(problem) if is_busy(&problem) && began.elapsed() < BUSY_LIMIT => tokio::time::sleep(Duration::from_millis(200)).await,
            Err(problem) => return Err(problem),
        }
    }
}

/// The agent's word for an app that is being rolled out.
fn is_busy(problem: &Problem) -> bool {
    problem.failure().code == "busy"
}
