//! An engine as somebody sees it who judges a server: its versions, and every container that runs, whoever made it.
//!
//! Reads only. Bounded: of more containers than `MAX_CONTAINERS` the rest is counted and not looked at.

use super::container::label;
use super::engine::{CALL, Engine};
use crate::RuntimeError;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::stream::{self, StreamExt as _};
use std::net::IpAddr;

/// Most containers that are looked at.
const MAX_CONTAINERS: usize = 500;
/// Questions asked side by side.
const SIDE_BY_SIDE: usize = 8;

/// What an engine is and runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineSurvey {
    /// `Engine` → `28.2.2`, `runc` → `1.1.5`, as the engine says it.
    pub versions: Vec<(String, String)>,
    /// Those that run.
    pub containers: Vec<Seen>,
    /// Those that run and were not looked at.
    pub more: usize,
}

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Without the leading slash.
    pub name: String,
    /// As it was asked for.
    pub image: String,
    /// The app of Landfall's it belongs to.
    pub app: Option<String>,
    /// It has all rights of the host's root.
    pub privileged: bool,
    /// Its network is the host's.
    pub host_network: bool,
    /// Paths of the host it sees.
    pub mounts: Vec<String>,
    /// Ports of the host that lead into it.
    pub published: Vec<Published>,
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// At which address of the host.
    pub address: IpAddr,
    /// Which.
    pub port: u16,
    /// Which inside.
    pub inside: u16,
    /// UDP instead of TCP.
    pub udp: bool,
}

/// Looks. `host` as `DOCKER_HOST` has it.
///
/// # Errors
/// The engine does not answer.
pub async fn survey(host: Option<&str>) -> Result<EngineSurvey, RuntimeError> {
    let engine = Engine::of_host(host);
    let client = engine.client().await?;
    let version = engine.ask("ask the engine for its version", CALL, client.version()).await?;
    let mut versions: Vec<(String, String)> =
        version.components.unwrap_or_default().into_iter().map(|part| (part.name, part.version)).collect();
    if !versions.iter().any(|(name, _)| name == "Engine") {
        versions.push(("Engine".to_owned(), version.version.unwrap_or_default()));
    }
    let options = ListContainersOptionsBuilder::new().all(false).build();
    let listed = engine.ask("list containers", CALL, client.list_containers(Some(options))).await?;
    let more = listed.len().saturating_sub(MAX_CONTAINERS);
    let looked = stream::iter(listed.into_iter().take(MAX_CONTAINERS)).map(|listed| {
        let engine = &engine;
        async move {
            let id = listed.id.clone().unwrap_or_default();
            // One that has ended meanwhile is passed over.
            let found = engine.look("look at a container", client.inspect_container(&id, None::<InspectContainerOptions>)).await?;
            let Some(found) = found else { return Ok(None) };
            let host = found.host_config.unwrap_or_default();
            let published = listed.ports.unwrap_or_default().into_iter().filter_map(|port| {
                let udp = port.typ.is_some_and(|kind| kind.to_string() == "udp");
                Some(Published { address: port.ip?.parse().ok()?, port: port.public_port?, inside: port.private_port, udp })
            });
            let mut published: Vec<Published> = published.collect();
            published.sort();
            published.dedup();
            Ok(Some(Seen {
                name: found.name.unwrap_or(id).trim_start_matches('/').to_owned(),
                image: listed.image.unwrap_or_default(),
                app: listed.labels.unwrap_or_default().remove(label::APP),
                privileged: host.privileged.unwrap_or(false),
                host_network: host.network_mode.as_deref() == Some("host"),
                mounts: found.mounts.unwrap_or_default().into_iter().filter_map(|mount| mount.source).collect(),
                published,
            }))
        }
    });
    let looked: Vec<Result<Option<Seen>, RuntimeError>> = looked.buffered(SIDE_BY_SIDE).collect().await;
    let mut containers = looked.into_iter().filter_map(Result::transpose).collect::<Result<Vec<Seen>, RuntimeError>>()?;
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(EngineSurvey { versions, containers, more })
}
