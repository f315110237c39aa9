//! Making a rollout happen and watching it to its end: what `up`, `deploy`, `rollback` and `down` have in common.

use crate::client::{Client, ClientError};
use crate::error::{Outcome, Plain, Remote};
use crate::output::{Printer, harmless, took};
use landfall_model::api::{Accepted, AppStatus, Failure, RolloutRequest, RolloutState, ServiceStatus, Want, What};
use landfall_model::name::{AppName, ReleaseNumber, RolloutId};
use std::io::Read as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How a rollout that was wanted ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done {
        /// The release it made.
        release: ReleaseNumber,
        /// From start to end, milliseconds.
        took_ms: u64,
    },
    /// Nothing had to be done.
    Unchanged {
        /// The release that serves.
        release: ReleaseNumber,
    },
}

/// A fresh name for a rollout, so that asking twice is asking once.
pub fn fresh_id() -> Outcome<RolloutId> {
    let mut bytes = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|e| Plain::failed("no-randomness", "cannot read /dev/urandom").because(e))?;
    let id = landfall_model::digest::hex(&bytes).parse::<RolloutId>();
    Ok(id.map_err(|e| Plain::failed("no-randomness", "cannot name the rollout").because(e))?)
}

/// Lets Ctrl-C leave a rollout running: what the server does does not depend on this terminal.
pub async fn detachable(client: &Client, app: &AppName, rollout: impl Future<Output = Outcome<Ended>>) -> Outcome<Ended> {
    let at = client.at();
    let mut interrupt = interrupts()?;
    tokio::select! {
        ended = rollout => ended,
        _ = interrupt.recv() => Err(Plain::interrupted(format!("this terminal no longer follows {app}; a rollout that began goes on"))
            .hint(format!("follow it with `landfall status -p {app}{at}` or `landfall events -f -p {app}{at}`"))
            .into()),
    }
}

/// Asks for it, shows it, and answers how it ended.
pub async fn roll_out(client: &Client, printer: &Printer, app: &AppName, want: Want) -> Outcome<Ended> {
    let request = RolloutRequest { id: fresh_id()?, want };
    let (id, release) = match client.roll_out(app, &request).await? {
        Accepted::Unchanged { release } => return Ok(Ended::Unchanged { release }),
        Accepted::Rollout { id, release } => (id, release),
    };
    if id != request.id {
        printer.note(&format!("what is asked for is already under way; following rollout {id}"));
    }
    let mut progress = printer.progress();
    let mut events = client.rollout_events(&id);
    while let Some(event) = events.next().await.map_err(|error| lost(app, error))? {
        progress.event(&event)?;
        if let What::RolloutEnded { state, failure, took_ms } = event.what {
            progress.finish();
            if state == RolloutState::RolledBack && !printer.is_json() {
                tell_undone(client, printer, app, release).await;
            }
            return verdict(app, release, took_ms, state, failure);
        }
    }
    Err(Plain::failed("rollout-lost", format!("the agent does not say how the rollout of {app} ended"))
        .hint(format!("see `landfall status -p {app}{}`", client.at()))
        .into())
}

/// It goes on where nobody sees it from here.
fn lost(app: &AppName, error: ClientError) -> Plain {
    let code = if matches!(error, ClientError::Ssh(_) | ClientError::Cut(_)) { "rollout-out-of-sight" } else { "rollout-lost" };
    Plain::failed(code, format!("the rollout of {app} goes on, but the agent cannot be asked how"))
        .because(error)
        .hint("deploy the same again: it follows the rollout that is under way, and starts none beside it")
}

/// What a failed rollout left: the most important thing to know about it. The failure itself follows.
async fn tell_undone(client: &Client, printer: &Printer, app: &AppName, failed: ReleaseNumber) {
    let Ok(status) = client.app(app).await else { return };
    printer.note(&format!("release {failed} of {app} is undone; {}", left(&status)));
}

/// Who serves now that it is undone, as far as can be seen: what stood for a service before may have been dead already.
fn left(status: &AppStatus) -> String {
    let Some(release) = status.release else { return "there was none before it, so nothing serves".to_owned() };
    let meant = |s: &&ServiceStatus| !s.job && s.wanted > 0;
    let serves = |s: &&ServiceStatus| s.replicas.iter().any(|r| r.serving && r.state.is_running() && r.healthy != Some(false));
    let routed = status.services.iter().filter(meant).any(|s| !s.routes.is_empty());
    let asked: Vec<&ServiceStatus> = status.services.iter().filter(meant).filter(|s| !routed || !s.routes.is_empty()).collect();
    let silent: Vec<String> = asked.iter().filter(|s| !serves(s)).map(|s| s.service.to_string()).collect();
    let urls = harmless(&status.urls.join(" "));
    if silent.is_empty() {
        return format!("release {release} still serves {urls}").trim_end().to_owned();
    }
    let whole = if silent.len() == asked.len() { "nothing serves" } else { "not everything serves" };
    format!(
        "{whole} now: no replica of {} runs, and release {release} had none before either. The server goes on trying to put it back; \
         deploy again when the failure below is mended, and see `landfall logs -p {}`",
        silent.join(", "),
        status.app
    )
}

