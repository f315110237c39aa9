//! What an app shares with others or has from before: who else uses its networks and volumes, and how these were made.
//!
//! Asked before a rollout is written down, so that a refusal leaves nothing half done.

use crate::core::Core;
use crate::error::{RequestError, SharedError};
use landfall_model::plan::{Input, Plan, Step, differences};
use landfall_runtime::Stranger;
use std::collections::BTreeSet;

/// Refuses a release that would use what others use, or that counts on options which are not so. Harmless differences are
/// told with the plan.
pub(super) async fn check(core: &Core, input: &Input<'_>) -> Result<Vec<String>, RequestError> {
    let app = &input.spec.app;
    let strangers = of_networks(core, input).await?.into_iter().chain(of_volumes(core, input).await?);
    let strangers: Vec<Stranger> = strangers.filter(|s| s.runs).collect();
    if !strangers.is_empty() {
        return Err(SharedError::Used { app: app.clone(), strangers, deleting: false }.into());
    }
    let (harmless, differences) = differences(input).into_iter().partition::<Vec<_>, _>(|d| d.harmless);
    if !differences.is_empty() {
        return Err(SharedError::Made { app: app.clone(), differences }.into());
    }
    Ok(harmless.iter().map(|d| format!("{d}; it stays as it is")).collect())
}

/// Refuses to delete data that others use, before anything is stopped.
pub(super) async fn check_down(core: &Core, input: &Input<'_>, plan: &Plan) -> Result<(), RequestError> {
    if !plan.steps.iter().any(|s| matches!(s, Step::RemoveVolumes { .. })) {
        return Ok(());
    }
    match of_volumes(core, input).await? {
        strangers if strangers.is_empty() => Ok(()),
        strangers => Err(SharedError::Used { app: input.spec.app.clone(), strangers, deleting: true }.into()),
    }
}

async fn of_networks(core: &Core, input: &Input<'_>) -> Result<Vec<Stranger>, RequestError> {
    let own = input.spec.networks.values().filter(|n| !n.external && !n.attachable);
    let names = own.map(|n| n.external_name.clone()).collect();
    Ok(core.runtimes.get(input.spec.runtime).strangers(&names, &BTreeSet::new()).await?)
}

async fn of_volumes(core: &Core, input: &Input<'_>) -> Result<Vec<Stranger>, RequestError> {
    let own = input.spec.volumes.values().filter(|v| !v.external).map(|v| v.external_name.clone()).collect();
    Ok(core.runtimes.get(input.spec.runtime).strangers(&BTreeSet::new(), &own).await?)
}
