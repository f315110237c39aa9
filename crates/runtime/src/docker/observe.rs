//! From the engine's answers to what the planner reads.

use crate::docker::container::label;
use crate::docker::frame::milliseconds;
use crate::docker::{about, address};
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, IpamConfig, NetworkInspect};
use landfall_model::digest::Revision;
use landfall_model::name::{InterfaceName, NetworkName, ReleaseNumber, ReplicaId};
use landfall_model::observed::{ObservedNetwork, Replica, ReplicaState};
use landfall_model::spec::{Network, Subnet};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The option of a network that names its bridge.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Digits of a network's id in the name of a bridge that no option names.
const BRIDGE_ID: usize = 12;

/// A container as a replica; `None` when its labels are not those Landfall gives.
pub(crate) fn replica(found: &ContainerInspectResponse) -> Option<(ReplicaId, Replica)> {
    let labels = found.config.as_ref()?.labels.as_ref()?;
    let get = |key: &str| labels.get(key).map(String::as_str);
    let state = found.state.as_ref()?;
    let revision: Revision = serde_json::from_value(serde_json::Value::String(get(label::REVISION)?.to_owned())).ok()?;
    let replica = Replica {
        service: get(label::SERVICE)?.parse().ok()?,
        revision,
        release: ReleaseNumber(get(label::RELEASE)?.parse().ok()?),
        job: get(label::JOB)? == "true",
        state: state_of(state),
        addresses: addresses(found, &networks_of(labels)),
        port: get(label::PORT).and_then(|p| p.parse().ok()),
        restarts: found.restart_count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        started_ms: state.started_at.as_deref().map_or(0, milliseconds),
        unnamed: unnamed(found).into_keys().collect(),
    };
    Some((get(label::REPLICA)?.parse().ok()?, replica))
}

/// Volumes of a container that the file has no name for, by where they are mounted: those of its image, and `volumes:`
/// entries without a source. Where secrets lie is no data.
pub(crate) fn unnamed(found: &ContainerInspectResponse) -> BTreeMap<String, String> {
    let labels = found.config.as_ref().and_then(|c| c.labels.as_ref());
    let volumes = labels.and_then(|l| serde_json::from_str::<BTreeMap<String, String>>(l.get(label::VOLUMES)?).ok());
    let named: BTreeSet<String> = volumes.unwrap_or_default().into_values().collect();
    let mounts = found.mounts.iter().flatten().filter(|m| m.typ.as_deref() == Some("volume"));
    let pairs = mounts.filter_map(|m| Some((about::trimmed(m.destination.as_deref()?), m.name.clone()?)));
    let made_up = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    pairs.filter(|(target, name)| made_up(name) && !named.contains(name) && !target.starts_with("/run/secrets")).collect()
}

/// What a container does.
pub(crate) fn state_of(state: &ContainerState) -> ReplicaState {
    use ContainerStateStatusEnum as Status;
    let code = state.exit_code.and_then(|c| i32::try_from(c).ok()).unwrap_or(0);
    match state.status {
        Some(Status::CREATED) => ReplicaState::Created,
        Some(Status::RUNNING | Status::PAUSED) => ReplicaState::Running,
        Some(Status::RESTARTING) => ReplicaState::Restarting { code },
        _ => ReplicaState::Exited { code, out_of_memory: state.oom_killed.unwrap_or(false) },
    }
}

