//! Which addresses replicas get: one that a service had is never another's.

use crate::bench::{Bench, bench, engine};
use bollard::models::NetworkCreateRequest;
use landfall_model::name::NetworkName;
use landfall_model::spec::{Network, Subnet};
use landfall_runtime::{Launch, Runtime};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// A replica of a service of that name.
fn of(b: &Bench, service: &str, id: &str) -> Launch {
    let mut launch = b.stay(id);
    launch.service = service.parse().unwrap();
    launch
}

async fn address(b: &Bench, launch: &Launch) -> IpAddr {
    let observed = b.kit.observe(&b.rt).await;
    observed.replicas[&launch.id].addresses.values().copied().next().unwrap()
}

#[tokio::test]
async fn an_address_of_a_service_is_never_given_to_another() {
    bench("address")
        .await
        .with(async |b| {
            let (mut api, mut worker) = (BTreeSet::new(), BTreeSet::new());
            let mut old: Vec<Launch> = Vec::new();
            for release in 1..=4 {
                let new = [of(b, "api", &format!("api-{release}-1")), of(b, "worker", &format!("worker-{release}-1"))];
                for (launch, seen) in new.iter().zip([&mut api, &mut worker]) {
                    b.rt.start(launch).await.unwrap();
                    seen.insert(address(b, launch).await);
                    // The first of the old ones goes before the second service starts: its address is free then.
                    if let Some(old) = old.iter().find(|old| old.service == launch.service) {
                        b.rt.remove(&b.kit.app, &old.id).await.unwrap();
                    }
                }
                old = new.to_vec();
            }
            assert!(api.is_disjoint(&worker), "{api:?} {worker:?}");
            assert_eq!((api.len(), worker.len()), (2, 2), "a service goes back and forth between its own: {api:?} {worker:?}");
        })
        .await;
}

#[tokio::test]
async fn who_takes_the_place_of_a_stopped_one_has_its_address_and_a_restart_keeps_it() {
    bench("place")
        .await
        .with(async |b| {
            let (first, second) = (of(b, "db", "db-1-1"), of(b, "db", "db-2-1"));
            b.rt.start(&first).await.unwrap();
            let had = address(b, &first).await;
            b.rt.stop(&b.kit.app, &first.id, None, Duration::ZERO).await.unwrap();
            b.rt.start(&of(b, "api", "api-1-1")).await.unwrap();
            b.rt.start_again(&b.kit.app, &first.id).await.unwrap();
            assert_eq!(address(b, &first).await, had, "nobody took it meanwhile");
            b.rt.stop(&b.kit.app, &first.id, None, Duration::ZERO).await.unwrap();
            b.rt.start(&second).await.unwrap();
            assert_eq!(address(b, &second).await, had);
        })
        .await;
}

#[tokio::test]
async fn networks_that_the_file_describes_and_those_of_others_are_joined_as_they_are() {
    bench("ranges")
        .await
        .with(async |b| {
            let app = b.kit.app.clone();
            let key = |text: &str| text.parse::<NetworkName>().unwrap();
            let subnet = Subnet { subnet: "10.214.7.0/24".into(), range: "10.214.7.64/28".into(), ..Subnet::default() };
            let small = Subnet { subnet: "10.214.8.0/29".into(), ..Subnet::default() };
            let described = |name: &str, subnet: &Subnet| Network {
                external_name: format!("{app}_{name}"),
                subnets: vec![subnet.clone()],
                ..Network::default()
            };
            let of_others = Network { external_name: format!("{app}_others"), external: true, ..Network::default() };
            let request = NetworkCreateRequest { name: of_others.external_name.clone(), ..NetworkCreateRequest::default() };
            engine().create_network(request).await.unwrap();
            let networks =
                [(key("ranged"), described("ranged", &subnet)), (key("small"), described("small", &small)), (key("others"), of_others)];
            let mut launch = of(b, "web", "web-1-1");
            for (key, network) in &networks {
                b.rt.ensure_network(&app, key, network).await.unwrap();
                launch.template.networks.insert(key.clone());
                launch.networks.insert(key.clone(), network.clone());
            }
            b.rt.start(&launch).await.unwrap();
            let addresses = b.kit.observe(&b.rt).await.replicas[&launch.id].addresses.clone();
            assert_eq!(addresses.len(), 4, "{addresses:?}");
            let IpAddr::V4(ranged) = addresses[&key("ranged")] else { panic!("{addresses:?}") };
            assert!(ranged.octets()[..3] == [10, 214, 7] && (64..80).contains(&ranged.octets()[3]), "{ranged}");
            b.rt.remove(&app, &launch.id).await.unwrap();
            for (key, network) in &networks {
                b.rt.remove_network(&app, key, network).await.unwrap();
            }
            engine().remove_network(&networks[2].1.external_name).await.unwrap();
        })
        .await;
}
