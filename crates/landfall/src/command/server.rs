//! `landfall server`: what is shown and asked around the conversation with a server.

use super::Context;
use crate::cli::{ServerDoctor, ServerSetup, ServerSide, ServerUpgrade, ServerVerb};
use crate::doctor::Examination;
use crate::error::{Outcome, Plain, Problem, Remote};
use crate::server::{self, Ask, Deployer, Program, Proposal, Reached, Server, Tell, Wish};
use crate::ssh::SshError;
use landfall_model::server::ServerAddress;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for a report: every source has a bound of its own, and they are asked side by side.
const EXAMINATION: Duration = Duration::from_secs(180);

/// Does it.
pub async fn run(context: &Context, verb: ServerVerb) -> Outcome<ExitCode> {
    match verb {
        ServerVerb::Setup(args) => setup(context, args).await,
        ServerVerb::Upgrade(args) => upgrade(context, args).await,
        ServerVerb::Doctor(args) => examine(context, args).await,
    }
}

/// The other end.
pub async fn side(context: &Context, args: &ServerSide) -> Outcome<ExitCode> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (from, login) = (variable("LANDFALL_FROM"), variable("LANDFALL_LOGIN"));
    server::answer(&args.received, &context.settings.home, from.as_deref(), login.as_deref()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn setup(context: &Context, args: ServerSetup) -> Outcome<ExitCode> {
    let program = Program::new(args.binary.as_deref())?;
    let wish = wish(context, &args)?;
    let (server, name) = which(context, args.address.clone());
    let mut there = Reached::open(&server, &program, &context.settings.ssh, |text| context.printer.note(text)).await?;
    let done = prepare(context, &mut there, (wish, args.yes), (&server, &name)).await;
    // Also after a no: what was brought is removed there, and is gone when we are.
    let chatter = there.chatter.take();
    there.end().await;
    let done = done?;
    quiet(&server, chatter)?;
    told(context, &done)
}

/// A server whose login prints something is prepared, and no verb but these of `server` gets through to it.
fn quiet(server: &Server, chatter: Option<String>) -> Outcome {
    match (server, chatter) {
        (Server::There(address), Some(line)) => Err(SshError::noise(address, line.as_bytes()).into()),
        _ => Ok(()),
    }
}

/// Answers what is to be told at the end.
async fn prepare(context: &Context, there: &mut Reached, (wish, yes): (Wish, bool), (server, name): (&Server, &str)) -> Outcome<String> {
    let deployer = wish.deployer.is_some();
    there.ask(&Ask::Setup { wish }).await?;
    let proposal = proposal(context, there).await?;
    context.printer.proposal(name, &proposal)?;
    if proposal.changes.is_empty() {
        return Ok(format!("nothing to change: {name} is ready"));
    }
    if !yes {
        agree(context, proposal.changes.len())?;
    }
    apply(context, there, &proposal).await?;
    Ok(match server {
        Server::There(address) if deployer => {
            format!("{name} is ready; with the key: `landfall deploy --server {}`", address.as_user(landfall_agent::DEPLOYER))
        }
        _ => format!("{name} is ready: `landfall deploy` puts an app there"),
    })
}

/// Longest file of a public key.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// What was typed, the key's file read.
fn wish(context: &Context, args: &ServerSetup) -> Outcome<Wish> {
    let mut wish = Wish { updates: args.updates, no_firewall: args.no_firewall, deployer: None };
    if let Some(path) = &args.deployer {
        let mut text = String::new();
        let read = std::fs::File::open(context.settings.cwd.join(path)).and_then(|f| f.take(MAX_KEY_FILE).read_to_string(&mut text));
        read.map_err(|e| Plain::usage("bad-key", format!("cannot read the key {}", path.display())).because(e))?;
        let deployer = Deployer::parse(&text, &args.apps).map_err(|why| {
            Plain::usage("bad-key", format!("{} cannot be used as a deployer's key: {why}", path.display()))
                .hint("make one with `ssh-keygen -t ed25519 -N '' -f ci`, and name ci.pub")
        })?;
        wish.deployer = Some(deployer);
    }
    Ok(wish)
}

async fn upgrade(context: &Context, args: ServerUpgrade) -> Outcome<ExitCode> {
    let program = Program::new(args.binary.as_deref())?;
    let (server, name) = which(context, args.address);
    let mut there = Reached::open(&server, &program, &context.settings.ssh, |text| context.printer.note(text)).await?;
    let done = replace(context, &mut there, &name).await;
    there.end().await;
    told(context, &done?)
}

/// Answers what is to be told at the end.
async fn replace(context: &Context, there: &mut Reached, name: &str) -> Outcome<String> {
    there.ask(&Ask::Upgrade).await?;
    let proposal = proposal(context, there).await?;
    if proposal.changes.is_empty() {
        return Ok(format!("nothing to change: {name} runs this landfall ({})", there.version));
    }
    apply(context, there, &proposal).await?;
    Ok(format!("{name} runs landfall {}", there.version))
}

/// The home on another machine that was typed; its own when none was.
fn home_there(typed: Option<&Path>) -> Outcome<Option<PathBuf>> {
    match typed {
        Some(relative) if !relative.is_absolute() => {
            let what = format!(
                "`--home {}` is relative, and there is no directory on the server that it could be relative to",
                relative.display()
            );
            Err(Plain::usage("home-not-absolute", what).hint("write the whole path: `--home /srv/landfall`").into())
        }
        typed => Ok(typed.map(Path::to_owned)),
    }
}

/// Ends with 1 when something is to be put right, so that a scheduled run tells.
async fn examine(context: &Context, args: ServerDoctor) -> Outcome<ExitCode> {
    let program = Program::new(args.binary.as_deref())?;
    let (server, name) = which(context, args.address);
    let home = match server {
        Server::Here => Some(context.settings.home.path().to_owned()),
        Server::There(_) => home_there(context.settings.typed_home.as_deref())?,
    };
    let mut there = Reached::open(&server, &program, &context.settings.ssh, |text| context.printer.note(text)).await?;
    // Of this machine there are no two clocks to compare.
    let now_ms = matches!(server, Server::There(_)).then(super::status::now_ms);
    there.ask(&Ask::Examine(Examination { now_ms, addresses: args.addresses, home })).await?;
    let told = match timeout(EXAMINATION, there.hear()).await {
        Ok(told) => told?,
        Err(_) => {
            return Err(
                Plain::failed("server-lost", format!("{name} does not end its examination within {} s", EXAMINATION.as_secs())).into()
            );
        }
    };
    there.end().await;
    let Tell::Report(report) = told else { return Err(unexpected()) };
    context.printer.examined(&name, &report, args.all)?;
    Ok(if report.counts.is_bad() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The server that is meant, and as the user calls it.
fn which(context: &Context, address: Option<ServerAddress>) -> (Server, String) {
    match address.or_else(|| context.settings.server.clone()) {
        Some(address) => (Server::There(address.clone()), address.host().to_owned()),
        None => (Server::Here, "this machine".to_owned()),
    }
}

async fn proposal(context: &Context, there: &mut Reached) -> Outcome<Proposal> {
    match there.hear().await? {
        Tell::Proposal(proposal) => Ok(proposal),
        Tell::Refused { refusals } => {
            let mut problems: Vec<Problem> = refusals.into_iter().map(|failure| Remote::failed(failure).into()).collect();
            let last = problems.pop().unwrap_or_else(unexpected);
            problems.iter().for_each(|problem| context.printer.problem(problem));
            Err(last)
        }
        _ => Err(unexpected()),
    }
}

fn agree(context: &Context, changes: usize) -> Outcome {
    let refused = |message: &str| Plain::usage("not-confirmed", message).hint("to go on without being asked: `--yes`");
    match context
        .printer
        .ask(&format!("Make {}? Type yes:", if changes == 1 { "this change".to_owned() } else { format!("these {changes} changes") }))
        .as_deref()
    {
        Some("yes") => Ok(()),
        Some(_) => Err(refused("not confirmed; nothing was changed").into()),
        None => Err(refused("nobody can say yes here; nothing was changed").into()),
    }
}

async fn apply(context: &Context, there: &mut Reached, proposal: &Proposal) -> Outcome {
    there.ask(&Ask::Apply).await?;
    loop {
        match there.hear().await? {
            Tell::Finished => return Ok(()),
            Tell::Failed { failure } => {
                context.printer.server_step(proposal, &Tell::Failed { failure: failure.clone() })?;
                return Err(Remote::failed(*failure).into());
            }
            step @ (Tell::Begun { .. } | Tell::Done { .. }) => context.printer.server_step(proposal, &step)?,
            _ => return Err(unexpected()),
        }
    }
}

fn unexpected() -> Problem {
    Plain::failed("server-lost", "the server answers something else than what was asked").into()
}

fn told(context: &Context, text: &str) -> Outcome<ExitCode> {
    if context.printer.is_json() {
        context.printer.json_line(&Tell::Finished)?;
    } else {
        context.printer.done(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_of_another_machine_is_a_whole_path_and_goes_there() {
        assert_eq!(home_there(Some(Path::new("/srv/landfall"))).unwrap(), Some(PathBuf::from("/srv/landfall")));
        assert_eq!(home_there(None).unwrap(), None);
        assert_eq!(home_there(Some(Path::new("state"))).unwrap_err().failure().code, "home-not-absolute");
    }
}
