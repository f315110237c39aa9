//! Waiting until a new replica passes its gate, or saying what it did instead.

use super::execute::Executor;
use super::hint;
use super::probe::{self, Seen};
use crate::clock::now_ms;
use crate::error::StepError;
use crate::reach;
use futures_util::future::try_join_all;
use landfall_model::control::HttpProbe;
use landfall_model::name::InterfaceName;
use landfall_model::observed::{Replica, ReplicaState};
use landfall_model::plan::Gated;
use landfall_model::spec::Probe;
use landfall_model::survey::CutOff;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// First pause between two questions; it grows to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two questions.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// A program that could not even be begun so often will not come up by being waited for.
const RESTARTS: u32 = 3;
/// What shells and our own supervisor end with when a program may not be run, or is not there (POSIX, Shell Command Language §2.8.2).
const NOT_RUN: [i32; 2] = [126, 127];

/// All of them, side by side. One whose name nobody answers to gets it as soon as it has passed, not when all have: another one of these may wait for
/// it, by trying again or by ending until it is there.
pub(super) async fn pass_all(executor: &Executor<'_>, all: &[Gated]) -> Result<(), StepError> {
    // Each tells the proxy a whole table, and the last must be the newest.
    let turn = Mutex::new(());
    let one = |gated| {
        let turn = &turn;
        async move {
            pass(executor, gated).await?;
            if all.iter().any(|other| other.service != gated.service) {
                let _mine = turn.lock().await;
                executor.name_at_once(gated).await?;
            }
            Ok::<(), StepError>(())
        }
    };
    try_join_all(all.iter().map(one)).await?;
    for cut in cut_off(executor).await {
        executor.progress(None, format!("warning: {cut}; {}", cut.remedy()));
    }
    Ok(())
}

/// Networks whose containers cannot ask for names, best effort.
async fn cut_off(executor: &Executor<'_>) -> Vec<CutOff> {
    let spec = executor.spec;
    match executor.core.observe(spec).await {
        Ok(observed) => reach::cut_off(executor.core, (&spec.app, spec.runtime), &observed).await,
        Err(_) => Vec::new(),
    }
}

