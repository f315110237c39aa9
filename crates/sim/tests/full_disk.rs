//! The disk gets full at every write of a rollout, for one write or for good: the release is finished or undone, whoever follows it hears of it, and
//! no later start of the agent brings it back over a newer one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use landfall_model::api::RolloutState;
use landfall_model::name::{ReleaseNumber, ReplicaId};
use landfall_model::route::RouteTable;
use landfall_sim::{App, Ending, Full, Server};

const OLD: App = App { version: 1, database: 1 };
const NEW: App = App { version: 2, database: 1 };
const NEWER: App = App { version: 3, database: 1 };

fn with_first_release() -> Server {
    let mut server = Server::new();
    assert_eq!(server.deploy(OLD, None), Ending::Rollout(RolloutState::Succeeded));
    server
}

/// Exactly this release serves, wholly, and nothing else runs.
fn serves(server: &Server, release: u64, when: &str) {
    let story = || format!("{when}: {:#?}", server.story());
    let (current, serving) = server.stored();
    assert_eq!(current, Some(ReleaseNumber(release)), "{}", story());
    let running = server.running();
    assert_eq!(serving.names, running, "who serves is who runs, {}", story());
    let made_by = |id: &ReplicaId| id.as_str().split('-').nth(1).unwrap().parse::<u64>().unwrap();
    for (service, replicas) in running.iter().filter(|(service, _)| service.as_str() != "db") {
        assert!(replicas.iter().all(|id| made_by(id) == release), "{replicas:?} of {service}, {}", story());
    }
    let table = server.tables().pop().unwrap();
    assert_eq!(table.upstreams.values().map(|u| u.endpoints.len()).sum::<usize>(), 4, "{}", story());
}

fn always_served(tables: &[RouteTable], when: &str) {
    for table in tables {
        for service in ["sim/frontend", "sim/backend"] {
            assert!(!table.upstreams[service].endpoints.is_empty(), "{when}: {service} had no endpoint");
        }
    }
}

/// Does `each` for a disk that gets full at every write there is, and says at how many.
fn at_every_write(lasting: bool, each: impl Fn(&mut Server, Full, &str) -> bool) {
    let full = |write| Full { write, lasting };
    let writes = (1..)
        .take_while(|write| {
            let mut server = with_first_release();
            let before = server.tables().len();
            let when = format!("full at write {write}");
            let was_full = each(&mut server, full(*write), &when);
            always_served(&server.tables()[before..], &when);
            was_full
        })
        .count();
    assert!(writes >= 20, "a rollout writes more often than {writes} times");
}

#[test]
fn a_write_that_fails_once_is_made_again() {
    at_every_write(false, |server, full, when| {
        assert_eq!(server.deploy_on_a_full_disk(NEW, full), Ending::Rollout(RolloutState::Succeeded), "{when}: {:#?}", server.story());
        let was_full = server.was_full();
        serves(server, 2, when);
        assert!(server.runs(&"backend-2-migrate".parse().unwrap()) <= 1, "the migration ran twice");
        was_full
    });
}

#[test]
fn a_store_that_keeps_failing_holds_the_app_until_there_is_room_and_undoes_what_was_begun() {
    at_every_write(true, |server, full, when| {
        let (ending, was_full) = server.deploy_until_there_is_room(NEW, full);
        let committed = server.stored().0 == Some(ReleaseNumber(2));
        let state = if committed { RolloutState::Succeeded } else { RolloutState::RolledBack };
        assert_eq!(ending, Ending::Rollout(state), "{when}: {:#?}", server.story());
        serves(server, if committed { 2 } else { 1 }, when);
        assert_eq!(server.deploy(NEWER, None), Ending::Rollout(RolloutState::Succeeded), "{when}");
        serves(server, 3, when);
        was_full
    });
}

#[test]
fn a_rollout_that_was_given_up_does_not_come_back_when_the_agent_starts_again() {
    at_every_write(true, |server, full, when| {
        let ending = server.deploy_on_a_full_disk(NEW, full);
        if ending == Ending::Rollout(RolloutState::Succeeded) {
            return false;
        }
        assert_eq!(ending, Ending::GivenUp, "{when}: {:#?}", server.story());
        server.make_room();
        let committed = server.stored().0 == Some(ReleaseNumber(2));
        let state = if committed { RolloutState::Succeeded } else { RolloutState::RolledBack };
        assert_eq!(server.recover(None), Ending::Rollout(state), "{when}: {:#?}", server.story());
        serves(server, if committed { 2 } else { 1 }, when);
        assert_eq!(server.deploy(NEWER, None), Ending::Rollout(RolloutState::Succeeded), "{when}");
        let told = server.story().len();
        assert_eq!(server.recover(None), Ending::Rollout(RolloutState::Succeeded), "{when}");
        serves(server, 3, when);
        assert!(server.story()[told..].iter().all(|line| line.contains("AgentStarted")), "{when}: {:#?}", &server.story()[told..]);
        true
    });
}
