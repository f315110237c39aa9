//! What only the Docker runtime can get wrong: every field of a template on a real engine, its refusals, and pulling from a registry.
//!
//! Needs an engine at `/var/run/docker.sock` and the image the conformance suite uses; fails without them.

#![allow(clippy::unwrap_used, reason = "a test")]

mod address;
mod bench;
mod detail;
mod shared;
mod unpack;

use bench::{IMAGE, bench, bind, engine};
use bollard::query_parameters::{InspectContainerOptions, RemoveContainerOptionsBuilder, RemoveImageOptions};
use landfall_model::digest::hex;
use landfall_model::name::{ImageRef, NetworkName};
use landfall_model::observed::ReplicaState;
use landfall_model::spec::{
    HealthTest, Healthcheck, Limits, LogPolicy, Mount, MountSource, Network, Program, PublishedPort, PullPolicy, Restart,
};
use landfall_runtime::conformance::{Act, script, until};
use landfall_runtime::docker::{DockerRuntime, PullLimits};
use landfall_runtime::{Runtime, RuntimeError};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn every_field_of_a_template_reaches_the_engine() {
    bench("fields")
        .await
        .with(async |b| {
            let mut launch = b.stay("web-1-1");
            let second: (NetworkName, Network) =
                ("back".parse().unwrap(), Network { external_name: format!("{}_back", b.kit.app), internal: true, ..Network::default() });
            b.rt.ensure_network(&b.kit.app, &second.0, &second.1).await.unwrap();
            let template = &mut launch.template;
            template.networks.insert(second.0.clone());
            template.mounts.push(Mount {
                source: MountSource::Tmpfs { size_bytes: 1 << 20, mode: 0 },
                target: "/scratch".into(),
                read_only: false,
            });
            template.mounts.push(Mount { source: bind("/etc/hostname", false), target: "/host".into(), read_only: true });
            template.mounts.push(Mount {
                source: MountSource::Anonymous { no_copy: false },
                target: "/anonymous".into(),
                read_only: false,
            });
            template.labels = BTreeMap::from([("team".into(), "a b".into()), ("landfall.app".into(), "forged".into())]);
            template.restart = Restart::OnFailure { max: 4 };
            template.healthcheck = Some(Healthcheck {
                test: HealthTest::Exec { argv: vec!["true".into()] },
                interval_ms: 1000,
                timeout_ms: 500,
                retries: 2,
                start_period_ms: 0,
            });
            template.limits = Limits { memory_bytes: 64 << 20, cpu_millis: 500, pids: 50 };
            template.log = LogPolicy { max_bytes: 123_456, max_files: 2 };
            (template.init, template.read_only, template.shm_bytes) = (true, true, 8 << 20);
            (template.user, template.working_dir) = (Some("1000:1000".into()), Some("/tmp".into()));
            template.ports = vec![PublishedPort { host_ip: "127.0.0.1".into(), host_port: 0, port: 8000, udp: false }];
            launch.networks.insert(second.0.clone(), second.1.clone());
            launch.dns = vec!["10.9.8.7".parse().unwrap()];
            b.rt.start(&launch).await.unwrap();

            let found = b.inspect(&launch).await;
            let (host, config) = (found.host_config.clone().unwrap(), found.config.clone().unwrap());
            assert_eq!((host.memory, host.nano_cpus, host.pids_limit), (Some(64 << 20), Some(500_000_000), Some(50)));
            assert_eq!(
                (host.init, host.readonly_rootfs, host.shm_size, host.dns),
                (Some(true), Some(true), Some(8 << 20), Some(vec!["10.9.8.7".into()]))
            );
            assert_eq!(host.log_config.unwrap().config.unwrap()["max-size"], "123456");
            assert_eq!(host.restart_policy.unwrap().maximum_retry_count, Some(4));
            assert_eq!(
                (config.user.as_deref(), config.working_dir.as_deref(), config.stop_timeout),
                (Some("1000:1000"), Some("/tmp"), Some(10))
            );
            let labels = config.labels.unwrap();
            assert_eq!(
                (labels["team"].as_str(), labels["landfall.app"].as_str()),
                ("a b", b.kit.app.as_str()),
                "a user's label cannot pass for ours"
            );
            let joined = found.network_settings.unwrap().networks.unwrap();
            assert_eq!(joined.len(), 2);
            assert!(
                joined.values().all(|n| n.aliases.iter().flatten().all(|alias| alias != "web")),
                "a service's name is answered by Landfall alone"
            );
            let mounts: BTreeMap<String, String> =
                found.mounts.unwrap().into_iter().map(|m| (m.destination.unwrap(), m.typ.unwrap().to_string())).collect();
            assert_eq!((mounts["/data"].as_str(), mounts["/host"].as_str(), mounts["/anonymous"].as_str()), ("volume", "bind", "volume"));
            until("the engine calls it healthy", async || {
                let health = b.inspect(&launch).await.state.unwrap().health.unwrap();
                health.status.is_some_and(|s| s.to_string() == "healthy")
            })
            .await;

            let observed = b.kit.observe(&b.rt).await;
            let replica = &observed.replicas[&launch.id];
            assert_eq!(replica.addresses.len(), 2);
            assert!(observed.networks.values().all(|n| n.gateway.is_some() && n.subnet.is_some()), "{:?}", observed.networks);
            let anonymous = b
                .inspect(&launch)
                .await
                .mounts
                .unwrap()
                .into_iter()
                .find(|m| m.destination.as_deref() == Some("/anonymous"))
                .unwrap()
                .name
                .unwrap();
            b.rt.remove(&b.kit.app, &launch.id).await.unwrap();
            b.rt.remove_network(&b.kit.app, &second.0, &second.1).await.unwrap();
            assert!(engine().inspect_volume(&anonymous).await.is_err(), "an anonymous volume outlived its container");
            assert!(engine().inspect_volume(&format!("{}_data", b.kit.app)).await.is_ok(), "a named volume did not");
        })
        .await;
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_starting_can_be_asked_for_again() {
    bench("refusals")
        .await
        .with(async |b| {
            let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = taken.local_addr().unwrap().port();
            let mut launch = b.stay("web-1-1");
            launch.template.ports = vec![PublishedPort { host_ip: "127.0.0.1".into(), host_port: port, port: 80, udp: false }];
            let refused = b.rt.start(&launch).await;
            assert!(matches!(refused, Err(RuntimeError::PortTaken { port: p, .. }) if p == port), "{refused:?}");
            assert_eq!(b.kit.state(&b.rt, &launch.id).await, Some(ReplicaState::Created), "made, never started");
            drop(taken);
            b.rt.start(&launch).await.unwrap();
            assert_eq!(b.kit.state(&b.rt, &launch.id).await, Some(ReplicaState::Running));

            let mut launch = b.stay("web-1-2");
            launch.template.command = Some(vec!["no-such-program".into()]);
            let refused = b.rt.start(&launch).await;
            assert!(matches!(&refused, Err(RuntimeError::NoProgram { program, .. }) if program == "no-such-program"), "{refused:?}");

            let mut launch = b.stay("web-1-3");
            launch.template.program =
                Program::Image { reference: "landfall-no-such-image:1".parse().unwrap(), pinned: None, pull: PullPolicy::Never };
            let refused = b.rt.start(&launch).await;
            assert!(matches!(refused, Err(RuntimeError::NoImage { .. })), "{refused:?}");

            let mut launch = b.stay("web-1-4");
            launch.template.mounts.push(Mount { source: bind("/no/such/path", false), target: "/x".into(), read_only: false });
            assert!(b.rt.start(&launch).await.is_err(), "a bind that does not exist is not made");
        })
        .await;
}

#[tokio::test]
async fn a_pinned_image_is_what_runs_and_another_reference_is_not_looked_at() {
    bench("pinned")
        .await
        .with(async |b| {
            let id = b.rt.pull(&IMAGE.parse().unwrap(), (PullPolicy::Missing, None), &|_| {}).await.unwrap();
            let mut launch = b.stay("web-1-1");
            launch.template.program =
                Program::Image { reference: "moved-on:1".parse().unwrap(), pinned: Some(id.clone()), pull: PullPolicy::Missing };
            b.rt.start(&launch).await.unwrap();
            assert_eq!(b.inspect(&launch).await.image.as_deref(), Some(id.as_str()));
        })
        .await;
}

#[tokio::test]
async fn what_landfall_did_not_make_is_not_touched() {
    bench("foreign")
        .await
        .with(async |b| {
            let launch = b.stay("web-1-1");
            let name = format!("{}-{}", launch.app, launch.id);
            let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(&name).build();
            let body =
                bollard::models::ContainerCreateBody { image: Some(IMAGE.into()), cmd: Some(vec!["true".into()]), ..Default::default() };
            engine().create_container(Some(options), body).await.unwrap();
            let refused = b.rt.start(&launch).await;
            b.rt.remove(&b.kit.app, &launch.id).await.unwrap();
            let still = engine().inspect_container(&name, None::<InspectContainerOptions>).await;
            engine().remove_container(&name, Some(RemoveContainerOptionsBuilder::new().force(true).build())).await.unwrap();
            assert!(refused.is_err() && still.is_ok());
            assert!(b.kit.observe(&b.rt).await.replicas.is_empty());
        })
        .await;
}

#[tokio::test]
async fn a_terminal_has_a_size_and_one_stream() {
    bench("terminal")
        .await
        .with(async |b| {
            let launch = b.stay("web-1-1");
            b.rt.start(&launch).await.unwrap();
            let argv: Vec<String> = ["bash", "-c", "read -r _; stty size; echo err >&2; exit 6"].map(String::from).into();
            let mut session = b.rt.exec(&b.kit.app, &launch.id, &argv, true).await.unwrap();
            session.control.resize(132, 43).await.unwrap();
            session.stdin.write_all(b"go\n").await.unwrap();
            let mut out = String::new();
            session.stdout.read_to_string(&mut out).await.unwrap();
            assert!(out.contains("43 132") && out.contains("err\r\n"), "{out:?}");
            assert_eq!(session.control.wait().await.unwrap().code, 6);

            let session = b.rt.exec(&b.kit.app, &launch.id, &script(&Act::Stubborn), false).await.unwrap();
            session.control.kill().await;
            assert_eq!(session.control.wait().await.unwrap().code, 137);
        })
        .await;
}

/// Just enough of the OCI distribution protocol to be pulled from: one image of one empty layer, and two refusals.
struct Registry {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn registry() -> Registry {
    let layer = vec![0_u8; 1024];
    let digest = |bytes: &[u8]| format!("sha256:{}", hex(&Sha256::digest(bytes)));
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] } }).to_string();
    const TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": TYPE,
        "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": digest(config.as_bytes()) },
        "layers": [{ "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": layer.len(), "digest": digest(&layer) }],
    })
    .to_string();
    let blobs: BTreeMap<String, Vec<u8>> = [
        (digest(&layer), layer),
        (digest(config.as_bytes()), config.into_bytes()),
        (digest(manifest.as_bytes()), manifest.clone().into_bytes()),
    ]
    .into();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            heard.lock().unwrap().push(path.clone());
            let last = path.rsplit('/').next().unwrap_or_default();
            let (status, kind, body) = match () {
                () if path == "/v2/" => ("200 OK", "text/plain", Vec::new()),
                () if path.contains("/private/") => (
                    "403 Forbidden",
                    "application/json",
                    br#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#.to_vec(),
                ),
                () if path.contains("/manifests/1") => ("200 OK", TYPE, manifest.clone().into_bytes()),
                () if blobs.contains_key(last) => {
                    ("200 OK", if path.contains("manifests") { TYPE } else { "application/octet-stream" }, blobs[last].clone())
                }
                () => (
                    "404 Not Found",
                    "application/json",
                    br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#.to_vec(),
                ),
            };
            let own = format!("sha256:{}", hex(&Sha256::digest(&body)));
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {own}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let body = if head.starts_with("HEAD") { Vec::new() } else { body };
            let _ = stream.write_all(&[answer.into_bytes(), body].concat()).await;
        }
    });
    Registry { address, asked }
}

