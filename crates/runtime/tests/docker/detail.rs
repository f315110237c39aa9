//! What few services need, on a real engine: secrets and configs as files, and everything that is only a field of the engine's.

#![allow(clippy::unwrap_used, reason = "a test")]

use crate::bench::{Bench, bench, bind, engine};
use landfall_model::container::{Container, Content, Device, MountedFile, Namespace, Share, Ulimit};
use landfall_model::name::NetworkName;
use landfall_model::spec::{Mount, MountSource, Network, Subnet, Volume};
use landfall_runtime::conformance::{Act, Shape};
use landfall_runtime::{Launch, Runtime};
use std::collections::{BTreeMap, BTreeSet};

fn file(target: &str, text: &str, (uid, gid, mode): (u32, u32, u32)) -> MountedFile {
    MountedFile { target: target.into(), content: Content::new(text), of_user: false, uid, gid, mode }
}

/// Runs a script of `bash` in a job of this launch and answers what it wrote.
async fn said(b: &Bench, mut launch: Launch, script: &str) -> Vec<String> {
    launch.job = true;
    launch.template.command = Some(["bash", "-c", script].map(String::from).into());
    b.rt.start(&launch).await.unwrap();
    let exit = b.rt.wait(&b.kit.app, &launch.id).await.unwrap();
    let lines = b.kit.lines(&b.rt, &launch.id, 100).await;
    b.rt.remove(&b.kit.app, &launch.id).await.unwrap();
    assert_eq!(exit.code, 0, "{lines:?}");
    lines.into_iter().map(|(_, line)| line).collect()
}

#[tokio::test]
async fn secrets_and_configs_are_files_with_owner_and_mode() {
    bench("files")
        .await
        .with(async |b| {
            let mut launch = b.stay("web-1-1");
            launch.template.container.files = vec![
                file("/etc/app/settings.yaml", "port: 1\n", (0, 0, 0o444)),
                file("/run/secrets/key", "s3cret ä", (1000, 1001, 0o400)),
                file("/top", "", (0, 0, 0o444)),
            ];
            let look = "stat -c '%n %u:%g %a' /run/secrets /run/secrets/key /etc/app/settings.yaml /top; cat /run/secrets/key; echo; cat /etc/app/settings.yaml; stat -c %a /etc";
            let wanted = [
                "/run/secrets 0:0 755",
                "/run/secrets/key 1000:1001 400",
                "/etc/app/settings.yaml 0:0 444",
                "/top 0:0 444",
                "s3cret ä",
                "port: 1",
                "755",
            ];
            assert_eq!(said(b, launch.clone(), look).await, wanted);
            // A root that cannot be written, and memory over the place of secrets.
            launch.template.read_only = true;
            launch.template.container.tmpfs = BTreeMap::from([("/run".into(), "size=1m".into())]);
            let look = "cat /run/secrets/key; echo; cat /etc/app/settings.yaml; cat /top >/dev/null && echo top; stat -c '%u:%g %a' /run/secrets/key; \
                        for at in /x /etc/app/x /etc/app/settings.yaml /top; do touch $at 2>/dev/null || echo sealed; done";
            assert_eq!(said(b, launch, look).await, ["s3cret ä", "port: 1", "top", "1000:1001 400", "sealed", "sealed", "sealed", "sealed"]);
        })
        .await;
}

