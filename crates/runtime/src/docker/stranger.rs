//! Containers that Landfall did not make and that use the networks and volumes of an app.
//!
//! The usual ones are those of `docker compose` for the same project, which was not taken down before Landfall came. Two
//! databases on one volume spoil it, and a container of others on an app's network answers to the names of its services.
//! What another app of Landfall uses is not looked at here: that takes a grant.

use crate::docker::container::label;
use crate::docker::engine::{CALL, Engine};
use crate::{RuntimeError, Stranger};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State};
use bollard::query_parameters::ListContainersOptionsBuilder;
use std::collections::{BTreeSet, HashMap};

/// Who uses any of these, by name outside of the app.
pub(crate) async fn strangers(
    engine: &Engine,
    networks: &BTreeSet<String>,
    volumes: &BTreeSet<String>,
) -> Result<Vec<Stranger>, RuntimeError> {
    let wanted = networks.iter().map(|name| ("network", name)).chain(volumes.iter().map(|name| ("volume", name)));
    let mut found = BTreeSet::new();
    for (what, name) in wanted {
        let client = engine.client().await?;
        let options = ListContainersOptionsBuilder::new().all(true).filters(&HashMap::from([(what, vec![name.as_str()])])).build();
        let listed = engine.ask("list containers", CALL, client.list_containers(Some(options))).await?;
        found.extend(listed.iter().filter(|c| uses(c, what, name)).filter_map(|c| stranger(c, what, name)));
    }
    Ok(found.into_iter().collect())
}

/// The engine's own filter takes a part of a name, and of a volume also the path it is mounted at.
fn uses(container: &ContainerSummary, what: &str, name: &str) -> bool {
    match what {
        "network" => {
            let joined = container.network_settings.as_ref().and_then(|s| s.networks.as_ref());
            joined.is_some_and(|networks| networks.contains_key(name))
        }
        _ => container.mounts.iter().flatten().any(|mount| mount.name.as_deref() == Some(name)),
    }
}

fn stranger(container: &ContainerSummary, what: &'static str, name: &str) -> Option<Stranger> {
    let labels = container.labels.clone().unwrap_or_default();
    if labels.contains_key(label::APP) {
        return None;
    }
    let called = container.names.iter().flatten().next().map(|n| n.trim_start_matches('/').to_owned());
    Some(Stranger {
        what,
        name: name.to_owned(),
        container: called.or_else(|| container.id.clone())?,
        project: labels.get("com.docker.compose.project").cloned(),
        runs: matches!(container.state, Some(State::RUNNING | State::PAUSED | State::RESTARTING)),
    })
}