/// Asks until the answer is yes, the replica has ended, or the deadline is over.
async fn pass(executor: &Executor<'_>, gated: &Gated) -> Result<(), StepError> {
    let started = Instant::now();
    let deadline = Duration::from_millis(gated.gate.deadline_ms);
    let mut pause = FIRST_PAUSE;
    let mut asked: u32 = 0;
    let mut last_code = None;
    loop {
        let (replica, interface) = observe(executor, gated).await?;
        if let Some(end) = ended(&replica) {
            return Err(refuse(executor, gated, end, None).await);
        }
        if let ReplicaState::Restarting { code } = replica.state {
            last_code = Some(code);
        }
        asked += 1;
        let seen = match ask(executor, gated, (&replica, interface), started).await {
            Ok(()) => return Ok(()),
            Err(seen) => seen,
        };
        if started.elapsed() >= deadline {
            let again = last_code
                .filter(|_| replica.restarts > 0)
                .map(|code| format!("it ended with code {code} and was started again {} times; in the end: ", replica.restarts));
            let words = format!("{}{} ({asked} times in {} s)", again.unwrap_or_default(), seen.words, started.elapsed().as_secs());
            let listens = listens(executor, gated, &seen).await;
            return Err(refuse(executor, gated, words, listens).await);
        }
        if asked == 10 || asked.is_multiple_of(40) {
            executor.progress(Some(&gated.service), format!("{}: {}, waiting", gated.id, seen.words));
        }
        sleep(pause.min(deadline.saturating_sub(started.elapsed()))).await;
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}

/// The replica, and the bridge of the network it is asked in.
async fn observe(executor: &Executor<'_>, gated: &Gated) -> Result<(Replica, Option<InterfaceName>), StepError> {
    let mut observed = executor.runtime().observe(&executor.spec.app, &BTreeSet::new()).await?;
    let missing = || landfall_runtime::RuntimeError::NoReplica(gated.id.clone());
    let replica = observed.replicas.remove(&gated.id).ok_or_else(missing)?;
    let interface = replica.place().and_then(|(network, _)| observed.networks.remove(network)?.interface);
    Ok((replica, interface))
}

/// Why waiting any longer is of no use. A program that its restart policy starts again may come up yet: it may wait for another by ending, and has the
/// whole deadline for it.
fn ended(replica: &Replica) -> Option<String> {
    match replica.state {
        ReplicaState::Exited { out_of_memory: true, .. } => Some("it was killed for its memory limit".into()),
        ReplicaState::Exited { code, .. } => Some(format!("it ended with code {code}")),
        ReplicaState::Restarting { code } if replica.restarts >= RESTARTS && NOT_RUN.contains(&code) => {
            Some(format!("its program cannot be run (code {code}, {} starts)", replica.restarts + 1))
        }
        ReplicaState::Running | ReplicaState::Restarting { .. } | ReplicaState::Created => None,
    }
}

async fn ask(
    executor: &Executor<'_>,
    gated: &Gated,
    (replica, interface): (&Replica, Option<InterfaceName>),
    started: Instant,
) -> Result<(), Seen> {
    let question = |port: u16, http: Option<HttpProbe>| {
        let nowhere = || Seen { words: "it has no address yet".into(), refused: false };
        let address = replica.address().map(|ip| SocketAddr::new(ip, replica.port.unwrap_or(port))).ok_or_else(nowhere)?;
        Ok(landfall_model::control::Probe { address, interface, http })
    };
    let proxy = executor.core.table.proxy();
    match &gated.gate.probe {
        _ if !replica.state.is_running() => Err(Seen { words: "it does not run".into(), refused: false }),
        Probe::Http { path, port, protocol } => {
            let host = executor.spec.domains.first().map_or("localhost", |d| d.as_str()).to_owned();
            let http = HttpProbe { path: path.clone(), host, protocol: *protocol };
            probe::by_proxy(proxy, question(*port, Some(http))?).await
        }
        Probe::Tcp { port } => probe::by_proxy(proxy, question(*port, None)?).await,
        Probe::Command { test, timeout_ms } => {
            let limit = Duration::from_millis(*timeout_ms);
            probe::command(executor.runtime().as_ref(), &executor.spec.app, &gated.id, &test.argv(), limit).await
        }
        Probe::Stays { for_ms } if stays(replica, started, *for_ms) => Ok(()),
        Probe::Stays { .. } if replica.restarts > 0 => {
            Err(Seen { words: format!("it does not stay: it was started again {} times", replica.restarts), refused: false })
        }
        Probe::Stays { .. } => Err(Seen { words: "it does not stay".into(), refused: false }),
    }
}

/// It has run for so long since its last start.
fn stays(replica: &Replica, started: Instant, for_ms: u64) -> bool {
    let now = started.elapsed() >= Duration::from_millis(for_ms);
    now && (replica.restarts == 0 || now_ms().saturating_sub(replica.started_ms) >= for_ms)
}

/// Where nobody listens, who listens instead?
async fn listens(executor: &Executor<'_>, gated: &Gated, seen: &Seen) -> Option<String> {
    if !seen.refused {
        return None;
    }
    let ports: Vec<String> = executor.runtime().listening(&executor.spec.app, &gated.id).await.into_iter().map(|p| p.to_string()).collect();
    let wanted = match &gated.gate.probe {
        Probe::Http { port, .. } | Probe::Tcp { port } => *port,
        Probe::Command { .. } | Probe::Stays { .. } => return None,
    };
    Some(match (executor.spec.runtime, ports.is_empty()) {
        (landfall_model::spec::RuntimeKind::Process, _) => "it must listen on 127.0.0.1 and the port its variable PORT says".to_owned(),
        (_, true) => "it listens on no port: does it bind 0.0.0.0, and has it started?".to_owned(),
        (_, false) => format!("it listens on {}, `port` says {wanted}: set `x-landfall: {{ port: {} }}`", ports.join(", "), ports[0]),
    })
}

async fn refuse(executor: &Executor<'_>, gated: &Gated, seen: String, hint: Option<String>) -> StepError {
    let log = executor.last_lines(&gated.id).await;
    let by_log = || executor.spec.services.get(&gated.service).and_then(|service| hint::of_log(service, &log));
    let deaf = cut_off(executor).await.into_iter().next().map(|cut| format!("{cut}; {}", cut.remedy()));
    StepError::Gate { replica: gated.id.clone(), seen, hint: deaf.or(hint).or_else(by_log), log }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::name::ReleaseNumber;
    use std::collections::BTreeMap;

    fn replica(state: ReplicaState, restarts: u32) -> Replica {
        Replica {
            service: "api".parse().unwrap(),
            revision: landfall_model::digest::digest(&"api"),
            release: ReleaseNumber(1),
            job: false,
            state,
            addresses: BTreeMap::new(),
            port: None,
            restarts,
            started_ms: 0,
            unnamed: BTreeSet::new(),
        }
    }

    #[test]
    fn a_program_that_is_started_again_has_the_whole_deadline() {
        assert_eq!(ended(&replica(ReplicaState::Restarting { code: 1 }, 40)), None);
        assert_eq!(ended(&replica(ReplicaState::Running, 40)), None);
        assert_eq!(ended(&replica(ReplicaState::Restarting { code: 127 }, 1)), None, "a file may be there in a moment");
        assert!(ended(&replica(ReplicaState::Restarting { code: 127 }, 3)).unwrap().contains("cannot be run"));
        assert!(ended(&replica(ReplicaState::Exited { code: 1, out_of_memory: false }, 0)).unwrap().contains("ended with code 1"));
    }

    #[test]
    fn one_without_a_port_stays_when_it_has_run_long_enough_since_its_last_start() {
        let began = Instant::now();
        assert!(stays(&replica(ReplicaState::Running, 5), began, 0));
        let young = Replica { started_ms: now_ms() + 60_000, ..replica(ReplicaState::Running, 5) };
        assert!(!stays(&young, began, 1), "it was started a moment ago");
    }
}
