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
    let mut notes = Vec::new();
    for (id, replica) in observed.replicas.iter().filter(|(_, r)| !r.unnamed.is_empty() && !r.job) {
        let paths = replica.unnamed.iter().cloned().collect::<Vec<_>>().join(", ");
        notes.push(format!("what {id} has at {paths} is in a volume without a name and goes with it"));
    }
    // What others made is theirs to remove.
    let external = |key: &NetworkName| input.spec.networks.get(key).is_some_and(|n| n.external);
    let own = observed.networks.iter().filter(|(key, _)| !external(key));
    let (used, free): (Vec<_>, Vec<_>) = own.partition(|(_, network)| !network.others.is_empty());
    let networks: BTreeSet<NetworkName> = free.into_iter().map(|(key, _)| key.clone()).collect();
    for (key, network) in used {
        let by = network.others.iter().cloned().collect::<Vec<_>>().join(", ");
        notes.push(format!("network {key} is kept: {by} uses it; `docker network rm` removes it afterwards"));
    }
    if input.spec.runtime == RuntimeKind::Docker && !networks.is_empty() {
        steps.push(Step::RemoveNetworks { networks });
    }
    if volumes {
        let external = |key: &VolumeName| input.spec.volumes.get(key).is_some_and(|v| v.external);
        let (stay, go): (BTreeSet<VolumeName>, BTreeSet<VolumeName>) =
            observed.volumes.iter().cloned().partition(|key| external(key) || observed.adopted.contains(key));
        for key in stay {
            let name = input.spec.volumes.get(&key).map_or_else(|| key.to_string(), |v| v.external_name.clone());
            notes.push(format!("volume {name} is kept: Landfall did not make it; `docker volume rm {name}` deletes it and its data"));
        }
        if !go.is_empty() {
            steps.push(Step::RemoveVolumes { volumes: go });
        }
    }
    steps.push(Step::Commit);
    Plan {
        app: input.spec.app.clone(),
        release: input.release,
        revision: input.spec.revision(),
        before: input.before.clone(),
        steps,
        notes,
    }
}
