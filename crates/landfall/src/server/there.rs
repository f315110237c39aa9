//! The server's half of the conversation: looks, proposes, waits for a yes, does. Runs as root, of the binary that was brought.

use super::apply::Hands;
use super::change::Change;
use super::observe::{self, Visit, observe};
use super::wire::{Ask, Proposal, Proposed, Tell, hear, say};
use super::{plan, upgrade};
use crate::client::{Channel, Client};
use crate::doctor;
use crate::error::{Outcome, Plain, Problem};
use crate::settings::Home;
use landfall_model::api::Recorded;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::BufReader;
use tokio::time::timeout;

/// Longest wait for the agent to write down what was done.
const RECORD_LIMIT: Duration = Duration::from_secs(5);
/// Held by who changes this machine.
const LOCK: &str = "/run/landfall-server.lock";

/// Answers one conversation on standard input and output.
pub async fn answer(brought: &Path, home: &Home, from: Option<&str>, login: Option<&str>) -> Outcome {
    // The login's may be 077, which would close to everybody what everybody must read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let (mut input, mut output) = (BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    say(&mut output, &Tell::Hello { version: env!("CARGO_PKG_VERSION").to_owned() }).await.map_err(lost)?;
    let Some(asked) = hear::<Ask>(&mut input).await.map_err(lost)? else { return Ok(()) };
    if let Ask::Examine(asked) = &asked {
        let meant = asked.home.clone().map(Home::new).transpose()?;
        let report = doctor::examine(asked, meant.as_ref().unwrap_or(home), observe::machine()).await;
        return say(&mut output, &Tell::Report(Box::new(report))).await.map_err(lost);
    }
    // Two at once would take each other's binary away.
    let lock = std::fs::File::create(LOCK).map_err(|e| Plain::failed("no-lock", format!("cannot make {LOCK}")).because(e))?;
    if lock.try_lock().is_err() {
        let busy: Problem =
            Plain::failed("busy", "another `server setup` or `server upgrade` is at work here").hint("wait for it, and ask again").into();
        return say(&mut output, &Tell::Refused { refusals: vec![busy.failure()] }).await.map_err(lost);
    }
    let visit = Visit { brought, from, login, home };
    let facts = observe(&visit).map_err(|e| Plain::failed("no-facts", "the binary that was brought cannot be read").because(e))?;
    let server = facts.describe();
    let hands = Hands { brought, digest: &facts.brought, home };
    match asked {
        Ask::Setup { wish } => match plan::plan(&facts, &wish) {
            Err(refusals) => say(&mut output, &Tell::Refused { refusals }).await.map_err(lost),
            Ok(plan) => {
                let mut changes: Vec<Proposed> = plan.changes.iter().map(|change| change.told.clone()).collect();
                let upgrade = if plan::is_upgrade(&facts) { Some(upgrade::prepare(&facts, &hands).await) } else { None };
                let upgrade = match upgrade.transpose() {
                    Ok(upgrade) => upgrade,
                    Err(problem) => return say(&mut output, &Tell::Refused { refusals: vec![problem.failure()] }).await.map_err(lost),
                };
                changes.extend(upgrade.iter().flat_map(|upgrade| upgrade.proposed()));
                let proposal = Proposal { server, changes, notes: plan.notes };
                say(&mut output, &Tell::Proposal(proposal)).await.map_err(lost)?;
                if !matches!(hear::<Ask>(&mut input).await.map_err(lost)?, Some(Ask::Apply)) {
                    return Ok(());
                }
                let mut done = apply(&mut output, &hands, &plan.changes).await;
                if done.is_ok()
                    && let Some(upgrade) = upgrade
                {
                    done = upgrade.apply(&mut output, plan.changes.len()).await;
                }
                record(&hands, &visit, "setup", &done).await;
                finish(&mut output, done).await
            }
        },
        Ask::Upgrade => {
            let upgrade = match upgrade::prepare(&facts, &hands).await {
                Ok(upgrade) => upgrade,
                Err(problem) => return say(&mut output, &Tell::Refused { refusals: vec![problem.failure()] }).await.map_err(lost),
            };
            let proposal = Proposal { server, changes: upgrade.proposed(), notes: Vec::new() };
            say(&mut output, &Tell::Proposal(proposal)).await.map_err(lost)?;
            if !matches!(hear::<Ask>(&mut input).await.map_err(lost)?, Some(Ask::Apply)) {
                return Ok(());
            }
            let done = upgrade.apply(&mut output, 0).await;
            record(&hands, &visit, "upgrade", &done).await;
            finish(&mut output, done).await
        }
        Ask::Apply | Ask::Examine(_) => Err(Plain::failed("nothing-proposed", "nothing was proposed that could be applied").into()),
    }
}

/// Who changed this server stands where it stands who changed an app. An agent that does not answer records nothing, and says so in its place.
async fn record(hands: &Hands<'_>, visit: &Visit<'_>, verb: &str, done: &Outcome) {
    let digest = hands.digest.get(..12).unwrap_or_default();
    let from = visit.from.and_then(|from| from.split_ascii_whitespace().next()).map(|ip| format!(" from {ip}")).unwrap_or_default();
    let who = visit.login.map(|login| format!(" by {login}")).unwrap_or_default();
    let action = format!("server {verb} to {} ({digest}){who}{from}", env!("CARGO_PKG_VERSION"));
    let refused = done.as_ref().err().map(|problem| problem.failure().code);
    let client = Client::new(Channel::Here(hands.home.clone()));
    match timeout(RECORD_LIMIT, client.record(&Recorded { action: action.clone(), refused })).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, action, "the agent did not record this"),
        Err(_) => tracing::warn!(action, "the agent did not record this: it does not answer"),
    }
}

/// A client that is gone does not stop what it agreed to.
async fn apply(output: &mut tokio::io::Stdout, hands: &Hands<'_>, changes: &[Change]) -> Outcome {
    for (index, change) in changes.iter().enumerate() {
        let began = Instant::now();
        let _ = say(output, &Tell::Begun { change: index }).await;
        for act in &change.acts {
            hands.apply(act).await?;
        }
        let _ = say(output, &done(index, began)).await;
    }
    Ok(())
}

pub(super) fn done(change: usize, began: Instant) -> Tell {
    Tell::Done { change, took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

async fn finish(output: &mut tokio::io::Stdout, done: Outcome) -> Outcome {
    let last = match done {
        Ok(()) => Tell::Finished,
        Err(problem) => Tell::Failed { failure: Box::new(problem.failure()) },
    };
    say(output, &last).await.map_err(lost)
}

fn lost(error: std::io::Error) -> Problem {
    Plain::failed("conversation-lost", "whoever asked is gone").because(error).into()
}
