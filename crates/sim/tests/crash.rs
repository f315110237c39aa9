//! The agent is killed at every operation of a rollout, on either side of its effect: the release is finished or undone, never half.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use landfall_model::api::RolloutState;
use landfall_model::name::ReleaseNumber;
use landfall_model::route::RouteTable;
use landfall_sim::{App, CrashAt, Ending, Moment, Server};

const OLD: App = App { version: 1, database: 1 };

fn with_first_release() -> Server {
    let mut server = Server::new();
    assert_eq!(server.deploy(OLD, None), Ending::Rollout(RolloutState::Succeeded));
    server
}

/// From the first release on, no table the proxy was told left the frontend, or the backend inside, without an endpoint.
fn always_served(tables: &[RouteTable]) {
    for table in tables {
        for service in ["sim/frontend", "sim/backend"] {
            assert!(!table.upstreams[service].endpoints.is_empty(), "{service} had no endpoint: {table:#?}");
        }
    }
}

/// One release serves, wholly, and nothing else runs.
fn whole(server: &Server, release: u64, database: u64) {
    let (current, serving) = server.stored();
    assert_eq!(current, Some(ReleaseNumber(release)));
    let running = server.running();
    assert_eq!(serving.names, running, "who serves is who runs");
    let made_by = |id: &landfall_model::name::ReplicaId| id.as_str().split('-').nth(1).unwrap().parse::<u64>().unwrap();
    for (service, replicas) in &running {
        let expected = if service.as_str() == "db" { database } else { release };
        assert!(replicas.iter().all(|id| made_by(id) == expected), "{replicas:?} of {service}, release {release}");
        assert_eq!(replicas.len(), if service.as_str() == "backend" { 2 } else { 1 });
    }
    let table = server.tables().pop().unwrap();
    let endpoints: usize = table.upstreams.values().map(|u| u.endpoints.len()).sum();
    assert_eq!(endpoints, 4, "the proxy was told of those who serve and nobody else: {table:#?}");
}

/// Crashes at the `call`th operation. False when the rollout has fewer.
fn crash_and_recover(new: App, call: usize, moment: Moment) -> bool {
    let mut server = with_first_release();
    let before = server.tables().len();
    let ending = server.deploy(new, Some(CrashAt { call, moment }));
    if ending != Ending::Crashed {
        assert_eq!(ending, Ending::Rollout(RolloutState::Succeeded));
        return false;
    }
    assert_eq!(server.recover(None), Ending::Rollout(RolloutState::Succeeded), "crash at {call} {moment:?}");
    whole(&server, 2, u64::from(new.database));
    always_served(&server.tables()[before..]);
    assert!(server.runs(&"backend-2-migrate".parse().unwrap()) <= 1, "the migration ran twice");
    true
}

fn every_crash(new: App, moment: Moment) {
    let crashes = (1..).take_while(|call| crash_and_recover(new, *call, moment)).count();
    assert!(crashes >= 10, "only {crashes} operations were crashed at");
}

#[test]
fn a_crash_before_any_operation_is_recovered_from() {
    every_crash(App { version: 2, database: 1 }, Moment::Before);
}

#[test]
fn a_crash_after_any_operation_is_recovered_from() {
    every_crash(App { version: 2, database: 1 }, Moment::After);
}

#[test]
fn a_crash_while_the_database_is_replaced_is_recovered_from() {
    every_crash(App { version: 2, database: 2 }, Moment::Before);
    every_crash(App { version: 2, database: 2 }, Moment::After);
}

/// A release that fails is undone; the agent dies at every operation of that too.
#[test]
fn a_crash_while_a_failed_release_is_undone_is_recovered_from() {
    let mut undone = 0;
    for call in 1..40 {
        let mut server = with_first_release();
        let before = server.tables().len();
        server.runtime().set_healthy("frontend-2-1", false);
        match server.deploy(App { version: 2, database: 2 }, Some(CrashAt { call, moment: Moment::After })) {
            Ending::Crashed => {
                let ending = server.recover(None);
                assert_eq!(ending, Ending::Rollout(RolloutState::RolledBack), "crash at {call}: {:#?}", server.story());
            }
            ending => assert_eq!(ending, Ending::Rollout(RolloutState::RolledBack)),
        }
        whole(&server, 1, 1);
        always_served(&server.tables()[before..]);
        undone += 1;
    }
    assert_eq!(undone, 39);
}

