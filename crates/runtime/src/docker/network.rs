//! Networks and volumes: made once, labelled, and only removed when the label says that they are this app's.
//!
//! A network or volume of the wanted name that somebody else made (usually `docker compose`, before Landfall came) is used as it is: the data in
//! it is what the user wants to keep. It is never removed. What `observe` cannot see by label, external ones and those found unlabelled, it
//! sees through what was asked for in this process or is written on the app's containers.

use crate::RuntimeError;
use crate::docker::container::{label, said};
use crate::docker::engine::{CALL, Engine, MAKE, status, words};
use crate::docker::observe;
use bollard::models::{
    ContainerInspectResponse, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkInspect, VolumeCreateRequest,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions};
use landfall_model::name::{AppName, NetworkName, VolumeName};
use landfall_model::observed::ObservedNetwork;
use landfall_model::spec::{Network, Subnet, Volume};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Makes a network unless there is one of that name.
pub(crate) async fn ensure(engine: &Engine, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
    let doing = format!("make network `{key}`");
    if by_name(engine, &network.external_name).await?.is_some() {
        return Ok(());
    }
    if network.external {
        return Err(RuntimeError::failed(
            format!("use external network `{}`", network.external_name),
            "it does not exist; make it with `docker network create`",
        ));
    }
    let request = NetworkCreateRequest {
        name: network.external_name.clone(),
        driver: Some("bridge".into()),
        internal: Some(network.internal),
        attachable: Some(network.attachable),
        enable_ipv6: Some(network.ipv6),
        options: Some(network.options.clone().into_iter().collect()),
        ipam: Some(addresses(network)),
        labels: Some(labels(app, &network.labels, (label::NETWORK, key.as_str()))),
        ..NetworkCreateRequest::default()
    };
    let client = engine.client().await?;
    engine.ask(&doing, MAKE, client.create_network(request)).await.map(drop)
}

/// The user's own labels, and ours over them.
fn labels(app: &AppName, users: &BTreeMap<String, String>, (what, key): (&str, &str)) -> HashMap<String, String> {
    let own = [(label::APP.to_owned(), app.to_string()), (what.to_owned(), key.to_owned())];
    users.iter().filter(|(k, _)| !k.starts_with("landfall.")).map(|(k, v)| (k.clone(), v.clone())).chain(own).collect()
}

fn addresses(network: &Network) -> Ipam {
    let config = |s: &Subnet| IpamConfig {
        subnet: said(&s.subnet),
        ip_range: said(&s.range),
        gateway: said(&s.gateway),
        auxiliary_addresses: (!s.reserved.is_empty()).then(|| s.reserved.clone().into_iter().collect()),
    };
    Ipam {
        driver: said(&network.ipam_driver),
        config: (!network.subnets.is_empty()).then(|| network.subnets.iter().map(config).collect()),
        options: (!network.ipam_options.is_empty()).then(|| network.ipam_options.clone().into_iter().collect()),
    }
}

/// The network of exactly that name. The engine's own filter finds every name that contains the text, and its lookup by name every id
/// that begins with it.
async fn by_name(engine: &Engine, name: &str) -> Result<Option<NetworkInspect>, RuntimeError> {
    let client = engine.client().await?;
    let options = ListNetworksOptionsBuilder::new().filters(&HashMap::from([("name", vec![name])])).build();
    let found = engine.ask(&format!("look for network `{name}`"), CALL, client.list_networks(Some(options))).await?;
    let Some(id) = found.into_iter().find(|n| n.name.as_deref() == Some(name)).and_then(|n| n.id) else { return Ok(None) };
    engine.look(&format!("look at network `{name}`"), client.inspect_network(&id, None::<InspectNetworkOptions>)).await
}

/// Joins a container that was not started yet to a network. Doing it twice is doing it once.
pub(crate) async fn connect(engine: &Engine, container: &str, name: &str) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let doing = format!("join `{container}` to network `{name}`");
    let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: None };
    match tokio::time::timeout(CALL, client.connect_network(name, request)).await {
        Ok(Err(e)) if words(&e).contains("already exists in network") => Ok(()),
        Ok(answer) => answer.map_err(|e| engine.explain(&doing, e)),
        Err(_) => Err(RuntimeError::TimedOut { doing, seconds: CALL.as_secs() }),
    }
}

/// Removes a network of the app; one that is absent or not the app's is left as it is.
pub(crate) async fn remove(engine: &Engine, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
    let Some(found) = by_name(engine, &network.external_name).await?.filter(|n| !network.external && owned(n.labels.as_ref(), app)) else {
        return Ok(());
    };
    let client = engine.client().await?;
    let id = found.id.unwrap_or_default();
    engine.look(&format!("remove network `{key}`"), client.remove_network(&id)).await.map(drop)
}

