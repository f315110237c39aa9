//! Networks: made once, labelled, and only removed when the label says that they are this app's.
//!
//! A network of the wanted name that somebody else made (usually `docker compose`, before Landfall came) is used as it is. It is never removed. What `observe` cannot see by label, external ones and those found unlabelled, it
//! sees through what was asked for in this process or is written on the app's containers.

use crate::docker::container::{label, said};
use crate::docker::engine::{CALL, Engine, MAKE, status, words};
use crate::docker::observe;
use crate::{Owners, RuntimeError};
use bollard::models::{
    ContainerInspectResponse, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkInspect,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use landfall_model::name::{AppName, NetworkName, VolumeName};
use landfall_model::observed::ObservedNetwork;
use landfall_model::spec::{Network, Subnet};
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
    let mut request = NetworkCreateRequest {
        name: network.external_name.clone(),
        driver: Some("bridge".into()),
        internal: Some(network.internal),
        attachable: Some(network.attachable),
        enable_ipv6: Some(network.ipv6),
        options: Some(network.options.clone().into_iter().collect()),
        ipam: Some(addresses(network)),
        labels: Some(network_labels(app, key, network)?),
        ..NetworkCreateRequest::default()
    };
    if !network.subnets.is_empty() {
        request.labels.get_or_insert_default().extend(chosen());
        return make(engine, &doing, request).await;
    }
    make(engine, &doing, request.clone()).await?;
    if network.ipam_driver.is_empty() && network.ipam_options.is_empty() {
        fix_subnet(engine, &doing, request).await?;
    }
    Ok(())
}

async fn make(engine: &Engine, doing: &str, request: NetworkCreateRequest) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    engine.ask(doing, MAKE, client.create_network(request)).await.map(drop)
}

/// Says that addresses of the network are given by [`super::address`].
fn chosen() -> [(String, String); 1] {
    [(label::ADDRESSES.to_owned(), "chosen".to_owned())]
}

/// Makes a network anew with the very subnet the engine chose for it: the engine takes wishes for an address only where the subnet was asked for, and
/// only it knows which are free. When another network got the subnet in between, the engine chooses again, and this one is left so.
async fn fix_subnet(engine: &Engine, doing: &str, request: NetworkCreateRequest) -> Result<(), RuntimeError> {
    let Some(found) = by_name(engine, &request.name).await? else { return Ok(()) };
    let configs = found.ipam.as_ref().and_then(|ipam| ipam.config.clone()).unwrap_or_default();
    let (Some(id), false) = (found.id, configs.is_empty()) else { return Ok(()) };
    let config = |c: IpamConfig| IpamConfig {
        // Some engines write the gateway with the subnet's length.
        gateway: c.gateway.and_then(|gateway| Some(gateway.split('/').next()?.to_owned())),
        ..c
    };
    let mut fixed = request.clone();
    fixed.ipam = Some(Ipam { config: Some(configs.into_iter().map(config).collect()), ..Ipam::default() });
    fixed.labels.get_or_insert_default().extend(chosen());
    let client = engine.client().await?;
    engine.look(doing, client.remove_network(&id)).await?;
    match make(engine, doing, fixed).await {
        Ok(()) => Ok(()),
        Err(_) if by_name(engine, &request.name).await?.is_some() => Ok(()),
        Err(_) => make(engine, doing, request).await,
    }
}

/// The user's own labels, and ours over them.
pub(crate) fn labels(app: &AppName, users: &BTreeMap<String, String>, (what, key): (&str, &str)) -> HashMap<String, String> {
    let own = [(label::APP.to_owned(), app.to_string()), (what.to_owned(), key.to_owned())];
    users.iter().filter(|(k, _)| !k.starts_with("landfall.")).map(|(k, v)| (k.clone(), v.clone())).chain(own).collect()
}

/// With all that is asked for: the engine fills in what it was not told, and cannot tell later which is which.
fn network_labels(app: &AppName, key: &NetworkName, network: &Network) -> Result<HashMap<String, String>, RuntimeError> {
    let mut labels = labels(app, &network.labels, (label::NETWORK, key.as_str()));
    let asked = serde_json::to_string(network).map_err(|e| RuntimeError::failed(format!("label network `{key}`"), e))?;
    labels.insert(label::OPTIONS.to_owned(), asked);
    Ok(labels)
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
pub(crate) async fn by_name(engine: &Engine, name: &str) -> Result<Option<NetworkInspect>, RuntimeError> {
    let client = engine.client().await?;
    let options = ListNetworksOptionsBuilder::new().filters(&HashMap::from([("name", vec![name])])).build();
    let found = engine.ask(&format!("look for network `{name}`"), CALL, client.list_networks(Some(options))).await?;
    let Some(id) = found.into_iter().find(|n| n.name.as_deref() == Some(name)).and_then(|n| n.id) else { return Ok(None) };
    engine.look(&format!("look at network `{name}`"), client.inspect_network(&id, None::<InspectNetworkOptions>)).await
}

/// Which apps made these, by their labels, and where the engine keeps what is its own.
pub(crate) async fn owners(engine: &Engine, networks: &BTreeSet<&str>, volumes: &BTreeSet<&str>) -> Result<Owners, RuntimeError> {
    let app = |labels: Option<&HashMap<String, String>>| labels?.get(label::APP)?.parse::<AppName>().ok();
    let client = engine.client().await?;
    let mut owners = Owners::default();
    for name in networks {
        let found = by_name(engine, name).await?;
        owners.networks.extend(found.and_then(|n| app(n.labels.as_ref())).map(|app| ((*name).to_owned(), app)));
    }
    for name in volumes {
        let found = engine.look(&format!("look at volume `{name}`"), client.inspect_volume(name)).await?;
        owners.volumes.extend(found.and_then(|v| app(Some(&v.labels))).map(|app| ((*name).to_owned(), app)));
    }
    let about = engine.ask("ask the engine about itself", CALL, client.info()).await?;
    owners.root = about.docker_root_dir.filter(|dir| dir.len() > 1).map(Into::into);
    Ok(owners)
}

/// Joins a container that was not started yet to a network. Doing it twice is doing it once.
pub(crate) async fn connect(engine: &Engine, container: &str, (name, at): (&str, EndpointSettings)) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let doing = format!("join `{container}` to network `{name}`");
    let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(at) };
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

/// The app's networks: those labelled, and those of `known`, key → external name. `own` are the ids of its containers.
pub(crate) async fn observe(
    engine: &Engine,
    app: &AppName,
    (known, own): (&BTreeMap<NetworkName, String>, &BTreeSet<String>),
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
            let other = known.get(&key).is_some_and(|name| about.name.as_ref() != Some(name));
            if !other || !found.contains_key(&key) {
                found.insert(key, observe::network(&about, own));
            }
        }
    }
    for (key, name) in known {
        if !found.contains_key(key)
            && let Some(about) = by_name(engine, name).await?
        {
            found.insert(key.clone(), observe::network(&about, own));
        }
    }
    Ok(found)
}

pub(crate) fn owned(labels: Option<&HashMap<String, String>>, app: &AppName) -> bool {
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
