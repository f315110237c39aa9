//! What outlives a container, and what others use: volumes of images, how networks and volumes were made, strangers.

use crate::bench::{Bench, IMAGE, bench, engine};
use bollard::models::{ContainerConfig, ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions, StartContainerOptions,
};
use landfall_model::name::{ImageRef, NetworkName, ReplicaId, VolumeName};
use landfall_model::spec::{HealthTest, Network, Program, PullPolicy, Subnet, Volume};
use landfall_runtime::Runtime;
use std::collections::{BTreeMap, BTreeSet, HashMap};

async fn code(b: &Bench, id: &ReplicaId, argv: &[&str]) -> i32 {
    let argv: Vec<String> = argv.iter().map(|a| (*a).to_owned()).collect();
    let session = b.rt.exec(&b.kit.app, id, &argv, false).await.unwrap();
    drop(session.stdin);
    session.control.wait().await.unwrap().code
}

/// The bench's image with more said of its containers.
async fn image(b: &Bench, changes: &str) -> ImageRef {
    let reference: ImageRef = format!("{}:said", b.kit.app).parse().unwrap();
    let name = format!("{}-source", b.kit.app);
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let body = ContainerCreateBody { image: Some(IMAGE.into()), cmd: Some(vec!["true".into()]), ..ContainerCreateBody::default() };
    engine().create_container(Some(options), body).await.unwrap();
    let options = CommitContainerOptionsBuilder::new().container(&name).repo(b.kit.app.as_str()).tag("said").changes(changes).build();
    engine().commit_container(options, ContainerConfig::default()).await.unwrap();
    engine().remove_container(&name, Some(RemoveContainerOptionsBuilder::new().force(true).build())).await.unwrap();
    reference
}

