//! What a repair put back stays, though another part of it failed.
//!
//! A release is whole or it is not: it is undone as a whole. A repair begins where replicas are dead already. Taking away the database that came up
//! because the frontend did not would leave an app down for ever that could be up in part, and is whole at the next attempt.

use crate::store::Attempt;
use landfall_model::name::{ReplicaId, ServiceName};
use landfall_model::plan::{Plan, Serving, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Of what a failed repair began, what is to be undone. `serving` is who stands for what now.
pub(super) fn but_for_the_repaired(mut begun: Plan, attempts: &[Attempt], serving: &Serving) -> Plan {
    // A gate that another step followed was passed, by all it asked.
    let followed = attempts.iter().flat_map(|a| a.plan.steps.iter().take(a.begun.saturating_sub(1)));
    let gates = followed.filter_map(|step| if let Step::Gate { replicas } = step { Some(replicas) } else { None });
    let passed: BTreeMap<ReplicaId, ServiceName> = gates.flatten().map(|g| (g.id.clone(), g.service.clone())).collect();
    let repaired: BTreeSet<&ServiceName> = passed.values().collect();
    let mut undone: BTreeSet<ReplicaId> = BTreeSet::new();
    for step in &mut begun.steps {
        match step {
            Step::Start { replicas } => {
                replicas.retain(|r| !passed.contains_key(&r.id));
                undone.extend(replicas.iter().map(|r| r.id.clone()));
            }
            // The old one is not started again beside the new one.
            Step::Stop { replicas } => {
                for stopped in replicas {
                    stopped.again = stopped.again.take().filter(|again| !repaired.contains(&again.service));
                }
            }
            _ => {}
        }
    }
    begun.steps.retain(|step| !matches!(step, Step::Start { replicas } if replicas.is_empty()));
    begun.before = Serving {
        names: without(&serving.names, &undone, &begun.before.names),
        routes: without(&serving.routes, &undone, &begun.before.routes),
    };
    begun
}

/// `now` without those that go; as before where nobody is left.
fn without(
    now: &BTreeMap<ServiceName, BTreeSet<ReplicaId>>,
    undone: &BTreeSet<ReplicaId>,
    before: &BTreeMap<ServiceName, BTreeSet<ReplicaId>>,
) -> BTreeMap<ServiceName, BTreeSet<ReplicaId>> {
    let services: BTreeSet<&ServiceName> = now.keys().chain(before.keys()).collect();
    let of = |service: &ServiceName| {
        let left: BTreeSet<ReplicaId> = now.get(service).into_iter().flatten().filter(|id| !undone.contains(*id)).cloned().collect();
        if left.is_empty() { before.get(service).cloned().unwrap_or_default() } else { left }
    };
    services.into_iter().map(|service| (service.clone(), of(service))).collect()
}