#[tokio::test]
async fn a_secret_belongs_to_whom_the_container_runs_as() {
    bench("owner")
        .await
        .with(async |b| {
            for (id, user, owner) in [("web-1-1", None, "0:0"), ("web-2-1", Some("1234"), "1234:0"), ("web-3-1", Some("www-data"), "33:33")]
            {
                let mut launch = b.stay(id);
                launch.template.user = user.map(str::to_owned);
                launch.template.container.files = vec![MountedFile { of_user: true, ..file("/run/secrets/key", "own", (7, 7, 0o600)) }];
                let look = "stat -c '%u:%g %a' /run/secrets/key; cat /run/secrets/key; echo";
                assert_eq!(said(b, launch, look).await, [&format!("{owner} 600"), "own"], "{user:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_restart_keeps_the_files_and_removal_takes_them() {
    bench("kept")
        .await
        .with(async |b| {
            let mut launch = b.stay("web-1-1");
            launch.template.read_only = true;
            launch.template.container.files = vec![file("/run/secrets/key", "kept", (0, 0, 0o444))];
            b.rt.start(&launch).await.unwrap();
            b.rt.stop(&b.kit.app, &launch.id, None, std::time::Duration::from_secs(10)).await.unwrap();
            b.rt.start_again(&b.kit.app, &launch.id).await.unwrap();
            let argv: Vec<String> = ["cat", "/run/secrets/key"].map(String::from).into();
            let mut session = b.rt.exec(&b.kit.app, &launch.id, &argv, false).await.unwrap();
            let mut out = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut session.stdout, &mut out).await.unwrap();
            assert_eq!(out, "kept");
            let mounts = b.inspect(&launch).await.mounts.unwrap();
            let at = |target: &str| mounts.iter().find(|m| m.destination.as_deref() == Some(target));
            assert!(at("/run/secrets").is_none(), "its directory is no mount: {mounts:?}");
            let mounted = at("/run/secrets/key").unwrap();
            assert_eq!((mounted.typ.as_deref(), mounted.rw), (Some("bind"), Some(false)));
            let kept = format!("{}-{}-files", launch.app, launch.id);
            assert!(engine().inspect_volume(&kept).await.is_ok());
            b.rt.remove(&b.kit.app, &launch.id).await.unwrap();
            assert!(engine().inspect_volume(&kept).await.is_err(), "a secret outlived its container");
        })
        .await;
}

fn everything() -> Container {
    let text = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>();
    Container {
        hostname: "inside".into(),
        domain: "example.com".into(),
        extra_hosts: text(&["mail:10.0.0.5", "host.docker.internal:host-gateway"]),
        dns_search: text(&["example.com"]),
        dns_options: text(&["ndots:2"]),
        groups: text(&["1234"]),
        sysctls: pairs(&[("net.ipv4.ip_unprivileged_port_start", "1000")]),
        ulimits: BTreeMap::from([("nofile".into(), Ulimit { soft: 1000, hard: 2000 })]),
        stdin_open: true,
        tmpfs: pairs(&[("/scratch", "size=1m,mode=700")]),
        ipc: "private".into(),
        private_cgroup: true,
        security: text(&["no-new-privileges:true"]),
        dropped: BTreeSet::from(["NET_RAW".into()]),
        share: Share { cpu_shares: 512, memory_reservation: 16 << 20, oom_score: 100, cores: "0".into(), ..Share::default() },
        ..Container::default()
    }
}

#[tokio::test]
async fn a_container_is_given_what_the_file_says() {
    bench("details")
        .await
        .with(async |b| {
            let mut launch = b.kit.launch("web-1-1", &Act::Stay, &Shape::default());
            launch.template.container = everything();
            let look = "hostname -f; ulimit -Sn; ulimit -Hn; id -G; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; \
                        grep -c 'mail$' /etc/hosts; grep -c host.docker.internal /etc/hosts; stat -c %a /scratch; \
                        grep -o 'example.com' /etc/resolv.conf; grep -o 'ndots:2' /etc/resolv.conf; \
                        grep NoNewPrivs /proc/self/status | tr '\\t' ' '; cat /proc/self/oom_score_adj; grep CapEff /proc/self/status | tr '\\t' ' '";
            let seen = said(b, launch.clone(), look).await;
            let wanted =
                ["inside.example.com", "1000", "2000", "0 1234", "1000", "1", "1", "700", "example.com", "ndots:2", "NoNewPrivs: 1", "100"];
            assert_eq!(seen[..wanted.len()], wanted);
            // The usual set without NET_RAW (bit 13).
            assert_eq!(seen[wanted.len()], "CapEff: 00000000a80405fb");
            launch.template.container.tty = true;
            assert_eq!(said(b, launch, "test -t 1 && echo terminal").await, ["terminal"]);
        })
        .await;
}

#[tokio::test]
async fn powers_reach_the_engine() {
    bench("powers")
        .await
        .with(async |b| {
            let mut launch = b.stay("web-1-1");
            launch.template.networks.clear();
            let access = &mut launch.template.container.access;
            access.capabilities = BTreeSet::from(["NET_ADMIN".into()]);
            access.devices = vec![Device { source: "/dev/null".into(), target: "/dev/hole".into(), permissions: "rw".into() }];
            access.device_rules = vec!["c 1:3 rw".into()];
            access.host = BTreeSet::from([Namespace::Network, Namespace::Pid, Namespace::Uts, Namespace::Ipc]);
            b.rt.start(&launch).await.unwrap();
            let host = b.inspect(&launch).await.host_config.unwrap();
            assert_eq!(host.network_mode.as_deref(), Some("host"));
            assert_eq!(
                (host.pid_mode.as_deref(), host.uts_mode.as_deref(), host.ipc_mode.as_deref()),
                (Some("host"), Some("host"), Some("host"))
            );
            assert_eq!(host.cap_add, Some(vec!["NET_ADMIN".into()]));
            assert_eq!(host.devices.unwrap()[0].path_in_container.as_deref(), Some("/dev/hole"));
            b.rt.remove(&b.kit.app, &launch.id).await.unwrap();
            let mut launch = b.stay("web-1-2");
            launch.template.container.access.privileged = true;
            // An engine inside a sandbox makes such a container and may not start it.
            let _ = b.rt.start(&launch).await;
            assert_eq!(b.inspect(&launch).await.host_config.unwrap().privileged, Some(true));
        })
        .await;
}

#[tokio::test]
async fn networks_and_volumes_are_made_as_the_file_says() {
    bench("made")
        .await
        .with(async |b| {
            let key: NetworkName = "wide".parse().unwrap();
            let name = format!("{}_wide", b.kit.app);
            let network = Network {
                external_name: name.clone(),
                attachable: true,
                labels: BTreeMap::from([("team".into(), "a".into()), ("landfall.app".into(), "forged".into())]),
                options: BTreeMap::from([("com.docker.network.driver.mtu".into(), "1400".into())]),
                subnets: vec![Subnet { subnet: "10.213.0.0/24".into(), gateway: "10.213.0.9".into(), ..Subnet::default() }],
                ..Network::default()
            };
            b.rt.ensure_network(&b.kit.app, &key, &network).await.unwrap();
            let seen = b.kit.observe(&b.rt).await.networks[&key].clone();
            let found = engine().inspect_network(&name, None::<bollard::query_parameters::InspectNetworkOptions>).await.unwrap();
            b.rt.remove_network(&b.kit.app, &key, &network).await.unwrap();
            assert_eq!((seen.gateway, seen.subnet.as_deref()), (Some("10.213.0.9".parse().unwrap()), Some("10.213.0.0/24")));
            let labels = found.labels.unwrap();
            assert_eq!((labels["team"].as_str(), labels["landfall.app"].as_str()), ("a", b.kit.app.as_str()));
            assert_eq!(found.options.unwrap()["com.docker.network.driver.mtu"], "1400");

            let key = "memory".parse().unwrap();
            let volume = Volume {
                external_name: format!("{}_memory", b.kit.app),
                options: [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")].map(|(k, v)| (k.into(), v.into())).into(),
                labels: BTreeMap::from([("team".into(), "a".into())]),
                ..Volume::default()
            };
            b.rt.ensure_volume(&b.kit.app, &key, &volume).await.unwrap();
            let mut launch = b.stay("web-1-1");
            launch.volumes.insert(key.clone(), volume.clone());
            launch.template.mounts.push(Mount {
                source: MountSource::Volume { name: key.clone(), no_copy: true },
                target: "/memory".into(),
                read_only: false,
            });
            assert_eq!(said(b, launch, "stat -f -c %T /memory").await, ["tmpfs"]);
            b.rt.remove_volume(&b.kit.app, &key, &volume).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn a_bind_that_is_to_be_made_is_made() {
    bench("bind")
        .await
        .with(async |b| {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("new/data");
            let mut launch = b.stay("web-1-1");
            launch.template.mounts.push(Mount { source: bind(path.to_str().unwrap(), true), target: "/made".into(), read_only: false });
            assert_eq!(said(b, launch, "echo x > /made/x && cat /made/x").await, ["x"]);
            assert!(path.join("x").is_file());
        })
        .await;
}