#[tokio::test]
async fn the_volume_of_an_image_goes_on_with_the_next_replica_and_goes_with_the_last() {
    bench("carried")
        .await
        .with(async |b| {
            let image = image(b, "VOLUME /kept\nHEALTHCHECK --interval=2s CMD [\"true\"]").await;
            let observed = b.rt.observe(&b.kit.app, &BTreeSet::from([image.clone()])).await.unwrap();
            let about = &observed.about[&observed.images[&image]];
            assert_eq!(about.volumes, BTreeSet::from(["/kept".to_owned()]));
            let check = about.health.as_ref().unwrap();
            assert_eq!((&check.test, check.interval_ms), (&HealthTest::Exec { argv: vec!["true".into()] }, 2000));

            let program = Program::Image { reference: image.clone(), pinned: None, pull: PullPolicy::Never };
            let mut old = b.stay("web-1-1");
            old.template.program = program.clone();
            b.rt.start(&old).await.unwrap();
            assert_eq!(code(b, &old.id, &["touch", "/kept/mark"]).await, 0);
            let observed = b.kit.observe(&b.rt).await;
            assert_eq!(observed.replicas[&old.id].unnamed, BTreeSet::from(["/kept".to_owned()]), "a named volume is none of them");
            let volume = |found: bollard::models::ContainerInspectResponse| {
                let mounts = found.mounts.unwrap();
                mounts.into_iter().find(|m| m.destination.as_deref() == Some("/kept")).unwrap().name.unwrap()
            };
            let kept = volume(b.inspect(&old).await);
            for (number, before) in [(2, "web-1-1"), (3, "web-2-1")] {
                let mut new = b.stay(&format!("web-{number}-1"));
                new.template.program = program.clone();
                new.takes = Some(before.parse().unwrap());
                b.rt.start(&new).await.unwrap();
                b.rt.remove(&b.kit.app, new.takes.as_ref().unwrap()).await.unwrap();
                assert_eq!(code(b, &new.id, &["test", "-e", "/kept/mark"]).await, 0, "release {number} lost it");
                assert_eq!(volume(b.inspect(&new).await), kept);
            }
            b.rt.remove(&b.kit.app, &"web-3-1".parse().unwrap()).await.unwrap();
            assert!(engine().inspect_volume(&kept).await.is_err(), "nobody is left to have it");
            engine().remove_image(image.as_str(), None::<RemoveImageOptions>, None).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn how_networks_and_volumes_were_made_is_observed() {
    bench("options")
        .await
        .with(async |b| {
            let network: (NetworkName, Network) = (
                "inner".parse().unwrap(),
                Network {
                    external_name: format!("{}_inner", b.kit.app),
                    internal: true,
                    labels: BTreeMap::from([("team".into(), "a".into())]),
                    options: BTreeMap::from([("com.docker.network.bridge.enable_icc".into(), "true".into())]),
                    subnets: vec![Subnet { subnet: "10.213.77.0/24".into(), ..Subnet::default() }],
                    ..Network::default()
                },
            );
            let volume: (VolumeName, Volume) = (
                "memory".parse().unwrap(),
                Volume {
                    external_name: format!("{}_memory", b.kit.app),
                    options: BTreeMap::from([("type".into(), "tmpfs".into()), ("device".into(), "tmpfs".into())]),
                    labels: BTreeMap::from([("team".into(), "a".into())]),
                    ..Volume::default()
                },
            );
            b.rt.ensure_network(&b.kit.app, &network.0, &network.1).await.unwrap();
            b.rt.ensure_volume(&b.kit.app, &volume.0, &volume.1).await.unwrap();
            let observed = b.kit.observe(&b.rt).await;
            let found = &observed.networks[&network.0];
            assert_eq!((found.made.as_ref(), found.exact), (Some(&network.1), true));
            assert_eq!(observed.volume_options[&volume.0], volume.1);
            assert!(observed.adopted.is_empty(), "{:?}", observed.adopted);
            b.rt.remove_volume(&b.kit.app, &volume.0, &volume.1).await.unwrap();
            b.rt.remove_network(&b.kit.app, &network.0, &network.1).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn a_stranger_on_a_volume_or_network_is_named() {
    bench("strangers")
        .await
        .with(async |b| {
            let own = b.stay("web-1-1");
            b.rt.start(&own).await.unwrap();
            let (network, volume) = (b.kit.network().1.external_name, b.kit.volume().1.external_name);
            let (networks, volumes) = (BTreeSet::from([network.clone()]), BTreeSet::from([volume.clone()]));
            assert_eq!(b.rt.strangers(&networks, &volumes).await.unwrap(), [], "the app's own are none");
            let name = format!("{}-visitor", b.kit.app);
            let body = ContainerCreateBody {
                image: Some(IMAGE.into()),
                cmd: Some(vec!["sleep".into(), "300".into()]),
                labels: Some(HashMap::from([("com.docker.compose.project".to_owned(), "shop".to_owned())])),
                host_config: Some(HostConfig {
                    network_mode: Some(network.clone()),
                    init: Some(true),
                    mounts: Some(vec![Mount {
                        typ: Some(MountType::VOLUME),
                        source: Some(volume.clone()),
                        target: Some("/theirs".into()),
                        ..Mount::default()
                    }]),
                    ..HostConfig::default()
                }),
                ..ContainerCreateBody::default()
            };
            engine().create_container(Some(CreateContainerOptionsBuilder::new().name(&name).build()), body).await.unwrap();
            engine().start_container(&name, None::<StartContainerOptions>).await.unwrap();
            let found = b.rt.strangers(&networks, &volumes).await.unwrap();
            let on: Vec<(&str, &str)> = found.iter().map(|s| (s.what, s.name.as_str())).collect();
            assert_eq!(on, [("network", network.as_str()), ("volume", volume.as_str())]);
            assert!(found.iter().all(|s| s.container == name && s.project.as_deref() == Some("shop") && s.runs), "{found:?}");
            let observed = b.kit.observe(&b.rt).await;
            assert_eq!(observed.networks[&b.kit.network().0].others, BTreeSet::from([name.clone()]));
            engine().remove_container(&name, Some(RemoveContainerOptionsBuilder::new().force(true).build())).await.unwrap();
        })
        .await;
}
