//! What outlives a replica, and what others use: volumes without a name, options of networks and volumes, the way out.

use super::*;
use landfall_model::plan::differences;

/// The tutor, whose backend keeps data in a volume of its image.
fn with_image_volume(version: &str) -> (Spec, landfall_model::observed::ImageAbout) {
    let image: landfall_model::name::ImageId = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let mut spec = tutor(version, "db1");
    let backend = spec.services.get_mut(&"backend".parse::<ServiceName>().unwrap()).unwrap();
    let reference = format!("acme/backend:{version}").parse().unwrap();
    backend.template.program = Program::Image { reference, pinned: Some(image), pull: landfall_model::spec::PullPolicy::Missing };
    let about = landfall_model::observed::ImageAbout { health: None, volumes: BTreeSet::from(["/data".to_owned()]) };
    (spec, about)
}

fn pinned(spec: &Spec) -> landfall_model::name::ImageId {
    let Program::Image { pinned: Some(image), .. } = &spec.services[&"backend".parse::<ServiceName>().unwrap()].template.program else {
        unreachable!("it is an image")
    };
    image.clone()
}

#[test]
fn volumes_without_a_name_go_on_with_the_replica_that_takes_the_place() {
    let (v1, about) = with_image_volume("v1");
    let mut world = World::default();
    world.observed.about.insert(pinned(&v1), about);
    let first = world.plan(&v1, 1);
    first.steps.iter().for_each(|step| world.execute(&v1, &first, step));
    for (_, replica) in world.observed.replicas.iter_mut().filter(|(_, r)| r.service.as_str() == "backend" && !r.job) {
        replica.unnamed = BTreeSet::from(["/data".to_owned()]);
    }
    let (v2, _) = with_image_volume("v2");
    let plan = world.plan(&v2, 2);
    let takes: BTreeSet<String> = plan
        .steps
        .iter()
        .filter_map(|s| if let Step::Start { replicas } = s { Some(replicas) } else { None })
        .flatten()
        .filter_map(|r| r.takes.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(takes, BTreeSet::from(["backend-1-1".to_owned(), "backend-1-2".to_owned()]), "each goes on in one of the new");
    let at = |wanted: &dyn Fn(&Step) -> bool| plan.steps.iter().position(wanted).unwrap();
    let stop = at(&|s| matches!(s, Step::Stop { replicas } if replicas.iter().any(|r| r.id.as_str() == "backend-1-1")));
    let start = at(&|s| matches!(s, Step::Start { replicas } if replicas.iter().any(|r| r.takes.is_some())));
    assert!(stop < start, "two never write one volume: {:?}", plan.lines());
    assert!(plan.notes.iter().any(|n| n.contains("/data") && n.contains("no name")), "{:?}", plan.notes);
    // What nobody goes on with is told before it goes.
    let mut fewer = v2.clone();
    fewer.services.get_mut(&"backend".parse::<ServiceName>().unwrap()).unwrap().replicas = 1;
    let notes = world.plan(&fewer, 2).notes;
    assert!(notes.iter().any(|n| n.starts_with("what backend-1-2 has at /data")), "{notes:?}");
    let input = world.input(&v1, &world.serving, 1, Mode::Release);
    assert!(plan_down(&input, false).notes.iter().any(|n| n.starts_with("what backend-1-1 has at /data")));
}

#[test]
fn every_option_of_a_network_and_a_volume_that_differs_is_told() {
    let spec = tutor("v1", "db1");
    let mut world = deployed();
    let made = |world: &mut World, network: Network, volume: Volume| {
        let found = ObservedNetwork { made: Some(network), exact: true, ..ObservedNetwork::default() };
        world.observed.networks.insert("default".parse().unwrap(), found);
        world.observed.volume_options.insert("pgdata".parse().unwrap(), volume);
    };
    let (network, volume) = (spec.networks.values().next().unwrap().clone(), spec.volumes.values().next().unwrap().clone());
    made(&mut world, network.clone(), volume.clone());
    assert_eq!(differences(&world.input(&spec, &world.serving, 2, Mode::Release)), []);
    let pair = || BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let subnet = landfall_model::spec::Subnet { subnet: "10.9.0.0/24".into(), ..Default::default() };
    for (change, words) in [
        (Network { internal: true, ..network.clone() }, "internal is true, the file says false"),
        (Network { attachable: true, ..network.clone() }, "attachable is true, the file says false"),
        (Network { ipv6: true, ..network.clone() }, "enable_ipv6 is true, the file says false"),
        (Network { options: pair(), ..network.clone() }, "driver_opts k is \"v\", the file says not set"),
        (Network { labels: pair(), ..network.clone() }, "label k is \"v\", the file says not set"),
        (Network { ipam_driver: "other".into(), ..network.clone() }, "ipam driver is other, the file says default"),
        (Network { ipam_options: pair(), ..network.clone() }, "ipam option k is \"v\", the file says not set"),
        (Network { subnets: vec![subnet], ..network.clone() }, "subnets is 10.9.0.0/24, the file says the engine's choice"),
    ] {
        made(&mut world, change, volume.clone());
        let found = differences(&world.input(&spec, &world.serving, 2, Mode::Release));
        assert_eq!(found.len(), 1, "{words}");
        assert_eq!(found[0].to_string(), format!("network `default` exists with other options: {words}"));
        assert_eq!(found[0].harmless, words.starts_with("label") || words.starts_with("attachable"));
    }
    for (change, words) in [
        (Volume { driver: "nfs".into(), ..volume.clone() }, "driver is nfs, the file says local"),
        (Volume { options: pair(), ..volume.clone() }, "driver_opts k is \"v\", the file says not set"),
        (Volume { labels: pair(), ..volume.clone() }, "label k is \"v\", the file says not set"),
    ] {
        made(&mut world, network.clone(), change);
        let found = differences(&world.input(&spec, &world.serving, 2, Mode::Release));
        assert_eq!(found[0].to_string(), format!("volume `pgdata` exists with other options: {words}"));
    }
    // Another name under the same key would leave the data behind.
    made(&mut world, network, volume);
    let mut renamed = spec.clone();
    renamed.volumes.values_mut().next().unwrap().external_name = "other".into();
    let found = differences(&world.input(&renamed, &world.serving, 2, Mode::Release));
    assert_eq!(found[0].options, ["name is tutor_pgdata, the file says other"]);
}

#[test]
fn down_claims_only_what_it_removes() {
    let mut world = deployed();
    let spec = tutor("v1", "db1");
    world.observed.adopted.insert("pgdata".parse().unwrap());
    let found = ObservedNetwork { others: BTreeSet::from(["visitor".to_owned()]), ..ObservedNetwork::default() };
    world.observed.networks.insert("default".parse().unwrap(), found);
    let lines = plan_down(&world.input(&spec, &world.serving, 1, Mode::Release), true).lines();
    assert!(!lines.iter().any(|l| l.starts_with("remove volume") || l.starts_with("remove network")), "{lines:?}");
    assert!(lines.iter().any(|l| l.contains("volume tutor_pgdata is kept")), "{lines:?}");
    assert!(lines.iter().any(|l| l.contains("network default is kept: visitor uses it")), "{lines:?}");
}

#[test]
fn the_check_of_an_image_is_the_gate_where_the_file_says_nothing() {
    use landfall_model::spec::{HealthTest, Healthcheck};
    let check = Healthcheck {
        test: HealthTest::Exec { argv: vec!["/ok".into()] },
        interval_ms: 1000,
        timeout_ms: 2000,
        retries: 3,
        start_period_ms: 20_000,
    };
    let by_image = Gate { probe: Probe::Command { test: check.test.clone(), timeout_ms: 2000 }, deadline_ms: 80_000 };
    let gate = |change: &dyn Fn(&mut Service)| {
        let mut service = service("v1", 1, &[]);
        change(&mut service);
        service.gate_by_image(&check);
        service.gate_by_image(&check);
        service.gate
    };
    assert_eq!(gate(&|_| {}), by_image);
    let stays = |s: &mut Service| (s.port, s.gate.probe) = (None, Probe::Stays { for_ms: 1000 });
    assert_eq!(gate(&stays), by_image);
    let tcp = Gate { probe: Probe::Tcp { port: 8000 }, deadline_ms: 60_000 };
    assert_eq!(gate(&|s| s.template.container.no_healthcheck = true), tcp);
    assert_eq!(gate(&|s| s.job = true), tcp);
    assert_eq!(gate(&|s| s.port = Some(9000)), tcp, "another port than the service's own was asked for");
    let http = Probe::Http { path: "/health".into(), port: 8000, protocol: Default::default() };
    assert_eq!(gate(&|s| s.gate.probe = http.clone()).probe, http);
}
