//! Plans as text: what a reader of `landfall plan` sees, and what every plan and undo must keep.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod outage;
mod shared;

use landfall_model::container::Container;
use landfall_model::name::{ReleaseNumber, ReplicaId, ServiceName};
use landfall_model::observed::{Observed, ObservedNetwork, Replica, ReplicaState};
use landfall_model::plan::{Input, Mode, Plan, Policy, Serving, Step, plan, plan_down, undo};
use landfall_model::spec::{
    Condition, Dependency, Gate, Limits, LogPolicy, Network, Probe, Program, Restart, Route, RuntimeKind, Service, Spec, Template, Tls,
    UpdateOrder, Volume,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn template(version: &str) -> Template {
    Template {
        program: Program::Executable { path: format!("/srv/{version}"), sha256: None },
        entrypoint: None,
        command: None,
        environment: BTreeMap::new(),
        working_dir: None,
        user: None,
        mounts: Vec::new(),
        networks: BTreeSet::from(["default".parse().unwrap()]),
        ports: Vec::new(),
        labels: BTreeMap::new(),
        restart: Restart::UnlessStopped,
        stop_signal: None,
        stop_grace_ms: 10_000,
        healthcheck: None,
        limits: Limits::default(),
        log: LogPolicy::default(),
        init: false,
        read_only: false,
        shm_bytes: 0,
        container: Container::default(),
    }
}

fn service(version: &str, replicas: u32, needs: &[&str]) -> Service {
    let dependency = Dependency { condition: Condition::ServiceHealthy, required: true };
    Service {
        template: template(version),
        replicas,
        job: false,
        depends_on: needs.iter().map(|n| (n.parse().unwrap(), dependency)).collect(),
        port: Some(8000),
        protocol: Default::default(),
        routes: Vec::new(),
        gate: Gate { probe: Probe::Tcp { port: 8000 }, deadline_ms: 60_000 },
        order: UpdateOrder::StartFirst,
        migrate: None,
        drain_ms: 30_000,
        aliases: BTreeMap::new(),
    }
}

/// The tutor: a database with a volume, a backend that migrates, a frontend with a route.
fn tutor(version: &str, db_version: &str) -> Spec {
    let mut db = service(db_version, 1, &[]);
    db.order = UpdateOrder::StopFirst { reason: "volume `pgdata` has one writer".into() };
    let mut backend = service(version, 2, &["db"]);
    backend.migrate = Some(vec!["alembic".into(), "upgrade".into(), "head".into()]);
    let mut frontend = service(version, 1, &["backend"]);
    frontend.routes =
        vec![Route { host: None, path: "/".parse().unwrap(), timeout_ms: 60_000, idle_timeout_ms: 3_600_000, filters: Default::default() }];
    let network = Network { external_name: "tutor_default".into(), ..Network::default() };
    Spec {
        app: "tutor".parse().unwrap(),
        runtime: RuntimeKind::Docker,
        project_dir: "/srv/tutor".into(),
        domains: Vec::new(),
        tls: Tls::Internal,
        services: [("db", db), ("backend", backend), ("frontend", frontend)].into_iter().map(|(n, s)| (n.parse().unwrap(), s)).collect(),
        volumes: BTreeMap::from([("pgdata".parse().unwrap(), Volume { external_name: "tutor_pgdata".into(), ..Volume::default() })]),
        networks: BTreeMap::from([("default".parse().unwrap(), network)]),
        front: Default::default(),
        environment: None,
        secrets: BTreeMap::new(),
    }
}

/// A server in memory that does what steps say, as a runtime and a proxy would.
#[derive(Clone, Default)]
struct World {
    observed: Observed,
    serving: Serving,
    committed: Option<(ReleaseNumber, Spec)>,
    migrations: BTreeMap<ReleaseNumber, u32>,
}

impl World {
    fn input<'a>(&'a self, spec: &'a Spec, before: &'a Serving, release: u64, mode: Mode) -> Input<'a> {
        Input {
            spec,
            previous: self.committed.as_ref().map(|(_, s)| s),
            observed: &self.observed,
            serving: &self.serving,
            before,
            release: ReleaseNumber(release),
            mode,
        }
    }

    fn plan(&self, spec: &Spec, release: u64) -> Plan {
        plan(&self.input(spec, &self.serving, release, Mode::Release), &Policy::default())
    }

    fn execute(&mut self, spec: &Spec, plan: &Plan, step: &Step) {
        let replica = |service: &ServiceName, revision, job, state| Replica {
            service: service.clone(),
            revision,
            release: plan.release,
            job,
            state,
            addresses: BTreeMap::new(),
            port: None,
            restarts: 0,
            started_ms: 0,
            unnamed: BTreeSet::new(),
        };
        let network = ObservedNetwork::default();
        let replicas = &mut self.observed.replicas;
        match step {
            Step::EnsureNetworks { networks, .. } => self.observed.networks.extend(networks.iter().map(|n| (n.clone(), network.clone()))),
            Step::EnsureVolumes { volumes } => self.observed.volumes.extend(volumes.clone()),
            Step::Run { job } => {
                let done = ReplicaState::Exited { code: 0, out_of_memory: false };
                if !replicas.contains_key(&job.id) {
                    *self.migrations.entry(plan.release).or_default() += 1;
                    replicas.insert(job.id.clone(), replica(&job.service, job.revision.clone(), true, done));
                }
            }
            Step::Start { replicas: new } => {
                for new in new {
                    let made = replica(&new.service, new.revision.clone(), false, ReplicaState::Running);
                    replicas.entry(new.id.clone()).or_insert(made);
                }
            }
            Step::Serve { serving, .. } => self.serving = serving.clone(),
            Step::Commit => self.committed = Some((plan.release, spec.clone())),
            Step::Stop { replicas: stopped } => {
                for id in stopped.iter().map(|s| &s.id) {
                    if let Some(r) = replicas.get_mut(id) {
                        r.state = ReplicaState::Exited { code: 143, out_of_memory: false };
                    }
                }
            }
            Step::StartAgain { replicas: again } => {
                for id in again {
                    if let Some(r) = replicas.get_mut(id) {
                        r.state = ReplicaState::Running;
                    }
                }
            }
            Step::Remove { replicas: removed } => replicas.retain(|id, _| !removed.contains(id)),
            Step::RemoveNetworks { networks } => self.observed.networks.retain(|n, _| !networks.contains(n)),
            Step::RemoveVolumes { volumes } => self.observed.volumes.retain(|v| !volumes.contains(v)),
            Step::Pull { .. } | Step::Unpack { .. } | Step::Gate { .. } | Step::Drain { .. } => {}
        }
    }

    fn running(&self, service: &str) -> BTreeSet<ReplicaId> {
        let name: ServiceName = service.parse().unwrap();
        let runs = |r: &Replica| r.service == name && !r.job && r.state.is_running();
        self.observed.replicas.iter().filter(|(_, r)| runs(r)).map(|(id, _)| id.clone()).collect()
    }

    /// What must hold after every step: who stands for a start-first service runs, nobody writes a volume twice, and what served still does.
    fn check(&self, was_up: bool) {
        for id in self.serving.replicas().into_iter().filter(|id| !id.as_str().starts_with("db-")) {
            assert!(self.observed.replicas.get(id).is_some_and(|r| r.state.is_running()), "{id} serves and does not run");
        }
        assert!(self.running("db").len() <= 1, "two databases write one volume");
        if was_up {
            assert!(!self.serving.routes[&"frontend".parse().unwrap()].is_empty(), "nobody serves the frontend");
            assert!(!self.serving.names[&"backend".parse().unwrap()].is_empty(), "nobody has the backend's name");
        }
    }

    fn deploy(&mut self, spec: &Spec, release: u64) {
        let plan = self.plan(spec, release);
        let was_up = self.committed.is_some() && spec.services.len() == 3;
        for step in &plan.steps {
            self.execute(spec, &plan, step);
            self.check(was_up);
        }
    }
}

