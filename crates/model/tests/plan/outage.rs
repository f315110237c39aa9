//! Plans for what went down: nobody serves, a program ended, a rollout failed before anything was there.

use super::{World, deployed, service, tutor};
use landfall_model::name::{ReplicaId, ServiceName};
use landfall_model::observed::{ObservedNetwork, ReplicaState};
use landfall_model::plan::{Mode, Policy, plan, plan_down, undo};
use landfall_model::spec::{Network, Restart, RuntimeKind, Spec};

/// As after a power cut: everything made is there, and nothing runs.
fn all_dead() -> World {
    let mut world = deployed();
    for replica in world.observed.replicas.values_mut().filter(|r| !r.job) {
        replica.state = ReplicaState::Exited { code: 137, out_of_memory: false };
    }
    world
}

#[test]
fn where_nobody_serves_a_name_moves_to_who_passed_its_gate_before_others_need_it() {
    let world = all_dead();
    let spec = tutor("v1", "db1");
    let repair = plan(&world.input(&spec, &world.serving, 1, Mode::Repair), &Policy::default()).lines();
    assert_eq!(
        repair,
        [
            "serve by backend-1-1, backend-1-2, frontend-1-1",
            "stop db-1-1 (10 s to end)",
            "start db-1-2",
            "gate db-1-2 by a connection to port 8000 within 60 s",
            "serve by backend-1-1, backend-1-2, db-1-2, frontend-1-1",
            "start backend-1-3, backend-1-4",
            "gate backend-1-3 by a connection to port 8000 within 60 s, backend-1-4 by a connection to port 8000 within 60 s",
            "serve by backend-1-3, backend-1-4, db-1-2, frontend-1-1",
            "start frontend-1-2",
            "gate frontend-1-2 by a connection to port 8000 within 60 s",
            "serve by backend-1-3, backend-1-4, db-1-2, frontend-1-1, frontend-1-2",
            "switch to backend-1-3, backend-1-4, db-1-2, frontend-1-2",
            "remove backend-1-1, backend-1-2, db-1-1, frontend-1-1",
            "note: db is down while it is replaced: volume `pgdata` has one writer",
        ]
    );
    for runtime in [RuntimeKind::Docker, RuntimeKind::Process] {
        let spec = Spec { runtime, ..tutor("v2", "db1") };
        let release = world.plan(&spec, 2).lines();
        let named = release.iter().position(|l| l.starts_with("serve by backend-2-1, backend-2-2"));
        let needed = release.iter().position(|l| l == "start frontend-2-1");
        assert!(named.is_some() && named < needed, "{release:#?}");
    }
}

#[test]
fn a_name_that_somebody_still_answers_to_moves_with_the_switch() {
    let mut world = deployed();
    world.observed.replicas.get_mut(&"backend-1-1".parse::<ReplicaId>().unwrap()).unwrap().state =
        ReplicaState::Exited { code: 1, out_of_memory: false };
    let lines = world.plan(&tutor("v2", "db1"), 2).lines();
    assert!(!lines.iter().any(|l| l.starts_with("serve by")), "backend-1-2 runs: {lines:#?}");
}

#[test]
fn a_service_that_answers_others_has_no_end_and_a_worker_has() {
    let ended = |service: &str, restart: Restart, port: Option<u16>, code: i32| {
        let mut world = World::default();
        let mut spec = tutor("v1", "db1");
        let one = spec.services.get_mut(&service.parse::<ServiceName>().unwrap()).unwrap();
        (one.template.restart, one.port) = (restart, port);
        world.deploy(&spec, 1);
        for (_, replica) in world.observed.replicas.iter_mut().filter(|(id, r)| id.as_str().starts_with(service) && !r.job) {
            replica.state = ReplicaState::Exited { code, out_of_memory: false };
        }
        plan(&world.input(&spec, &world.serving, 1, Mode::Repair), &Policy::default()).is_empty()
    };
    let on_failure = Restart::OnFailure { max: 0 };
    assert!(!ended("frontend", on_failure, Some(8000), 0), "routed, `docker stop`");
    assert!(!ended("frontend", Restart::No, Some(8000), 0), "routed, no policy");
    assert!(!ended("frontend", Restart::OnFailure { max: 3 }, None, 1), "routed, gave up");
    assert!(!ended("backend", on_failure, Some(8000), 0), "others call it");
    assert!(ended("backend", on_failure, None, 0), "a worker that is done");
    assert!(ended("backend", Restart::No, Some(8000), 1), "the file says so");
}

#[test]
fn a_failed_first_release_is_given_its_time_to_stop_and_leaves_no_network() {
    let mut spec = tutor("v1", "db1");
    let db = spec.services.get_mut(&"db".parse::<ServiceName>().unwrap()).unwrap();
    (db.template.stop_grace_ms, db.template.stop_signal) = (60_000, Some("SIGINT".into()));
    let plan = World::default().plan(&spec, 1);
    let gated = plan.lines().iter().position(|l| l.starts_with("gate db-1-1")).unwrap();
    assert_eq!(
        undo(&plan, &spec, gated + 1).lines(),
        [
            "serve by nobody",
            "drain db-1-1 (up to 5 s)",
            "stop db-1-1 (SIGINT, 60 s to end)",
            "remove db-1-1",
            "remove network default",
            "serve by nobody",
        ]
    );
    // A step that failed in its first half leaves as little.
    let made = plan.lines().iter().position(|l| l == "create network default").unwrap();
    assert!(undo(&plan, &spec, made + 1).lines().contains(&"remove network default".to_owned()));
    assert!(
        undo(&deployed().plan(&tutor("v2", "db1"), 2), &spec, 3).lines().iter().all(|l| !l.contains("network")),
        "the old release is on it"
    );
    let migrating = plan.lines().iter().position(|l| l.starts_with("migrate")).unwrap();
    let lines = undo(&plan, &spec, migrating + 1).lines();
    assert!(lines.contains(&"stop backend-1-migrate (10 s to end)".to_owned()), "{lines:#?}");
}

#[test]
fn a_network_of_others_is_neither_made_nor_removed() {
    let mut spec = tutor("v1", "db1");
    let shared = Network { external_name: "shared".into(), external: true, ..Network::default() };
    spec.networks.insert("shared".parse().unwrap(), shared);
    let lines = World::default().plan(&spec, 1).lines();
    assert_eq!(lines[0], "create network default, look for shared");
    let mut world = World::default();
    world.deploy(&spec, 1);
    world.observed.networks.insert("shared".parse().unwrap(), ObservedNetwork::default());
    let lines = plan_down(&world.input(&spec, &world.serving, 1, Mode::Release), true).lines();
    assert!(lines.contains(&"remove network default".to_owned()) && !lines.iter().any(|l| l.contains("shared")), "{lines:#?}");
}

#[test]
fn a_job_that_is_switched_off_is_not_run() {
    let mut spec = tutor("v1", "db1");
    let mut job = service("v1", 0, &[]);
    (job.job, job.port) = (true, None);
    spec.services.insert("seed".parse().unwrap(), job.clone());
    assert!(!World::default().plan(&spec, 1).lines().iter().any(|l| l.contains("seed")));
    job.replicas = 1;
    spec.services.insert("seed".parse().unwrap(), job);
    assert!(World::default().plan(&spec, 1).lines().contains(&"run seed to its end".to_owned()));
}
