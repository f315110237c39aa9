//! What differs between what a service should be and what exists of it.

use super::planner::{Input, Mode, Policy};
use super::{Gated, NewReplica, Stopped};
use crate::name::{ReplicaId, ServiceName};
use crate::observed::{Replica, ReplicaState};
use crate::spec::{Gate, Probe, Program, Restart, RuntimeKind, Service, UpdateOrder};
use std::collections::BTreeSet;

/// One service's difference.
pub(super) struct Delta<'a> {
    pub(super) name: &'a ServiceName,
    pub(super) service: &'a Service,
    /// Ready replicas of the right template: they stay and are not touched.
    pub(super) keep: BTreeSet<ReplicaId>,
    /// Replicas to be started (again, if an interrupted attempt began it) and gated.
    pub(super) new: Vec<NewReplica>,
    /// Replicas that must go.
    pub(super) old: BTreeSet<ReplicaId>,
}

impl<'a> Delta<'a> {
    /// Compares a service with what exists. `ports` holds the ports taken so far and gets those assigned here.
    pub(super) fn of(name: &'a ServiceName, service: &'a Service, input: &Input<'_>, policy: &Policy, ports: &mut BTreeSet<u16>) -> Self {
        let revision = service.template.revision();
        let wanted = service.replicas as usize;
        let serving = input.serving.names.get(name).cloned().unwrap_or_default();
        let mut delta = Self { name, service, keep: BTreeSet::new(), new: Vec::new(), old: BTreeSet::new() };
        for (id, replica) in input.observed.replicas.iter().filter(|(_, r)| r.service == *name && !r.job) {
            let right = replica.revision == revision && (lives(replica) || input.mode == Mode::Repair && meant_to_end(replica, service));
            if right && serving.contains(id) && delta.keep.len() < wanted {
                delta.keep.insert(id.clone());
            } else if right && replica.release == input.release && !serving.contains(id) && delta.keep.len() + delta.new.len() < wanted {
                delta.new.push(NewReplica {
                    id: id.clone(),
                    service: name.clone(),
                    revision: revision.clone(),
                    port: replica.port,
                    takes: None,
                });
            } else {
                delta.old.insert(id.clone());
            }
        }
        let mut ordinal = 1;
        while delta.keep.len() + delta.new.len() < wanted {
            let id = replica_id(name, input, &ordinal.to_string());
            ordinal += 1;
            if input.observed.replicas.contains_key(&id) {
                continue;
            }
            let port = (input.spec.runtime == RuntimeKind::Process && service.port.is_some()).then(|| free_port(policy, ports));
            delta.new.push(NewReplica { id, service: name.clone(), revision: revision.clone(), port, takes: None });
        }
        delta.hand_on(input);
        delta
    }

    /// Pairs new replicas with old ones that have volumes without a name, those that serve first: as Compose does, the
    /// data goes on in the replica that takes the place of the old one.
    fn hand_on(&mut self, input: &Input<'_>) {
        let mut from: Vec<&ReplicaId> = self.old.iter().filter(|id| !self.left_behind(id, input).is_empty()).collect();
        let serving = input.serving.names.get(self.name);
        from.sort_by_key(|id| !serving.is_some_and(|s| s.contains(*id)));
        let from: Vec<ReplicaId> = from.into_iter().cloned().collect();
        for (new, old) in self.new.iter_mut().zip(from) {
            new.takes = Some(old);
        }
    }

    /// Paths of an old replica's volumes without a name that a replica of this template has as well.
    fn left_behind(&self, id: &ReplicaId, input: &Input<'_>) -> BTreeSet<String> {
        let image = match &self.service.template.program {
            Program::Image { pinned: Some(image), .. } => input.observed.about.get(image),
            _ => None,
        };
        let wanted: BTreeSet<&str> = self.service.unnamed(image).collect();
        let has = input.observed.replicas.get(id).map(|r| &r.unnamed);
        has.into_iter().flatten().filter(|path| wanted.contains(path.as_str())).cloned().collect()
    }

    /// Paths of the data that its new replicas take over from old ones.
    pub(super) fn handed_on(&self, input: &Input<'_>) -> BTreeSet<String> {
        self.new.iter().filter_map(|n| n.takes.as_ref()).flat_map(|old| self.left_behind(old, input)).collect()
    }