#[tokio::test]
async fn images_are_pulled_as_the_policy_says_and_refusals_are_told_apart() {
    let rt = DockerRuntime::of_host(None);
    let registry = registry().await;
    let image: ImageRef = format!("{}/acme/app:1", registry.address).parse().unwrap();
    let told = Mutex::new(Vec::new());
    let progress = |line: String| told.lock().unwrap().push(line);
    let asked = || registry.asked.lock().unwrap().len();

    let never = rt.pull(&image, (PullPolicy::Never, None), &progress).await;
    assert!(matches!(never, Err(RuntimeError::NoImage { .. })) && asked() == 0, "{never:?}");
    let id = rt.pull(&image, (PullPolicy::Missing, None), &progress).await.unwrap();
    let after = asked();
    assert!(after > 0 && !told.lock().unwrap().is_empty());
    assert_eq!(rt.pull(&image, (PullPolicy::Missing, None), &progress).await.unwrap(), id);
    assert_eq!(asked(), after, "what is here is not asked for");
    assert_eq!(rt.pull(&image, (PullPolicy::Always, None), &progress).await.unwrap(), id);
    assert!(asked() > after);
    let observed =
        rt.observe(&"nobody".parse().unwrap(), &[image.clone(), "landfall-no-such-image:1".parse().unwrap()].into()).await.unwrap();
    assert_eq!(observed.images, BTreeMap::from([(image.clone(), id)]));
    engine().remove_image(image.as_str(), None::<RemoveImageOptions>, None).await.unwrap();

    for (reference, code) in [
        (format!("{}/acme/app:2", registry.address), "no-image"),
        (format!("{}/acme/private/app:1", registry.address), "registry-refuses"),
        ("127.0.0.1:1/acme/app:1".to_owned(), "registry-away"),
    ] {
        match rt.pull(&reference.parse().unwrap(), (PullPolicy::Missing, None), &progress).await {
            Err(error) => assert_eq!(error.code(), code, "{reference}: {error}"),
            other => panic!("{reference}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_asked_again_and_then_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let image: ImageRef = format!("{}/acme/app:1", silent.local_addr().unwrap()).parse().unwrap();
    let limits =
        PullLimits { whole: Duration::from_secs(20), stall: Duration::from_millis(300), pause: Duration::from_millis(1), attempts: 3 };
    let told = Mutex::new(Vec::new());
    let progress = |line: String| told.lock().unwrap().push(line);
    let impatient = DockerRuntime::of_host(None).with_pulls(limits);
    let error = impatient.pull(&image, (PullPolicy::Missing, None), &progress).await.unwrap_err();
    assert_eq!(error.code(), "timed-out", "{error}");
    assert_eq!(told.lock().unwrap().iter().filter(|line| line.contains("tried again")).count(), 2);
    let whole = PullLimits { whole: Duration::from_millis(500), stall: Duration::from_secs(20), ..limits };
    let error = DockerRuntime::of_host(None).with_pulls(whole).pull(&image, (PullPolicy::Missing, None), &|_| {}).await.unwrap_err();
    assert!(error.to_string().starts_with("pull of"), "{error}");
}