/// Key of the spec → external name, as a container's label says.
pub(crate) fn networks_of(labels: &HashMap<String, String>) -> BTreeMap<NetworkName, String> {
    labels.get(label::NETWORKS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn addresses(found: &ContainerInspectResponse, networks: &BTreeMap<NetworkName, String>) -> BTreeMap<NetworkName, IpAddr> {
    let Some(joined) = found.network_settings.as_ref().and_then(|s| s.networks.as_ref()) else { return BTreeMap::new() };
    let address = |name: &String| {
        let at = joined.get(name)?;
        let texts = [at.ip_address.as_deref(), at.global_ipv6_address.as_deref()];
        texts.into_iter().flatten().find_map(|text| text.parse().ok())
    };
    networks.iter().filter_map(|(key, name)| Some((key.clone(), address(name)?))).collect()
}

/// A network as names are answered in it. Of several subnets the first IPv4 one counts: replicas are known by IPv4 addresses.
pub(crate) fn network(found: &NetworkInspect, own: &BTreeSet<String>) -> ObservedNetwork {
    let configs = found.ipam.as_ref().and_then(|i| i.config.as_deref()).unwrap_or_default();
    let is_v4 = |subnet: &Option<String>| subnet.as_deref().is_some_and(|s| !s.contains(':'));
    let config = configs.iter().find(|c| is_v4(&c.subnet)).or_else(|| configs.first());
    // Some engines write the gateway with the subnet's length.
    let said = config.and_then(|c| c.gateway.as_deref()?.split('/').next()?.parse().ok());
    let bridge = found.driver.as_deref() == Some("bridge");
    let gateway = said.or_else(|| config.filter(|_| bridge).and_then(address::gateway).map(IpAddr::V4));
    let asked = found.labels.as_ref().and_then(|l| serde_json::from_str::<Network>(l.get(label::OPTIONS)?).ok());
    let exact = asked.is_some();
    let joined = found.containers.iter().flatten().filter(|(id, _)| !own.contains(*id));
    let others = joined.map(|(id, about)| about.name.clone().unwrap_or_else(|| id.clone())).collect();
    let subnet = config.and_then(|c| c.subnet.clone());
    ObservedNetwork {
        gateway,
        subnet,
        interface: interface(found),
        made: Some(made(found, asked)),
        others,
        exact,
        internal: found.internal.unwrap_or(false),
    }
}

/// The bridge the engine makes for a network: named by an option, or by the network's id.
fn interface(found: &NetworkInspect) -> Option<InterfaceName> {
    if found.driver.as_deref() != Some("bridge") {
        return None;
    }
    match found.options.as_ref().and_then(|o| o.get(BRIDGE_NAME)) {
        Some(name) => name.parse().ok(),
        None => format!("br-{}", found.id.as_deref()?.get(..BRIDGE_ID)?).parse().ok(),
    }
}

/// A network of the engine in the words of the file. What can be seen counts, also where it was asked for otherwise.
fn made(found: &NetworkInspect, asked: Option<Network>) -> Network {
    let given = |(k, _): &(&String, &String)| !k.starts_with("landfall.") && !k.starts_with("com.docker.");
    let ipam = found.ipam.clone().unwrap_or_default();
    let all = |map: Option<HashMap<String, String>>| map.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>();
    let text = |text: Option<String>| text.unwrap_or_default();
    let subnet = |c: IpamConfig| Subnet {
        subnet: text(c.subnet),
        range: text(c.ip_range),
        gateway: text(c.gateway).split('/').next().unwrap_or_default().to_owned(),
        reserved: all(c.auxiliary_addresses),
    };
    let seen = Network {
        external_name: text(found.name.clone()),
        external: false,
        internal: found.internal.unwrap_or(false),
        attachable: found.attachable.unwrap_or(false),
        ipv6: found.enable_ipv6.unwrap_or(false),
        options: all(found.options.clone()),
        labels: found.labels.iter().flatten().filter(given).map(|(k, v)| (k.clone(), v.clone())).collect(),
        ipam_driver: ipam.driver.filter(|driver| driver != "default").unwrap_or_default(),
        ipam_options: all(ipam.options),
        subnets: ipam.config.unwrap_or_default().into_iter().map(subnet).collect(),
    };
    match asked {
        Some(asked) => Network { external_name: seen.external_name, internal: seen.internal, ..asked },
        None => seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(status: &str, labels: serde_json::Value) -> ContainerInspectResponse {
        serde_json::from_value(serde_json::json!({
            "RestartCount": 2,
            "State": { "Status": status, "ExitCode": 137, "OOMKilled": true, "StartedAt": "2024-05-01T10:00:00.123456789Z" },
            "Config": { "Labels": labels },
            "NetworkSettings": { "Networks": { "shop_front": { "IPAddress": "172.18.0.3" }, "shop_back": { "IPAddress": "" } } },
        }))
        .unwrap()
    }

    fn labels() -> serde_json::Value {
        serde_json::json!({
            "landfall.app": "shop", "landfall.service": "web", "landfall.replica": "web-3-1", "landfall.release": "3",
            "landfall.revision": "ab12", "landfall.job": "false", "landfall.networks": r#"{"front":"shop_front","back":"shop_back"}"#,
        })
    }

    #[test]
    fn a_container_is_read_by_its_labels() {
        let (id, replica) = replica(&inspected("running", labels())).unwrap();
        assert_eq!((id.as_str(), replica.service.as_str(), replica.release.0, replica.restarts), ("web-3-1", "web", 3, 2));
        assert_eq!(replica.addresses, BTreeMap::from([("front".parse().unwrap(), "172.18.0.3".parse().unwrap())]));
        assert_eq!(replica.started_ms, 1_714_557_600_123);
        assert!(super::replica(&inspected("running", serde_json::json!({ "landfall.app": "shop" }))).is_none());
    }

    #[test]
    fn every_state_of_a_container_has_a_meaning() {
        let state = |status| replica(&inspected(status, labels())).unwrap().1.state;
        assert_eq!(state("created"), ReplicaState::Created);
        assert_eq!(state("paused"), ReplicaState::Running);
        assert_eq!(state("restarting"), ReplicaState::Restarting { code: 137 });
        for ended in ["exited", "dead", "removing"] {
            assert_eq!(state(ended), ReplicaState::Exited { code: 137, out_of_memory: true });
        }
    }

    #[test]
    fn never_is_zero_and_the_gateway_is_an_address() {
        assert_eq!(milliseconds("0001-01-01T00:00:00Z"), 0);
        let found: NetworkInspect = serde_json::from_value(serde_json::json!({
            "IPAM": { "Config": [ { "Subnet": "fd00::/64", "Gateway": "fd00::1" }, { "Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1" } ] }
        }))
        .unwrap();
        assert_eq!(network(&found, &BTreeSet::new()).gateway, Some(IpAddr::from([172, 18, 0, 1])));
    }

    #[test]
    fn a_network_is_known_by_its_bridge() {
        let interface = |driver: &str, options: serde_json::Value| {
            let found = serde_json::json!({ "Id": "a1b2c3d4e5f60718293a", "Driver": driver, "Options": options });
            network(&serde_json::from_value(found).unwrap(), &BTreeSet::new()).interface.map(String::from)
        };
        assert_eq!(interface("bridge", serde_json::json!({})).as_deref(), Some("br-a1b2c3d4e5f6"));
        assert_eq!(interface("bridge", serde_json::json!({ BRIDGE_NAME: "docker0" })).as_deref(), Some("docker0"));
        assert_eq!(interface("bridge", serde_json::json!({ BRIDGE_NAME: "a/b" })), None);
        assert_eq!(interface("macvlan", serde_json::json!({ "parent": "eth0" })), None);
    }
}
