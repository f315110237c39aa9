//! The plan that takes a failed rollout back: what was begun, undone in reverse order.

use super::{Drained, Gated, NewReplica, Plan, Step, Stopped};
use crate::name::ReplicaId;
use std::collections::BTreeSet;

/// How long a failed new replica that had already been given requests may finish them, milliseconds.
const DRAIN_MS: u64 = 5_000;
/// How long it has between its stop signal and SIGKILL, milliseconds.
const GRACE_MS: u64 = 5_000;

/// Plans the way back. `begun` is how many steps were begun; the last of them may have been done half, which its inverse must bear.
/// Empty when the release was committed: from there the way leads forward only.
///
/// It begins and, where something was stopped, ends with the serving of before the rollout, not with that of the step before: the plan may be the
/// second attempt after a crash, and what the first one served is not in it.
pub fn undo(plan: &Plan, begun: usize) -> Plan {
    let begun = &plan.steps[..begun.min(plan.steps.len())];
    let mut steps = Vec::new();
    let touched = begun.iter().any(|s| matches!(s, Step::Start { .. } | Step::Stop { .. } | Step::Serve { .. } | Step::Run { .. }));
    if touched && !begun.contains(&Step::Commit) {
        let before = Step::Serve { serving: plan.before.clone(), switch: false };
        steps.push(before.clone());
        begun.iter().rev().for_each(|step| invert(step, &mut steps));
        if steps.iter().any(|s| matches!(s, Step::StartAgain { .. })) {
            steps.push(before);
        }
    }
    Plan { steps, notes: Vec::new(), ..plan.clone() }
}

fn invert(step: &Step, steps: &mut Vec<Step>) {
    match step {
        Step::Start { replicas } => {
            let drained = |r: &NewReplica| Drained { id: r.id.clone(), limit_ms: DRAIN_MS, linger_ms: 0 };
            let stopped = |r: &NewReplica| Stopped { id: r.id.clone(), signal: None, grace_ms: GRACE_MS, again: None };
            steps.push(Step::Drain { replicas: replicas.iter().map(drained).collect() });
            steps.push(Step::Stop { replicas: replicas.iter().map(stopped).collect() });
            steps.push(Step::Remove { replicas: replicas.iter().map(|r| r.id.clone()).collect() });
        }
        Step::Run { job } => steps.push(Step::Remove { replicas: BTreeSet::from([job.id.clone()]) }),
        Step::Stop { replicas } => {
            let again: Vec<Gated> = replicas.iter().filter_map(|r| r.again.clone()).collect();
            let ids: BTreeSet<ReplicaId> = again.iter().map(|g| g.id.clone()).collect();
            if !again.is_empty() {
                steps.push(Step::StartAgain { replicas: ids });
                steps.push(Step::Gate { replicas: again });
            }
        }
        // Serving goes back as a whole. Images, networks and volumes stay: they harm nobody, and a volume may hold data. Waiting leaves nothing
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
