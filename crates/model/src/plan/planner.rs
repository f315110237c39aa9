//! Planning: a pure function from what is wanted and what exists to ordered steps.
//!
//! After a crash nothing is resumed: the same function is asked again with what exists now, so every part of it must reach the same end
//! from any half-way state. Services go in levels of `depends_on`; inside a level start-first services move together, stop-first services
//! one by one. One switch moves all names and routes to the new release; only after the commit does anything old go.

use super::delta::{Delta, replica_id, stopped};
use super::{Drained, Job, Plan, Serving, Step};
use crate::digest::Revision;
use crate::name::{ImageRef, NetworkName, ReleaseNumber, ReplicaId, ServiceName};
use crate::observed::{Observed, Replica};
use crate::spec::{Program, RuntimeKind, Service, Spec, UpdateOrder};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What is wanted. Images the server has are pinned.
    pub spec: &'a Spec,
    /// The spec of the release that serves.
    pub previous: Option<&'a Spec>,
    /// What exists. It may be a moment old.
    pub observed: &'a Observed,
    /// Who stands for what now.
    pub serving: &'a Serving,
    /// Who stood for what when the rollout began: what undo goes back to.
    pub before: &'a Serving,
    /// The number the release gets, or has in a repair.
    pub release: ReleaseNumber,
    /// What kind of plan.
    pub mode: Mode,
}

/// What kind of plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Makes a release: jobs and migrations run, and a commit ends it.
    Release,
    /// The release was committed before a crash: only what is old goes.
    Retire,
    /// Puts back what died of the current release.
    Repair,
}

/// Limits a plan obeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Ports that processes are given.
    pub ports: RangeInclusive<u16>,
    /// Where in that range the search begins: two servers on one machine do not race for the same ports.
    pub first_port: u16,
    /// Of jobs and migrations, milliseconds.
    pub job_deadline_ms: u64,
    /// Of replicas whose service is gone from the file, milliseconds.
    pub drain_ms: u64,
    /// How long a withdrawn replica of a container network stays at least, milliseconds.
    pub linger_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { ports: 20_000..=29_999, first_port: 20_000, job_deadline_ms: 30 * 60 * 1000, drain_ms: 30_000, linger_ms: 1_000 }
    }
}

/// Plans the way from what exists to what is wanted.
pub fn plan(input: &Input<'_>, policy: &Policy) -> Plan {
    let mut ports: BTreeSet<u16> = input.observed.busy_ports.clone();
    ports.extend(input.observed.replicas.values().filter_map(|r| r.port));
    let levels = levels(input.spec);
    let deltas: BTreeMap<&ServiceName, Delta<'_>> = input
        .spec
        .services
        .iter()
        .filter(|(_, s)| !s.job)
        .map(|(name, service)| (name, Delta::of(name, service, input, policy, &mut ports)))
        .collect();
    let mut draft = Draft { input, policy, serving: input.serving.clone(), steps: Vec::new(), notes: Vec::new() };
    let leftovers = leftovers(input);
    // Ended jobs of earlier releases are reason enough to finish a rollout, not to begin one.
    let gone = leftovers.iter().any(|(id, _)| !input.observed.replicas[id].job) || input.mode == Mode::Retire && !leftovers.is_empty();
    let changed = deltas.values().any(Delta::changed) || gone || input.mode == Mode::Release && differs(input, &deltas);
    if changed {
        draft.prepare();
        for level in levels {
            draft.level(&level, &deltas);
        }
        draft.finish(&deltas, leftovers);
    }
    Plan {
        app: input.spec.app.clone(),
        release: input.release,
        revision: input.spec.revision(),
        before: input.before.clone(),
        steps: draft.steps,
        notes: draft.notes,
    }
}

/// The file says something else than the release that serves, or that release does not serve as it should.
fn differs(input: &Input<'_>, deltas: &BTreeMap<&ServiceName, Delta<'_>>) -> bool {
    let same: Option<Revision> = input.previous.map(Spec::revision);
    same != Some(input.spec.revision()) || *input.serving != serving_after(input.spec, deltas)
}

/// Who stands for what when all is done.
fn serving_after(spec: &Spec, deltas: &BTreeMap<&ServiceName, Delta<'_>>) -> Serving {
    let mut serving = Serving::default();
    for (name, delta) in deltas {
        serving.names.insert((*name).clone(), delta.after());
        if !spec.services[*name].routes.is_empty() {
            serving.routes.insert((*name).clone(), delta.after());
        }
    }
    serving
}

/// Replicas of services that are gone from the file, and ended jobs of earlier releases. A job that still runs is left alone: it is somebody's
/// `landfall run`.
fn leftovers(input: &Input<'_>) -> Vec<(ReplicaId, ServiceName)> {
    let goes = |r: &Replica| match input.spec.services.get(&r.service) {
        _ if r.job => r.release < input.release && !r.state.is_running(),
        Some(service) => service.job,
        None => true,
    };
    input.observed.replicas.iter().filter(|(_, r)| goes(r)).map(|(id, r)| (id.clone(), r.service.clone())).collect()
}