fn deployed() -> World {
    let mut world = World::default();
    world.deploy(&tutor("v1", "db1"), 1);
    world
}

#[test]
fn the_first_release_goes_up_in_the_order_of_dependencies() {
    let lines = World::default().plan(&tutor("v1", "db1"), 1).lines();
    assert_eq!(
        lines,
        [
            "create network default",
            "create volume pgdata",
            "start db-1-1",
            "gate db-1-1 by a connection to port 8000 within 60 s",
            "serve by db-1-1",
            "migrate backend: alembic upgrade head",
            "start backend-1-1, backend-1-2",
            "gate backend-1-1 by a connection to port 8000 within 60 s, backend-1-2 by a connection to port 8000 within 60 s",
            "serve by backend-1-1, backend-1-2, db-1-1",
            "start frontend-1-1",
            "gate frontend-1-1 by a connection to port 8000 within 60 s",
            "serve by backend-1-1, backend-1-2, db-1-1, frontend-1-1",
            "switch to backend-1-1, backend-1-2, db-1-1, frontend-1-1",
            "commit",
        ]
    );
}

#[test]
fn the_next_release_touches_only_what_changed_and_switches_once() {
    let lines = deployed().plan(&tutor("v2", "db1"), 2).lines();
    assert_eq!(
        lines,
        [
            "migrate backend: alembic upgrade head",
            "start backend-2-1, backend-2-2",
            "gate backend-2-1 by a connection to port 8000 within 60 s, backend-2-2 by a connection to port 8000 within 60 s",
            "start frontend-2-1",
            "gate frontend-2-1 by a connection to port 8000 within 60 s",
            "switch to backend-2-1, backend-2-2, db-1-1, frontend-2-1",
            "commit",
            "drain backend-1-1 (up to 30 s), backend-1-2 (up to 30 s), frontend-1-1 (up to 30 s)",
            "stop backend-1-1 (10 s to end), backend-1-2 (10 s to end), frontend-1-1 (10 s to end)",
            "remove backend-1-1, backend-1-2, backend-1-migrate, frontend-1-1",
        ]
    );
}

