//! Which address a container gets in a network: one of its own service's, never one that another service had.
//!
//! Left to itself the engine gives the lowest free address, so what looked a name up once and keeps the address (nginx without `resolver`, a JVM, a pool
//! of connections) reaches another service after a release or two. In networks that Landfall makes it therefore chooses: the upper half of the subnet,
//! or the file's `ip_range`, is divided into blocks, and a service has the block its name falls on, or the next that no other service has. Nothing is
//! remembered: every container says in its labels whose it is and has its address for its whole life, so the blocks in use can be seen. Within its
//! block a service takes the lowest free address: it goes back and forth between the same few, and whoever takes the place of a stopped one has its
//! very address. See decision 13.

use super::container::label;
use super::engine::{CALL, Engine};
use super::network;
use crate::{Launch, RuntimeError};
use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum as State, EndpointIpamConfig, EndpointSettings, IpamConfig, NetworkInspect,
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use landfall_model::digest::digest;
use landfall_model::spec::Network;
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// Most addresses of a block: a service of so many replicas, old ones and new ones, keeps to one.
const BLOCK: u32 = 64;
/// So many blocks at least, where the subnet is small.
const BLOCKS: u32 = 32;
/// Below this many addresses there is nothing to divide, and the engine chooses.
const FEWEST: u32 = 8;
/// Most addresses looked at, however large the subnet.
const MOST: u32 = 1 << 16;

/// The addresses of a network that Landfall gives.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pool {
    first: u32,
    count: u32,
    /// Not given: the gateway's, and those the file keeps for something else.
    reserved: BTreeSet<u32>,
}

/// An address a container has, or had and would have again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    address: u32,
    /// App and service; none for what Landfall did not make.
    owner: Option<String>,
    /// It has ended, so that the address is free for the one that takes its place.
    ended: bool,
}

/// How a container is to join a network: at an address, or as the engine likes.
pub(super) async fn endpoint(engine: &Engine, launch: &Launch, network: &Network) -> Result<EndpointSettings, RuntimeError> {
    let name = &network.external_name;
    let Some(pool) = network::by_name(engine, name).await?.and_then(|found| Pool::of(&found)) else {
        return Ok(EndpointSettings::default());
    };
    let client = engine.client().await?;
    let options = ListContainersOptionsBuilder::new().all(true).filters(&HashMap::from([("network", vec![name.as_str()])])).build();
    let listed = engine.ask(&format!("list containers in network `{name}`"), CALL, client.list_containers(Some(options))).await?;
    let held: Vec<Held> = listed.iter().filter_map(|container| held(container, name)).collect();
    let address = pool.choose(&format!("{}/{}", launch.app, launch.service), &held);
    let fixed = |address: Ipv4Addr| EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..EndpointIpamConfig::default() };
    Ok(EndpointSettings { ipam_config: address.map(fixed), ..EndpointSettings::default() })
}

fn held(container: &ContainerSummary, network: &str) -> Option<Held> {
    let at = container.network_settings.as_ref()?.networks.as_ref()?.get(network)?;
    let fixed = at.ipam_config.as_ref().and_then(|ipam| ipam.ipv4_address.as_deref());
    let address: Ipv4Addr = fixed.or(at.ip_address.as_deref())?.parse().ok()?;
    let labels = container.labels.as_ref();
    let owner = labels.and_then(|l| Some(format!("{}/{}", l.get(label::APP)?, l.get(label::SERVICE)?)));
    let ended = matches!(container.state, Some(State::EXITED | State::DEAD));
    Some(Held { address: address.into(), owner, ended })
}

impl Pool {
    /// Of a network that Landfall made for that; of others the engine takes no wishes, or they are not ours to divide.
    fn of(found: &NetworkInspect) -> Option<Self> {
        found.labels.as_ref()?.get(label::ADDRESSES)?;
        let config = found.ipam.as_ref()?.config.as_ref()?.iter().find(|c| c.subnet.as_deref().and_then(range).is_some())?;
        let (subnet, size) = range(config.subnet.as_deref()?)?;
        let (first, count) = match config.ip_range.as_deref().and_then(range) {
            Some(given) => given,
            // What others start in the network gets the engine's choice, the lowest free.
            None => (subnet + size / 2, size / 2),
        };
        let mut reserved: BTreeSet<u32> = kept(config);
        reserved.extend(gateway(config).map(u32::from));
        // The subnet's own and everybody's.
        reserved.extend([subnet, subnet.checked_add(size)?.wrapping_sub(1)]);
        let count = count.min(MOST);
        (count >= FEWEST).then_some(Self { first, count, reserved })
    }

    fn choose(&self, owner: &str, held: &[Held]) -> Option<Ipv4Addr> {
        let block = (self.count / BLOCKS).clamp(4, BLOCK);
        let of = |address: u32| address.checked_sub(self.first).filter(|at| *at < self.count).map(|at| at / block);
        let others = held.iter().filter(|h| h.owner.as_deref() != Some(owner));
        let others: BTreeSet<u32> = others.filter_map(|h| of(h.address)).collect();
        let taken: BTreeSet<u32> = held.iter().filter(|h| !h.ended).map(|h| h.address).collect();
        let blocks = self.count.div_ceil(block);
        let digest = digest(&owner);
        let begin = digest.as_str().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or_default() % blocks;
        let mine = (0..blocks).map(|at| (begin + at) % blocks).filter(|at| !others.contains(at));
        let all = mine.flat_map(|at| at * block..((at + 1) * block).min(self.count)).map(|at| self.first + at);
        all.into_iter().find(|address| !taken.contains(address) && !self.reserved.contains(address)).map(Ipv4Addr::from)
    }
}

