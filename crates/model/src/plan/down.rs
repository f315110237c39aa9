//! Taking an app away: the way out of everything that exists of it.

use super::delta::stopped;
use super::planner::{Input, levels};
use super::{Drained, Plan, Serving, Step};
use crate::name::{NetworkName, ReplicaId, VolumeName};
use crate::spec::RuntimeKind;
use std::collections::BTreeSet;

/// How long streams and requests are waited for, milliseconds: whoever takes an app down has decided.
const DRAIN_MS: u64 = 2_000;

/// Plans `down`. Services stop in the reverse order of their dependencies; volumes stay unless `volumes` says otherwise.
pub fn plan_down(input: &Input<'_>, volumes: bool) -> Plan {
    let observed = input.observed;
    let mut steps = Vec::new();
    if *input.serving != Serving::default() {
        steps.push(Step::Serve { serving: Serving::default(), switch: true });
    }
    let served: BTreeSet<&ReplicaId> = input.serving.replicas();
    let drained: Vec<Drained> = observed
        .replicas
        .iter()
        .filter(|(id, r)| r.state.is_running() && served.contains(id))
        .map(|(id, _)| Drained { id: id.clone(), limit_ms: DRAIN_MS, linger_ms: 0 })
        .collect();
    if !drained.is_empty() {
        steps.push(Step::Drain { replicas: drained });
    }
    let levels = levels(input.spec);
    let level_of = |service| levels.iter().position(|l| l.contains(&service)).unwrap_or(levels.len());
    for level in (0..=levels.len()).rev() {
        let replicas: Vec<_> = observed
            .replicas
            .iter()
            .filter(|(_, r)| level_of(&r.service) == level && !matches!(r.state, crate::observed::ReplicaState::Exited { .. }))
            .map(|(id, r)| stopped(id, &r.service, input, false))
            .collect();
        if !replicas.is_empty() {
            steps.push(Step::Stop { replicas });
        }
    }
    if !observed.replicas.is_empty() {
        steps.push(Step::Remove { replicas: observed.replicas.keys().cloned().collect() });
    }
    // What somebody else made stays, and nobody is told that it goes.
    let own = |key: &&NetworkName| input.spec.networks.get(*key).is_none_or(|n| !n.external);
    let networks: BTreeSet<NetworkName> = observed.networks.keys().filter(own).cloned().collect();
    if input.spec.runtime == RuntimeKind::Docker && !networks.is_empty() {
        steps.push(Step::RemoveNetworks { networks });
    }
    let own = |key: &&VolumeName| input.spec.volumes.get(*key).is_none_or(|v| !v.external);
    let doomed: BTreeSet<VolumeName> = observed.volumes.iter().filter(own).cloned().collect();
    if volumes && !doomed.is_empty() {
        steps.push(Step::RemoveVolumes { volumes: doomed });
    }
    steps.push(Step::Commit);
    Plan {
        app: input.spec.app.clone(),
        release: input.release,
        revision: input.spec.revision(),
        before: input.before.clone(),
        steps,
        notes: Vec::new(),
    }
}