#[test]
fn a_service_with_a_volume_is_replaced_in_place_and_the_plan_says_so() {
    let plan = deployed().plan(&tutor("v1", "db2"), 2);
    let lines = plan.lines();
    let stop = lines.iter().position(|l| l.starts_with("stop db-1-1")).unwrap();
    let start = lines.iter().position(|l| l == "start db-2-1").unwrap();
    assert!(stop < start, "{lines:#?}");
    assert!(lines.contains(&"note: db is down while it is replaced: volume `pgdata` has one writer".to_owned()), "{lines:#?}");
    assert!(!lines.iter().any(|l| l.contains("backend-2")), "the backend did not change: {lines:#?}");
}

#[test]
fn nothing_to_change_is_an_empty_plan() {
    assert!(deployed().plan(&tutor("v1", "db1"), 2).is_empty());
}

#[test]
fn a_change_of_routes_only_switches_and_starts_nothing() {
    let mut spec = tutor("v1", "db1");
    spec.services.get_mut(&"frontend".parse::<ServiceName>().unwrap()).unwrap().routes[0].timeout_ms = 1;
    let lines = deployed().plan(&spec, 2).lines();
    assert_eq!(lines, ["switch to backend-1-1, backend-1-2, db-1-1, frontend-1-1", "commit", "remove backend-1-migrate"]);
}

#[test]
fn a_service_gone_from_the_file_goes_after_the_commit() {
    let mut spec = tutor("v1", "db1");
    spec.services.remove(&"frontend".parse::<ServiceName>().unwrap());
    let lines = deployed().plan(&spec, 2).lines();
    let commit = lines.iter().position(|l| l == "commit").unwrap();
    assert!(lines.iter().position(|l| l.starts_with("stop frontend-1-1")).unwrap() > commit);
}

#[test]
fn more_replicas_are_added_and_fewer_are_drained() {
    let name: ServiceName = "backend".parse().unwrap();
    let mut spec = tutor("v1", "db1");
    spec.services.get_mut(&name).unwrap().replicas = 3;
    let mut world = deployed();
    world.deploy(&spec, 2);
    assert_eq!(world.running("backend").len(), 3);
    spec.services.get_mut(&name).unwrap().replicas = 1;
    world.deploy(&spec, 3);
    assert_eq!(world.running("backend").len(), 1);
}

#[test]
fn a_dead_replica_is_repaired_without_jobs_and_without_a_release() {
    let mut world = deployed();
    let id: ReplicaId = "backend-1-2".parse().unwrap();
    world.observed.replicas.get_mut(&id).unwrap().state = ReplicaState::Exited { code: 1, out_of_memory: false };
    let spec = tutor("v1", "db1");
    let lines = plan(&world.input(&spec, &world.serving, 1, Mode::Repair), &Policy::default()).lines();
    assert_eq!(
        lines,
        [
            "start backend-1-3",
            "gate backend-1-3 by a connection to port 8000 within 60 s",
            "switch to backend-1-1, backend-1-3, db-1-1, frontend-1-1",
            "remove backend-1-2",
        ]
    );
}