    /// Old replicas whose data in volumes without a name nobody takes over, and where they have it.
    pub(super) fn lost(&self, input: &Input<'_>) -> Vec<(ReplicaId, BTreeSet<String>)> {
        let taken: BTreeSet<&ReplicaId> = self.new.iter().filter_map(|n| n.takes.as_ref()).collect();
        let has = |id: &ReplicaId| {
            let all = input.observed.replicas.get(id).map(|r| r.unnamed.clone()).unwrap_or_default();
            let goes_on = if taken.contains(id) { self.left_behind(id, input) } else { BTreeSet::new() };
            all.difference(&goes_on).cloned().collect::<BTreeSet<String>>()
        };
        self.old.iter().map(|id| (id.clone(), has(id))).filter(|(_, paths)| !paths.is_empty()).collect()
    }

    /// Something must be done.
    pub(super) fn changed(&self) -> bool {
        !self.new.is_empty() || !self.old.is_empty()
    }

    /// The new ones may not run beside the old ones, and there are such.
    pub(super) fn stops_first(&self, input: &Input<'_>) -> bool {
        let one_writer = matches!(self.service.order, UpdateOrder::StopFirst { .. }) || !self.handed_on(input).is_empty();
        one_writer && !self.new.is_empty() && !self.stopped_first(input).is_empty()
    }

    /// The old replicas that a stop-first update stops and an undo starts again.
    pub(super) fn stopped_first(&self, input: &Input<'_>) -> Vec<Stopped> {
        self.old
            .iter()
            .filter(|id| input.observed.replicas[*id].state != ReplicaState::Created)
            .map(|id| stopped(id, self.name, input, true))
            .collect()
    }

    /// Those that stand for the service when the rollout is done.
    pub(super) fn after(&self) -> BTreeSet<ReplicaId> {
        self.keep.iter().cloned().chain(self.new.iter().map(|n| n.id.clone())).collect()
    }

    /// Gates of the new ones.
    pub(super) fn gates(&self) -> impl Iterator<Item = Gated> + '_ {
        self.new.iter().map(|n| Gated { id: n.id.clone(), service: self.name.clone(), gate: gate_at(&self.service.gate, n.port) })
    }
}

/// A process listens on the port it was assigned, not on the one the file names.
fn gate_at(gate: &Gate, assigned: Option<u16>) -> Gate {
    let mut gate = gate.clone();
    if let (Some(assigned), Probe::Http { port, .. } | Probe::Tcp { port }) = (assigned, &mut gate.probe) {
        *port = assigned;
    }
    gate
}

/// It runs, or its restart policy is about to make it run.
fn lives(replica: &Replica) -> bool {
    !matches!(replica.state, ReplicaState::Exited { .. })
}

/// The file says that a replica which ended like this stays ended. A service that answers requests from outside has no end: what it has is a host
/// that went down. One that answers others inside ends with code 0 only because it was told to, by `docker stop` or an engine that stops. The rest is
/// as in Compose: a worker that ended well under `on-failure` is done, and `restart: no` means it.
fn meant_to_end(replica: &Replica, service: &Service) -> bool {
    match (service.template.restart, replica.state) {
        _ if !service.routes.is_empty() => false,
        (Restart::No, _) => true,
        (Restart::OnFailure { max }, ReplicaState::Exited { code, .. }) => {
            code == 0 && service.port.is_none() || max > 0 && replica.restarts >= max
        }
        _ => false,
    }
}

/// How a replica is stopped: by the words of the release that made it, which are those of the previous spec.
pub(super) fn stopped(id: &ReplicaId, service: &ServiceName, input: &Input<'_>, again: bool) -> Stopped {
    let spec = input.previous.and_then(|s| s.services.get(service)).or_else(|| input.spec.services.get(service));
    let (signal, grace_ms) = spec.map_or((None, 10_000), |s| (s.template.stop_signal.clone(), s.template.stop_grace_ms));
    let again = spec.filter(|_| again).map(|s| Gated { id: id.clone(), service: service.clone(), gate: s.gate.clone() });
    Stopped { id: id.clone(), signal, grace_ms, again }
}

/// `<service>-<release>-<what>`. Service names are at most 60 long and numbers at most 20, so this always is a replica id.
pub(super) fn replica_id(service: &ServiceName, input: &Input<'_>, what: &str) -> ReplicaId {
    let text = format!("{service}-{}-{what}", input.release);
    text.parse().unwrap_or_else(|_| unreachable!("`{text}` is made of checked parts"))
}

/// The next port of the range that nobody has. When all are taken the last is assigned, and the gate says who holds it.
fn free_port(policy: &Policy, taken: &mut BTreeSet<u16>) -> u16 {
    let (first, last) = (policy.first_port.clamp(*policy.ports.start(), *policy.ports.end()), *policy.ports.end());
    let port = (first..=last).chain(policy.ports.clone()).find(|p| !taken.contains(p)).unwrap_or(last);
    taken.insert(port);
    port
}
