//! A release that takes what the server's owner did not grant is refused before anything is touched, whatever its client says.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_agent::{Agent, Runtimes, Settings};
use landfall_model::api::{Accepted, Failure, RolloutRequest, Want};
use landfall_model::compose::{FileProblem, Files, Input, resolve};
use landfall_model::spec::{RuntimeKind, Spec};
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
    let agent = Agent::open(&settings, runtimes).unwrap();
    let request = RolloutRequest {
        id: "rollout-1".parse().unwrap(),
        want: Want::Deploy { spec: Box::new(spec), given: std::collections::BTreeMap::new() },
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