/// From how it ended to what the command says and exits with.
fn verdict(app: &AppName, release: ReleaseNumber, took_ms: u64, state: RolloutState, failure: Option<Failure>) -> Outcome<Ended> {
    let why = || {
        let message = format!("the rollout of {app} failed without saying why");
        failure.unwrap_or(Failure { code: "rollout-failed".into(), message, causes: Vec::new(), hints: Vec::new(), log: Vec::new() })
    };
    match state {
        RolloutState::Succeeded => Ok(Ended::Done { release, took_ms }),
        RolloutState::RolledBack => Err(Remote::rolled_back(why()).into()),
        // An end that is none cannot be; it is no success.
        RolloutState::Failed | RolloutState::Running | RolloutState::Undoing => Err(Remote::failed(why()).into()),
    }
}

/// `Release 4 of tutor serves https://… (3.2 s)`
pub async fn tell_serving(client: &Client, printer: &Printer, app: &AppName, ended: &Ended) -> Outcome {
    let status = client.app(app).await?;
    if printer.is_json() {
        let (release, took_ms) = match ended {
            Ended::Done { release, took_ms } => (release, Some(*took_ms)),
            Ended::Unchanged { release } => (release, None),
        };
        return printer.json_line(
            &serde_json::json!({ "app": app, "release": release, "changed": took_ms.is_some(), "took_ms": took_ms, "urls": status.urls }),
        );
    }
    let urls = if status.urls.is_empty() { "without routes from outside".to_owned() } else { harmless(&status.urls.join(" ")) };
    match ended {
        Ended::Done { release, took_ms } => printer.done(&format!("Release {release} of {app} serves {urls} ({})", took(*took_ms))),
        Ended::Unchanged { release } => printer.done(&format!("nothing to change: release {release} of {app} serves {urls}")),
    }
}

/// Ctrl-C.
pub fn interrupts() -> Outcome<Signal> {
    Ok(signal(SignalKind::interrupt()).map_err(|e| Plain::failed("no-signals", "cannot listen for signals").because(e))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use landfall_model::api::ReplicaStatus;
    use landfall_model::observed::ReplicaState;
    use landfall_model::spec::RuntimeKind;

    #[test]
    fn each_end_has_its_exit_code() {
        let app: AppName = "a".parse().unwrap();
        let kind = |state| verdict(&app, ReleaseNumber(2), 5, state, None).map_err(|problem| problem.kind());
        assert_eq!(kind(RolloutState::Succeeded), Ok(Ended::Done { release: ReleaseNumber(2), took_ms: 5 }));
        assert_eq!(kind(RolloutState::RolledBack), Err(Kind::RolledBack));
        assert_eq!(kind(RolloutState::Failed), Err(Kind::Failed));
    }

    #[test]
    fn that_a_release_still_serves_is_said_only_of_one_that_does() {
        let status = |running: bool| {
            let state = if running { ReplicaState::Running } else { ReplicaState::Exited { code: 137, out_of_memory: false } };
            let replica = ReplicaStatus {
                id: "web-1-1".parse().unwrap(),
                release: ReleaseNumber(1),
                state,
                serving: true,
                healthy: None,
                address: None,
                active: 0,
                restarts: 0,
                started_ms: 0,
                fault: None,
            };
            let routes = vec!["/".to_owned()];
            let web = ServiceStatus { service: "web".parse().unwrap(), job: false, wanted: 1, replicas: vec![replica], routes };
            AppStatus {
                app: "shop".parse().unwrap(),
                runtime: RuntimeKind::Docker,
                release: Some(ReleaseNumber(1)),
                rollout: None,
                last_rollout: None,
                urls: vec!["https://shop.example".into()],
                services: vec![web],
                cut_off: Vec::new(),
            }
        };
        assert_eq!(left(&status(true)), "release 1 still serves https://shop.example");
        let dead = left(&status(false));
        assert!(dead.starts_with("nothing serves now: no replica of web runs") && dead.contains("deploy again"), "{dead}");
    }

    #[test]
    fn ids_are_fresh() {
        assert_ne!(fresh_id().unwrap(), fresh_id().unwrap());
    }
}