/// The app's networks: those labelled, and those of `known`, key → external name.
pub(crate) async fn observe(
    engine: &Engine,
    app: &AppName,
    known: &BTreeMap<NetworkName, String>,
) -> Result<BTreeMap<NetworkName, ObservedNetwork>, RuntimeError> {
    let client = engine.client().await?;
    let wanted = format!("{}={app}", label::APP);
    let options = ListNetworksOptionsBuilder::new().filters(&HashMap::from([("label", vec![wanted])])).build();
    let listed = engine.ask("list networks", CALL, client.list_networks(Some(options))).await?;
    let key_of = |labels: &HashMap<String, String>| labels.get(label::NETWORK)?.parse::<NetworkName>().ok();
    let mut found: BTreeMap<NetworkName, ObservedNetwork> = BTreeMap::new();
    for network in listed {
        if let (Some(key), Some(id)) = (network.labels.as_ref().and_then(key_of), network.id)
            && let Some(about) = engine.look("look at a network", client.inspect_network(&id, None::<InspectNetworkOptions>)).await?
        {
            found.insert(key, observe::network(&about));
        }
    }
    for (key, name) in known {
        if !found.contains_key(key)
            && let Some(about) = by_name(engine, name).await?
        {
            found.insert(key.clone(), observe::network(&about));
        }
    }
    Ok(found)
}

/// Makes a volume unless there is one of that name.
pub(crate) async fn ensure_volume(engine: &Engine, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let name = &volume.external_name;
    if engine.look(&format!("look at volume `{name}`"), client.inspect_volume(name)).await?.is_some() {
        return Ok(());
    }
    if volume.external {
        return Err(RuntimeError::failed(
            format!("use external volume `{name}`"),
            "it does not exist; make it with `docker volume create`",
        ));
    }
    let request = VolumeCreateRequest {
        name: Some(name.clone()),
        driver: Some(if volume.driver.is_empty() { "local".to_owned() } else { volume.driver.clone() }),
        driver_opts: Some(volume.options.clone().into_iter().collect()),
        labels: Some(labels(app, &volume.labels, (label::VOLUME, key.as_str()))),
        ..VolumeCreateRequest::default()
    };
    engine.ask(&format!("make volume `{key}`"), MAKE, client.create_volume(request)).await.map(drop)
}

/// Deletes a volume of the app and its data; one that is absent or not the app's is left as it is.
pub(crate) async fn remove_volume(engine: &Engine, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let name = &volume.external_name;
    let found = engine.look(&format!("look at volume `{name}`"), client.inspect_volume(name)).await?;
    if volume.external || !found.is_some_and(|v| owned(Some(&v.labels), app)) {
        return Ok(());
    }
    engine.look(&format!("delete volume `{key}`"), client.remove_volume(name, None::<RemoveVolumeOptions>)).await.map(drop)
}

/// Keys of the app's volumes: those labelled, and those of `known`, key → external name.
pub(crate) async fn observe_volumes(
    engine: &Engine,
    app: &AppName,
    known: &BTreeMap<VolumeName, String>,
) -> Result<BTreeSet<VolumeName>, RuntimeError> {
    let client = engine.client().await?;
    let wanted = format!("{}={app}", label::APP);
    let options = ListVolumesOptionsBuilder::new().filters(&HashMap::from([("label", vec![wanted])])).build();
    let listed = engine.ask("list volumes", CALL, client.list_volumes(Some(options))).await?;
    let mut found: BTreeSet<VolumeName> =
        listed.volumes.into_iter().flatten().filter_map(|v| v.labels.get(label::VOLUME)?.parse().ok()).collect();
    for (key, name) in known {
        if !found.contains(key) && engine.look("look at a volume", client.inspect_volume(name)).await?.is_some() {
            found.insert(key.clone());
        }
    }
    Ok(found)
}

fn owned(labels: Option<&HashMap<String, String>>, app: &AppName) -> bool {
    labels.and_then(|l| l.get(label::APP)).map(String::as_str) == Some(app.as_str())
}

/// External names an app is known to use, by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) networks: BTreeMap<NetworkName, String>,
    pub(crate) volumes: BTreeMap<VolumeName, String>,
}

impl Known {
    /// Adds what a container's labels say.
    pub(crate) fn learn(&mut self, container: &ContainerInspectResponse) {
        let Some(labels) = container.config.as_ref().and_then(|c| c.labels.as_ref()) else { return };
        self.networks.extend(observe::networks_of(labels));
        let volumes: BTreeMap<VolumeName, String> =
            labels.get(label::VOLUMES).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
        self.volumes.extend(volumes);
    }
}

/// True for an answer that says the thing is there already.
pub(crate) fn conflict(error: &bollard::errors::Error) -> bool {
    status(error) == Some(409)
}