#[test]
fn down_stops_in_reverse_order_and_keeps_volumes_unless_told() {
    let world = deployed();
    let spec = tutor("v1", "db1");
    let input = world.input(&spec, &world.serving, 1, Mode::Release);
    let stops: Vec<String> = plan_down(&input, false).lines().into_iter().filter(|l| l.starts_with("stop")).collect();
    assert!(stops[0].contains("frontend") && stops[1].contains("backend") && stops[2].contains("db"), "{stops:?}");
    assert!(!plan_down(&input, false).lines().iter().any(|l| l.contains("volume")));
    assert!(plan_down(&input, true).lines().contains(&"remove volume pgdata and its data".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A step fails at any place of any update: undone, the world is as it was, and the old release served throughout.
    #[test]
    fn undo_brings_back_what_was(db_changes: bool, app_changes: bool, begun in 0usize..20) {
        let mut world = deployed();
        let was = world.clone();
        let spec = tutor(if app_changes { "v2" } else { "v1" }, if db_changes { "db2" } else { "db1" });
        let plan = world.plan(&spec, 2);
        let commit = plan.steps.iter().position(|s| *s == Step::Commit).unwrap_or(0);
        let begun = begun.min(commit);
        for step in &plan.steps[..begun] {
            world.execute(&spec, &plan, step);
        }
        for step in &undo(&plan, &spec, begun).steps {
            world.execute(&spec, &plan, step);
        }
        world.check(true);
        prop_assert_eq!(&world.serving, &was.serving);
        prop_assert_eq!(&world.observed.replicas, &was.observed.replicas);
    }

    /// The agent dies after any step and plans again, several times: the release is finished, each migration ran once, nothing old is left.
    #[test]
    fn a_crash_anywhere_is_planned_through(db_changes: bool, crashes in prop::collection::vec(0usize..14, 1..4)) {
        let mut world = deployed();
        let before = world.serving.clone();
        let spec = tutor("v2", if db_changes { "db2" } else { "db1" });
        let mut committed = false;
        for crash in crashes.into_iter().map(Some).chain([None]) {
            let mode = if committed { Mode::Retire } else { Mode::Release };
            let plan = plan(&world.input(&spec, &before, 2, mode), &Policy::default());
            for step in plan.steps.iter().take(crash.unwrap_or(usize::MAX)) {
                world.execute(&spec, &plan, step);
                world.check(true);
                committed |= *step == Step::Commit;
            }
        }
        prop_assert!(committed);
        prop_assert_eq!(world.migrations[&ReleaseNumber(2)], 1);
        prop_assert_eq!(world.running("backend").len(), 2);
        prop_assert_eq!(world.running("frontend").len(), 1);
        let expected = |r: &Replica| r.release == ReleaseNumber(2) || r.service.as_str() == "db" && !db_changes;
        prop_assert!(world.observed.replicas.values().all(expected), "{:?}", world.observed.replicas);
        prop_assert!(world.plan(&spec, 3).is_empty());
    }

    /// A crash, then a failure of the second attempt: undone, the old release serves as before.
    #[test]
    fn a_failure_after_a_crash_is_undone(db_changes: bool, crash in 0usize..12, fails in 0usize..12) {
        let mut world = deployed();
        let was = world.clone();
        let spec = tutor("v2", if db_changes { "db2" } else { "db1" });
        let first = world.plan(&spec, 2);
        let commit = first.steps.iter().position(|s| *s == Step::Commit).unwrap();
        for step in first.steps.iter().take(crash.min(commit)) {
            world.execute(&spec, &first, step);
        }
        let second = plan(&world.input(&spec, &was.serving, 2, Mode::Release), &Policy::default());
        let commit = second.steps.iter().position(|s| *s == Step::Commit).unwrap();
        let second_begun = &second.steps[..fails.min(commit)];
        for step in second_begun {
            world.execute(&spec, &second, step);
        }
        let first_commit = first.steps.iter().position(|s| *s == Step::Commit).unwrap();
        let begun: Vec<Step> = first.steps[..crash.min(first_commit)].iter().chain(second_begun).cloned().collect();
        let all = Plan { steps: begun, ..second.clone() };
        for step in &undo(&all, &spec, all.steps.len()).steps {
            world.execute(&spec, &second, step);
        }
        world.check(true);
        prop_assert_eq!(&world.serving, &was.serving);
        for (id, replica) in &was.observed.replicas {
            prop_assert_eq!(world.observed.replicas.get(id), Some(replica), "{}", id);
        }
    }
}