/// Services by the length of their longest chain of dependencies. The file's check has refused cycles; should one come all the same, its
/// services start together at the end.
pub(super) fn levels(spec: &Spec) -> Vec<Vec<&ServiceName>> {
    let mut levels: Vec<Vec<&ServiceName>> = Vec::new();
    let mut placed: BTreeSet<&ServiceName> = BTreeSet::new();
    while placed.len() < spec.services.len() {
        let free = |service: &Service| service.depends_on.keys().all(|d| placed.contains(d) || !spec.services.contains_key(d));
        let mut level: Vec<&ServiceName> = spec.services.iter().filter(|(n, s)| !placed.contains(n) && free(s)).map(|(n, _)| n).collect();
        if level.is_empty() {
            level = spec.services.keys().filter(|n| !placed.contains(n)).collect();
        }
        placed.extend(&level);
        levels.push(level);
    }
    levels
}

/// Steps as they are being put together.
struct Draft<'a> {
    input: &'a Input<'a>,
    policy: &'a Policy,
    serving: Serving,
    steps: Vec<Step>,
    notes: Vec<String>,
}

impl Draft<'_> {
    /// Images, networks, volumes and files.
    fn prepare(&mut self) {
        let spec = self.input.spec;
        let images: BTreeSet<ImageRef> = spec
            .services
            .values()
            .filter_map(|s| match &s.template.program {
                Program::Image { reference, pinned: None, .. } => Some(reference.clone()),
                _ => None,
            })
            .collect();
        if !images.is_empty() {
            let unknown = spec.services.iter().filter(|(_, s)| s.waits_for_image());
            let names = unknown.map(|(n, _)| n.to_string()).collect::<Vec<_>>().join(", ");
            if !names.is_empty() {
                self.notes.push(format!(
                    "the gate of {names} is known once the image is here: its HEALTHCHECK, if it has one; its VOLUMEs are seen then too"
                ));
            }
            self.steps.push(Step::Pull { images });
        }
        if spec.runtime == RuntimeKind::Docker {
            let absent = spec.networks.iter().filter(|(n, _)| !self.input.observed.networks.contains_key(*n));
            let (external, own): (Vec<_>, Vec<_>) = absent.partition(|(_, network)| network.external);
            let keys = |some: Vec<(&NetworkName, _)>| some.into_iter().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>();
            let (networks, external) = (keys(own), keys(external));
            if !networks.is_empty() || !external.is_empty() {
                self.steps.push(Step::EnsureNetworks { networks, external });
            }
        }
        let volumes: BTreeSet<_> = spec.volumes.keys().filter(|v| !self.input.observed.volumes.contains(v)).cloned().collect();
        if !volumes.is_empty() {
            self.steps.push(Step::EnsureVolumes { volumes });
        }
        let services: BTreeSet<_> = spec.services.iter().filter(|(_, s)| s.serves_files()).map(|(n, _)| n.clone()).collect();
        if !services.is_empty() && self.input.mode != Mode::Retire {
            self.steps.push(Step::Unpack { services });
        }
    }

    /// One level of `depends_on`: jobs, then stop-first services one by one, then start-first services together.
    fn level(&mut self, level: &[&ServiceName], deltas: &BTreeMap<&ServiceName, Delta<'_>>) {
        for name in level.iter().filter(|n| self.input.spec.services[**n].job && self.input.spec.services[**n].replicas > 0) {
            self.job(name, None, "run");
        }
        let changed: Vec<&Delta<'_>> = level.iter().filter_map(|n| deltas.get(*n)).filter(|d| !d.new.is_empty()).collect();
        let (stop_first, start_first): (Vec<&Delta<'_>>, Vec<&Delta<'_>>) = changed.iter().partition(|d| d.stops_first(self.input));
        for delta in stop_first {
            self.replace_in_place(delta);
        }
        for delta in &start_first {
            self.migrate(delta);
        }
        self.start_and_gate(&start_first);
    }

    fn replace_in_place(&mut self, delta: &Delta<'_>) {
        if let UpdateOrder::StopFirst { reason } = &delta.service.order {
            self.notes.push(format!("{} is down while it is replaced: {reason}", delta.name));
        } else {
            let paths = delta.handed_on(self.input).into_iter().collect::<Vec<_>>().join(", ");
            self.notes.push(format!(
                "{} is down while it is replaced: its volume at {paths} has no name and goes on with the new replica; mount a named \
                 volume there, or tmpfs where nothing is to be kept",
                delta.name
            ));
        }
        let old_serves =
            |set: &BTreeMap<ServiceName, BTreeSet<ReplicaId>>| set.get(delta.name).is_some_and(|ids| !ids.is_disjoint(&delta.old));
        if old_serves(&self.serving.names) || old_serves(&self.serving.routes) {
            self.serving.names.remove(delta.name);
            self.serving.routes.remove(delta.name);
            self.serve(false);
        }
        let old = delta.old.iter().map(|id| (id.clone(), delta.name.clone())).collect::<Vec<_>>();
        self.drain(&old);
        self.steps.push(Step::Stop { replicas: delta.stopped_first(self.input) });
        self.migrate(delta);
        self.start_and_gate(&[delta]);
        if !delta.service.routes.is_empty() && self.input.before.routes.contains_key(delta.name) {
            self.serving.routes.insert(delta.name.clone(), delta.after());
            self.serve(false);
        }
    }

    /// Starts and gates services together; one that nobody stands for, or only what does not run any more, gets its name at once, because those that
    /// depend on it need it.
    fn start_and_gate(&mut self, deltas: &[&Delta<'_>]) {
        let replicas: Vec<_> = deltas.iter().flat_map(|d| d.new.iter().cloned()).collect();
        if replicas.is_empty() {
            return;
        }
        self.steps.push(Step::Start { replicas });
        self.steps.push(Step::Gate { replicas: deltas.iter().flat_map(|d| d.gates()).collect() });
        let mut named = false;
        // In a container network a name is an address, whatever listens there; without one it is a port that the proxy forwards.
        let container = self.input.spec.runtime == RuntimeKind::Docker;
        for delta in deltas.iter().filter(|d| container || d.service.port.is_some()) {
            let runs = |id: &ReplicaId| self.input.observed.replicas.get(id).is_some_and(|r| r.state.is_running());
            if !self.serving.names.get(delta.name).is_some_and(|ids| ids.iter().any(runs)) {
                self.serving.names.insert(delta.name.clone(), delta.after());
                named = true;
            }
        }
        if named {
            self.serve(false);
        }
    }

    fn migrate(&mut self, delta: &Delta<'_>) {
        if let Some(argv) = &delta.service.migrate {
            self.job(delta.name, Some(argv.clone()), "migrate");
        }
    }

    fn job(&mut self, name: &ServiceName, argv: Option<Vec<String>>, what: &str) {
        if self.input.mode != Mode::Release {
            return;
        }
        let service = &self.input.spec.services[name];
        let mut dependents = self.input.spec.services.values().filter_map(|s| s.depends_on.get(name)).peekable();
        let optional = argv.is_none() && dependents.peek().is_some() && dependents.all(|d| !d.required);
        self.steps.push(Step::Run {
            job: Job {
                id: replica_id(name, self.input, what),
                service: name.clone(),
                revision: service.template.revision(),
                argv,
                deadline_ms: self.policy.job_deadline_ms,
                optional,
            },
        });
    }

    fn serve(&mut self, switch: bool) {
        self.steps.push(Step::Serve { serving: self.serving.clone(), switch });
    }

    /// The switch, the commit, and the way out of everything old.
    fn finish(&mut self, deltas: &BTreeMap<&ServiceName, Delta<'_>>, leftovers: Vec<(ReplicaId, ServiceName)>) {
        let after = serving_after(self.input.spec, deltas);
        if self.serving != after || self.input.mode == Mode::Release {
            self.serving = after;
            self.serve(true);
        }
        if self.input.mode == Mode::Release {
            self.steps.push(Step::Commit);
        }
        for (id, paths) in deltas.values().flat_map(|d| d.lost(self.input)) {
            let paths = paths.into_iter().collect::<Vec<_>>().join(", ");
            self.notes.push(format!("what {id} has at {paths} is in a volume without a name and goes with it"));
        }
        let mut old: Vec<(ReplicaId, ServiceName)> =
            deltas.values().flat_map(|d| d.old.iter().map(|id| (id.clone(), d.name.clone()))).collect();
        old.extend(leftovers);
        old.sort();
        let already: BTreeSet<ReplicaId> = self
            .steps
            .iter()
            .filter_map(|s| if let Step::Stop { replicas } = s { Some(replicas.iter().map(|r| r.id.clone())) } else { None })
            .flatten()
            .collect();
        let running: Vec<_> =
            old.iter().filter(|(id, _)| !already.contains(id) && self.input.observed.replicas[id].state.is_running()).cloned().collect();
        self.drain(&running);
        if !running.is_empty() {
            self.steps.push(Step::Stop { replicas: running.iter().map(|(id, service)| stopped(id, service, self.input, false)).collect() });
        }
        if !old.is_empty() {
            self.steps.push(Step::Remove { replicas: old.into_iter().map(|(id, _)| id).collect() });
        }
    }

    /// Lets replicas finish what callers gave them: those that have a port, because others are called by nobody.
    fn drain(&mut self, replicas: &[(ReplicaId, ServiceName)]) {
        let linger_ms = if self.input.spec.runtime == RuntimeKind::Docker { self.policy.linger_ms } else { 0 };
        let specs = |service: &ServiceName| {
            self.input.previous.and_then(|s| s.services.get(service)).or_else(|| self.input.spec.services.get(service))
        };
        let drained: Vec<Drained> = replicas
            .iter()
            .filter(|(id, _)| self.input.observed.replicas[id].state.is_running() && !self.input.observed.replicas[id].job)
            .filter(|(_, service)| specs(service).is_none_or(|s| s.port.is_some()))
            .map(|(id, service)| Drained {
                id: id.clone(),
                limit_ms: specs(service).map_or(self.policy.drain_ms, |s| s.drain_ms),
                linger_ms,
            })
            .collect();
        if !drained.is_empty() {
            self.steps.push(Step::Drain { replicas: drained });
        }
    }
}