/// The agent dies again and again during one rollout: it is given up and undone instead of being tried for ever.
#[test]
fn a_rollout_that_always_kills_the_agent_is_given_up() {
    let mut server = with_first_release();
    let trap = CrashAt { call: 1, moment: Moment::Before };
    assert_eq!(server.deploy(App { version: 2, database: 1 }, Some(trap)), Ending::Crashed);
    let mut lives = 0;
    while server.recover(Some(CrashAt { call: 2, moment: Moment::Before })) == Ending::Crashed {
        lives += 1;
        assert!(lives < 20, "never given up");
    }
    assert_eq!(server.recover(None), Ending::Rollout(RolloutState::RolledBack));
    whole(&server, 1, 1);
}

#[test]
fn deploying_the_same_again_changes_nothing() {
    let mut server = with_first_release();
    let tables = server.tables().len();
    assert_eq!(server.deploy(OLD, None), Ending::Unchanged);
    assert_eq!(server.tables().len(), tables);
}

/// Nobody answers to a name any more: whoever passed its gate gets it before those that need it start.
#[test]
fn after_a_power_cut_names_move_before_those_that_need_them_start() {
    let mut server = with_first_release();
    server.runtime().power_cut();
    assert_eq!(server.deploy(App { version: 2, database: 1 }, None), Ending::Rollout(RolloutState::Succeeded), "{:#?}", server.story());
    let story = server.story();
    let at = |line: &str| story.iter().position(|l| l.starts_with(line)).unwrap_or_else(|| panic!("no `{line}`: {story:#?}"));
    assert!(at("step: serve by backend-2-1, backend-2-2") < at("step: start frontend-2-1"), "{story:#?}");
    assert_eq!(server.stored().1.names, server.running(), "who serves is who runs");
}

/// Who wants something of an app does not wait until the server has put it back: the repair makes way, also while it waits for a gate.
#[test]
fn a_repair_makes_way_for_a_person() {
    let mut server = with_first_release();
    server.runtime().power_cut();
    server.runtime().set_healthy("db", false);
    assert_eq!(server.down_during_a_repair(), Ending::Rollout(RolloutState::Succeeded), "{:#?}", server.story());
    assert!(server.observed().replicas.is_empty(), "{:#?}", server.observed());
    assert_eq!(server.stored().0, None);
}

/// Repairs come again and again while something cannot be put back. What is kept of them is bounded.
#[test]
fn what_is_kept_of_rollouts_is_bounded() {
    let mut server = with_first_release();
    for version in 2..32 {
        assert_eq!(server.deploy(App { version, database: 1 }, None), Ending::Rollout(RolloutState::Succeeded));
    }
    let (rollouts, attempts, steps) = server.journal_size();
    assert!(
        rollouts <= 22 && attempts <= 2 * rollouts && steps <= 20 * rollouts,
        "{rollouts} rollouts, {attempts} attempts, {steps} steps"
    );
    assert_eq!(server.stored().0, Some(landfall_model::name::ReleaseNumber(31)), "numbers go on");
}

/// One service cannot be put back: the others are, and stay.
#[test]
fn what_a_repair_put_back_stays_though_another_part_of_it_fails() {
    let mut server = with_first_release();
    server.runtime().power_cut();
    server.runtime().set_healthy("frontend", false);
    assert_eq!(server.repair(), Ending::Rollout(RolloutState::RolledBack), "{:#?}", server.story());
    let running: Vec<String> = server.running().values().flatten().map(ToString::to_string).collect();
    assert_eq!(running, ["backend-1-3", "backend-1-4", "db-1-2"], "{:#?}", server.story());
    let (_, serving) = server.stored();
    assert_eq!(serving.names[&"backend".parse().unwrap()].len(), 2);
    assert!(serving.replicas().into_iter().any(|id| id.as_str() == "db-1-2"), "{serving:?}");
    server.runtime().set_healthy("frontend", true);
    assert_eq!(server.deploy(App { version: 2, database: 1 }, None), Ending::Rollout(RolloutState::Succeeded), "{:#?}", server.story());
    assert_eq!(server.stored().1.names, server.running(), "who serves is who runs");
}
