//! A release that takes what the server's owner did not grant is refused before anything is touched, whatever its client says.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_agent::{Agent, Runtimes, Settings, Surroundings};
use landfall_model::api::{Accepted, Failure, RolloutRequest, Want};
use landfall_model::compose::{FileProblem, Files, Input, resolve};
use landfall_model::spec::{Mount, MountSource, RuntimeKind, Spec, Subnet, Volume};
use landfall_runtime::Owners;
use landfall_runtime::fake::FakeRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

struct OneFile(String);

impl Files for OneFile {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path == "compose.yaml" { Ok(self.0.clone().into_bytes()) } else { Err(FileProblem::NotFound) }
    }
    fn exists(&self, path: &str) -> bool {
        !path.ends_with(".env")
    }
}

/// A spec of the app `shop` whose service `web` has these keys.
fn spec(keys: &str, project_dir: &str) -> Spec {
    let files = ["compose.yaml".to_owned()];
    let reader = OneFile(format!("name: shop\nservices:\n  web: {{ image: nginx, {keys} }}\n"));
    let input = Input {
        files: &files,
        cwd: project_dir,
        project_dir,
        project_name: None,
        env: &BTreeMap::new(),
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &reader,
        rules: None,
        environment: None,
    };
    let output = resolve(&input);
    output.spec.unwrap_or_else(|| panic!("{:?}", output.diagnostics))
}

