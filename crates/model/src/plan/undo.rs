//! The plan that takes a failed rollout back: what was begun, undone in reverse order.

use super::{Drained, Gated, NewReplica, Plan, Step, Stopped};
use crate::name::{ReplicaId, ServiceName};
use crate::spec::Spec;
use std::collections::BTreeSet;

/// How long a failed new replica that had already been given requests may finish them, milliseconds.
const DRAIN_MS: u64 = 5_000;
/// How long what no file describes any more has between its stop signal and SIGKILL, milliseconds.
const GRACE_MS: u64 = 10_000;

/// Plans the way back of a rollout to `spec`. `begun` is how many steps were begun; the last of them may have been done half, which its inverse must bear.
/// Empty when the release was committed: from there the way leads forward only.
///
/// It begins and, where something was stopped, ends with the serving of before the rollout, not with that of the step before: the plan may be the
/// second attempt after a crash, and what the first one served is not in it.
pub fn undo(plan: &Plan, spec: &Spec, begun: usize) -> Plan {
    let begun = &plan.steps[..begun.min(plan.steps.len())];
    let mut steps = Vec::new();
    let touches = |s: &Step| {
        matches!(s, Step::EnsureNetworks { .. } | Step::Start { .. } | Step::Stop { .. } | Step::Serve { .. } | Step::Run { .. })
    };
    let touched = begun.iter().any(touches);
    if touched && !begun.contains(&Step::Commit) {
        let before = Step::Serve { serving: plan.before.clone(), switch: false };
        steps.push(before.clone());
        begun.iter().rev().for_each(|step| invert(step, spec, &mut steps));
        // Names are answered in every network there is: one that is gone must be told of too.
        if steps.iter().any(|s| matches!(s, Step::StartAgain { .. } | Step::RemoveNetworks { .. })) {
            steps.push(before);
        }
    }
    Plan { steps, notes: Vec::new(), ..plan.clone() }
}

fn invert(step: &Step, spec: &Spec, steps: &mut Vec<Step>) {
    // A program that is only just starting may be in the middle of what must not be cut off, such as making a database: it gets the time its file says.
    let stopped = |id: &ReplicaId, service: &ServiceName| {
        let template = spec.services.get(service).map(|s| &s.template);
        let (signal, grace_ms) = template.map_or((None, GRACE_MS), |t| (t.stop_signal.clone(), t.stop_grace_ms));
        Stopped { id: id.clone(), signal, grace_ms, again: None }
    };
    match step {
        Step::Start { replicas } => {
            let drained = |r: &NewReplica| Drained { id: r.id.clone(), limit_ms: DRAIN_MS, linger_ms: 0 };
            steps.push(Step::Drain { replicas: replicas.iter().map(drained).collect() });
            steps.push(Step::Stop { replicas: replicas.iter().map(|r| stopped(&r.id, &r.service)).collect() });
            steps.push(Step::Remove { replicas: replicas.iter().map(|r| r.id.clone()).collect() });
        }
        Step::Run { job } => {
            let gone = Step::Remove { replicas: BTreeSet::from([job.id.clone()]) };
            // Each attempt began it, and it is one job all the same.
            if !steps.contains(&gone) {
                steps.push(Step::Stop { replicas: vec![stopped(&job.id, &job.service)] });
                steps.push(gone);
            }
        }
        // Address pools are few. What it was made for is removed before it, and one that others joined meanwhile is left to them.
        Step::EnsureNetworks { networks, .. } if !networks.is_empty() => steps.push(Step::RemoveNetworks { networks: networks.clone() }),
        Step::Stop { replicas } => {
            let again: Vec<Gated> = replicas.iter().filter_map(|r| r.again.clone()).collect();
            let ids: BTreeSet<ReplicaId> = again.iter().map(|g| g.id.clone()).collect();
            if !again.is_empty() {
                steps.push(Step::StartAgain { replicas: ids });
                steps.push(Step::Gate { replicas: again });
            }
        }
        // Serving goes back as a whole. Images and volumes stay: a volume may hold data. Waiting leaves nothing
        // behind. What comes after the commit is never undone, and the rest only undo and `down` do.
        Step::Serve { .. }
        | Step::Pull { .. }
        | Step::EnsureNetworks { .. }
        | Step::EnsureVolumes { .. }
        | Step::Unpack { .. }
        | Step::Gate { .. }
        | Step::Drain { .. }
        | Step::Commit
        | Step::StartAgain { .. }
        | Step::Remove { .. }
        | Step::RemoveNetworks { .. }
        | Step::RemoveVolumes { .. } => {}
    }
}