/// Addresses that the file keeps for something else.
fn kept(config: &IpamConfig) -> BTreeSet<u32> {
    let all = config.auxiliary_addresses.iter().flatten();
    all.filter_map(|(_, address)| address.parse::<Ipv4Addr>().ok().map(u32::from)).collect()
}

/// The IPv4 address of a network's bridge. Engines before 28 do not say it where the file names a subnet and no gateway: it is the first address of
/// the range that containers get theirs from.
pub(super) fn gateway(config: &IpamConfig) -> Option<Ipv4Addr> {
    if let Some(said) = config.gateway.as_deref().filter(|said| !said.is_empty()) {
        // Some engines write it with the subnet's length.
        return said.split('/').next()?.parse().ok();
    }
    let (subnet, size) = range(config.subnet.as_deref()?)?;
    let (first, count) = config.ip_range.as_deref().and_then(range).unwrap_or((subnet, size));
    let kept = kept(config);
    let usable = (first..first.checked_add(count.min(MOST))?).find(|address| *address != subnet && !kept.contains(address));
    usable.map(Ipv4Addr::from)
}

/// First address and number of addresses of `10.0.0.0/8`; nothing for IPv6.
fn range(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok()?);
    let size = 1u32.checked_shl(32u32.checked_sub(bits)?)?;
    Some((u32::from(address) & !(size - 1), size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::Ipam;

    fn pool(subnet: &str, range: Option<&str>) -> Option<Pool> {
        let config = IpamConfig {
            subnet: Some(subnet.into()),
            ip_range: range.map(Into::into),
            gateway: Some(subnet.replace(".0/", ".129/")),
            auxiliary_addresses: None,
        };
        Pool::of(&NetworkInspect {
            labels: Some(HashMap::from([(label::ADDRESSES.to_owned(), "chosen".to_owned())])),
            ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
            ..NetworkInspect::default()
        })
    }

    fn held(address: Ipv4Addr, owner: &str, ended: bool) -> Held {
        Held { address: address.into(), owner: Some(owner.to_owned()), ended }
    }

    #[test]
    fn blocks_are_of_one_service_and_the_lowest_free_address_of_its_own_is_taken() {
        let pool = pool("10.1.0.0/24", None).unwrap();
        let api = pool.choose("shop/api", &[]).unwrap();
        assert!(api.octets()[3] >= 128, "{api}");
        assert_eq!(pool.choose("shop/api", &[held(api, "shop/api", true)]), Some(api), "the place of one that has ended");
        let second = pool.choose("shop/api", &[held(api, "shop/api", false)]).unwrap();
        assert_ne!(second, api);
        assert_eq!(pool.choose("shop/api", &[held(second, "shop/api", false)]), Some(api), "back and forth");
        // Another that was there first has the block, though it has ended.
        let elsewhere = pool.choose("shop/api", &[held(api, "shop/db", true)]).unwrap();
        assert_ne!(u32::from(elsewhere) / 4, u32::from(api) / 4);
    }

    #[test]
    fn every_address_is_given_once_and_then_none() {
        let pool = pool("10.1.0.0/24", None).unwrap();
        let mut all: Vec<Held> = Vec::new();
        while let Some(address) = pool.choose("shop/api", &all) {
            assert!(all.iter().all(|h| h.address != u32::from(address)), "{address} twice");
            all.push(held(address, "shop/api", false));
        }
        // Without the gateway's and everybody's.
        assert_eq!(all.len(), 126);
        let foreign = Held { address: all[0].address, owner: None, ended: false };
        let beside = pool.choose("shop/api", std::slice::from_ref(&foreign)).unwrap();
        assert_ne!(u32::from(beside) / 4, foreign.address / 4);
    }

    #[test]
    fn the_gateway_that_an_engine_does_not_say_is_the_first_of_the_range() {
        let config = |range: Option<&str>, kept: Option<&str>| IpamConfig {
            subnet: Some("10.214.9.0/24".into()),
            ip_range: range.map(Into::into),
            gateway: None,
            auxiliary_addresses: kept.map(|kept| HashMap::from([("printer".to_owned(), kept.to_owned())])),
        };
        let said = |config: IpamConfig| gateway(&config).unwrap().to_string();
        assert_eq!(said(config(None, None)), "10.214.9.1");
        assert_eq!(said(config(None, Some("10.214.9.1"))), "10.214.9.2");
        assert_eq!(said(config(Some("10.214.9.64/28"), None)), "10.214.9.64", "as engine 20.10 does");
        assert_eq!(said(IpamConfig { gateway: Some("10.214.9.7/24".into()), ..config(None, None) }), "10.214.9.7");
        assert_eq!(gateway(&IpamConfig { subnet: Some("fd00::/64".into()), ..IpamConfig::default() }), None);
    }

    #[test]
    fn a_range_of_the_file_holds_and_what_cannot_be_divided_is_left_to_the_engine() {
        let ranged = pool("10.1.0.0/16", Some("10.1.7.0/28")).unwrap();
        assert_eq!((ranged.first, ranged.count), (u32::from(Ipv4Addr::new(10, 1, 7, 0)), 16));
        assert_eq!(pool("10.1.0.0/29", None), None);
        assert_eq!(pool("fd00::/64", None), None);
        assert_eq!(pool("nonsense", None), None);
        assert_eq!(Pool::of(&NetworkInspect::default()), None);
        assert!(pool("10.0.0.0/8", None).unwrap().choose("a/b", &[]).is_some());
    }
}
