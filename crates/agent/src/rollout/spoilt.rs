//! Volumes that a failed rollout made and whose program it stopped before the first start was over.
//!
//! A database that is ended while it makes its files leaves some of them, and every later start fails on what is there. Data is never deleted by itself,
//! so the volume stays, and whoever reads of the failure is told which one it is and what to do.

use crate::store::Attempt;
use landfall_model::name::{ServiceName, VolumeName};
use landfall_model::plan::Step;
use landfall_model::spec::{MountSource, Spec};
use std::collections::BTreeSet;

/// What to tell with the failure, a line for each volume.
pub(super) fn hints(spec: &Spec, attempts: &[Attempt]) -> Vec<String> {
    let begun = || attempts.iter().flat_map(|a| a.plan.steps.iter().take(a.begun));
    let passed: BTreeSet<&ServiceName> = attempts
        .iter()
        .flat_map(|a| a.plan.steps.iter().take(a.begun.saturating_sub(1)))
        .filter_map(|step| if let Step::Gate { replicas } = step { Some(replicas.iter().map(|r| &r.service)) } else { None })
        .flatten()
        .collect();
    let made: BTreeSet<&VolumeName> =
        begun().filter_map(|step| if let Step::EnsureVolumes { volumes } = step { Some(volumes) } else { None }).flatten().collect();
    let started = begun().filter_map(|step| if let Step::Start { replicas } = step { Some(replicas) } else { None }).flatten();
    let cut_off: BTreeSet<&ServiceName> = started.map(|r| &r.service).filter(|service| !passed.contains(service)).collect();
    let mut hints = Vec::new();
    for service in cut_off {
        let Some(template) = spec.services.get(service).map(|s| &s.template) else { continue };
        for mount in template.mounts.iter().filter(|m| !m.read_only) {
            if let MountSource::Volume { name, .. } = &mount.source
                && made.contains(name)
                && let Some(volume) = spec.volumes.get(name).filter(|v| !v.external)
            {
                hints.push(format!(
                    "volume `{name}` ({}) was made by this rollout, and {service} was stopped before it had started: what is in it may be half made. If \
                     nothing in it is needed, `landfall down --volumes -p {}` deletes it before you deploy again",
                    volume.external_name, spec.app
                ));
            }
        }
    }
    hints
}