/// What the agent of this home says to a release, and what it did.
async fn release(home: &Path, spec: Spec) -> (Result<Accepted, Failure>, Vec<String>) {
    let runtime = Arc::new(FakeRuntime::new(RuntimeKind::Docker));
    let runtimes = Runtimes { docker: runtime.clone(), process: runtime.clone() };
    let settings = Settings { home: home.to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
    // As the agent of a server that runs as root.
    let surroundings = Surroundings { grant_programs: true, ..Surroundings::default() };
    let agent = Agent::open_in(&settings, runtimes, surroundings).unwrap();
    let request = RolloutRequest {
        id: "rollout-1".parse().unwrap(),
        want: Want::Deploy {
            spec: Box::new(spec),
            given: std::collections::BTreeMap::new(),
            unset: landfall_model::secret::Unset::default(),
            from: None,
        },
    };
    let answer = agent.begin(&"shop".parse().unwrap(), request, "test").await;
    (answer, runtime.journal())
}

#[tokio::test]
async fn a_power_that_was_not_granted_is_refused_with_the_line_that_grants_it() {
    for (keys, power) in [
        ("privileged: true", "privileged"),
        ("network_mode: host", "namespace:network"),
        ("pid: host", "namespace:pid"),
        ("cap_add: [NET_ADMIN, CHOWN]", "cap:NET_ADMIN"),
        ("devices: [/dev/dri]", "device:/dev/dri"),
        ("volumes: [/var/run/docker.sock:/var/run/docker.sock]", "bind:/var/run/docker.sock"),
        ("security_opt: [seccomp:unconfined]", "security:seccomp:unconfined"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (answer, journal) = release(home.path(), spec(keys, "/srv/shop")).await;
        let failure = answer.unwrap_err();
        assert_eq!((failure.code.as_str(), journal.len()), ("not-granted", 0), "{keys}: {failure:?}");
        let line = format!("shop: {{ web: [\"{power}\"] }}");
        assert!(failure.hints.iter().any(|h| h.ends_with(&format!("`{line}`"))), "{keys}: {:?}", failure.hints);
        // That very line makes it pass.
        std::fs::write(home.path().join("grants.yaml"), line).unwrap();
        let (answer, _) = release(home.path(), spec(keys, "/srv/shop")).await;
        assert!(matches!(answer, Ok(Accepted::Rollout { .. })), "{keys}: {answer:?}");
    }
}

#[tokio::test]
async fn what_a_client_says_of_its_project_does_not_help_it() {
    let home = tempfile::tempdir().unwrap();
    let project = tempfile::tempdir().unwrap();
    let dir = project.path().canonicalize().unwrap().display().to_string();
    std::os::unix::fs::symlink("/etc", project.path().join("out")).unwrap();
    // Whoever sends a spec may write anything into it.
    let mut everywhere = spec("volumes: [./passwd:/x]", "/etc");
    everywhere.project_dir = "/".into();
    let mut ipc = spec("ipc: private", "/srv/shop");
    ipc.services.values_mut().next().unwrap().template.container.ipc = "host".into();
    let mut joined = spec("networks: [default]", "/srv/shop");
    joined.networks.values_mut().next().unwrap().external_name = "container:other".into();
    for (taken, power) in [
        (everywhere, "bind:/etc/passwd"),
        (ipc, "namespace:ipc"),
        (joined, "namespace:network"),
        (spec("volumes: [./x:/x]", "/etc/cron.d"), "bind:/etc/cron.d/x"),
        (spec("volumes: [./x:/x]", "/etc"), "bind:/etc/x"),
        (spec("volumes: [./out/passwd:/x]", &dir), "bind:/etc/passwd"),
    ] {
        let (answer, journal) = release(home.path(), taken).await;
        let failure = answer.unwrap_err();
        assert!(failure.code == "not-granted" && failure.message.contains(power) && journal.is_empty(), "{failure:?}");
    }
    let (answer, _) = release(home.path(), spec("volumes: [./data:/x], cap_add: [CHOWN], security_opt: [no-new-privileges]", &dir)).await;
    assert!(answer.is_ok(), "what lies in the project and what is usual needs no grant: {answer:?}");
}

#[tokio::test]
async fn grants_that_anybody_could_have_written_are_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("grants.yaml");
    std::fs::write(&file, "shop: { web: [privileged] }").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (answer, _) = release(home.path(), spec("privileged: true", "/srv/shop")).await;
    assert_eq!(answer.unwrap_err().code, "grants-unusable");
}

/// The same app under the process runtime.
fn programs(keys: &str) -> Spec {
    let mut spec = spec(keys, "/srv/shop");
    spec.runtime = RuntimeKind::Process;
    spec
}

#[tokio::test]
async fn a_program_that_would_run_as_root_is_a_power_whatever_it_is_started_for() {
    let home = tempfile::tempdir().unwrap();
    let mut job = programs("command: [/bin/sh]");
    job.services.values_mut().next().unwrap().job = true;
    let mut idle = programs("command: [/bin/sh]");
    idle.services.values_mut().next().unwrap().replicas = 0;
    let mut hook = programs("command: [/bin/sh]");
    hook.tls = landfall_model::spec::Tls::Files { chain: "/etc/chain.pem".into(), key: "/etc/shadow".into() };
    for (spec, wanted) in [
        (programs("command: [/bin/sh]"), "web: process"),
        // `landfall run` starts what has no replica.
        (idle, "web: process"),
        (job, "web: process"),
        (hook, "tls: bind:/etc/chain.pem, bind:/etc/shadow"),
    ] {
        let (answer, journal) = release(home.path(), spec).await;
        let failure = answer.unwrap_err();
        assert_eq!((failure.code.as_str(), journal.len()), ("not-granted", 0), "{failure:?}");
        assert!(failure.message.contains(wanted), "{failure:?}");
    }
    std::fs::write(home.path().join("grants.yaml"), "shop: { web: [process] }").unwrap();
    let (answer, _) = release(home.path(), programs("command: [/bin/sh]")).await;
    assert!(matches!(answer, Ok(Accepted::Rollout { .. })), "{answer:?}");
}

#[tokio::test]
async fn who_runs_the_agent_for_himself_needs_no_grant_for_programs() {
    let home = tempfile::tempdir().unwrap();
    let runtime = Arc::new(FakeRuntime::new(RuntimeKind::Process));
    let settings = Settings { home: home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
    let agent = Agent::open(&settings, Runtimes { docker: runtime.clone(), process: runtime }).unwrap();
    let want = Want::Deploy {
        spec: Box::new(programs("command: [/bin/sh]")),
        given: BTreeMap::new(),
        unset: landfall_model::secret::Unset::default(),
        from: None,
    };
    let answer = agent.begin(&"shop".parse().unwrap(), RolloutRequest { id: "rollout-1".parse().unwrap(), want }, "test").await;
    assert!(answer.is_ok(), "{answer:?}");
}

/// What the agent says to a release beside what others made.
async fn release_beside(home: &Path, spec: Spec, owners: Owners) -> Result<Accepted, Failure> {
    let runtime = Arc::new(FakeRuntime::new(RuntimeKind::Docker));
    runtime.set_owners(owners);
    let settings = Settings { home: home.to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
    let agent = Agent::open(&settings, Runtimes { docker: runtime.clone(), process: runtime }).unwrap();
    let want = Want::Deploy { spec: Box::new(spec), given: BTreeMap::new(), unset: landfall_model::secret::Unset::default(), from: None };
    agent.begin(&"shop".parse().unwrap(), RolloutRequest { id: "rollout-1".parse().unwrap(), want }, "test").await
}

#[tokio::test]
async fn what_another_app_made_is_a_power_by_whatever_name_it_is_asked_for() {
    let billing = || -> Owners {
        let made = |name: &str, app: &str| BTreeMap::from([(name.to_owned(), app.parse().unwrap())]);
        let mut owners = Owners { networks: made("billing_default", "billing"), volumes: made("billing_pgdata", "billing"), root: None };
        owners.volumes.insert("shop_data".into(), "shop".parse().unwrap());
        owners.root = Some("/data/docker".into());
        owners
    };
    let mut other = spec("volumes: [/x]", "/srv/shop");
    let volumes = |external: bool| {
        let mut spec = spec("tty: true", "/srv/shop");
        spec.volumes.insert("d".parse().unwrap(), Volume { external_name: "billing_pgdata".into(), external, ..Volume::default() });
        let source = MountSource::Volume { name: "d".parse().unwrap(), no_copy: false };
        spec.services.values_mut().next().unwrap().template.mounts.push(Mount { source, target: "/d".into(), read_only: true });
        spec
    };
    let network = |external: bool| {
        let mut spec = spec("tty: true", "/srv/shop");
        let one = spec.networks.values_mut().next().unwrap();
        (one.external_name, one.external) = ("billing_default".into(), external);
        spec
    };
    let engines = spec("volumes: [./docker/volumes/billing_pgdata/_data:/d]", "/data");
    for (taken, power) in [
        (volumes(true), "volume:billing_pgdata"),
        (volumes(false), "volume:billing_pgdata"),
        (network(true), "network:billing_default"),
        (network(false), "network:billing_default"),
        (engines, "bind:/data/docker/volumes/billing_pgdata/_data"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let failure = release_beside(home.path(), taken.clone(), billing()).await.unwrap_err();
        assert!(failure.code == "not-granted" && failure.message.contains(power), "{failure:?}");
        std::fs::write(home.path().join("grants.yaml"), format!("shop: {{ web: [\"{power}\"] }}")).unwrap();
        let answer = release_beside(home.path(), taken, billing()).await;
        assert!(answer.is_ok(), "{power}: {answer:?}");
    }
    // Its own, and what no app made, is free.
    let home = tempfile::tempdir().unwrap();
    other.networks.values_mut().for_each(|n| (n.external, n.external_name) = (true, "made_by_hand".into()));
    assert!(release_beside(home.path(), other, billing()).await.is_ok());
}

#[tokio::test]
async fn nothing_below_what_a_container_may_write_is_free_to_bind() {
    let project = tempfile::tempdir().unwrap();
    let dir = project.path().canonicalize().unwrap().display().to_string();
    for (keys, power) in [
        ("volumes: [./:/app, ./data:/data]", Some(format!("bind:{dir}/data"))),
        ("volumes: [./site:/app, ./site/a/b:/data:ro]", Some(format!("bind:{dir}/site/a/b"))),
        ("volumes: [./site:/app:ro, ./site/a:/data]", None),
        ("volumes: [./site:/app, ./site:/again, ./site2:/data]", None),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (answer, _) = release(home.path(), spec(keys, &dir)).await;
        match power {
            Some(power) => assert!(answer.unwrap_err().message.contains(&power), "{keys}"),
            None => assert!(answer.is_ok(), "{keys}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn ranges_of_the_host_and_of_the_internet_are_no_apps() {
    let subnet = |range: &str| {
        let mut spec = spec("tty: true", "/srv/shop");
        let one = spec.networks.values_mut().next().unwrap();
        one.subnets.push(Subnet { subnet: range.into(), ..Subnet::default() });
        spec
    };
    for public in ["1.1.1.0/30", "0.0.0.0/0", "2001:db8::/64"] {
        let home = tempfile::tempdir().unwrap();
        let (answer, journal) = release(home.path(), subnet(public)).await;
        assert!(answer.unwrap_err().message.contains(&format!("subnet:{public}")) && journal.is_empty());
    }
    let home = tempfile::tempdir().unwrap();
    assert!(release(home.path(), subnet("10.213.77.0/24")).await.0.is_ok());
}
