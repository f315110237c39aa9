//! What a release may have of the server, and what it finds inside: an app of its own, from the file to the running container.

use crate::server::text;
use std::process::{Command, Output, Stdio};

const FILE: &str = r#"
name: APP
services:
  store:
    image: landfall-debian:bookworm
    pull_policy: never
    container_name: the-store
    init: true
    command: [sleep, infinity]
    networks: { default: { aliases: [storage] } }
    secrets: [{ source: key, uid: "1000", mode: 0400 }]
  looker:
    image: landfall-debian:bookworm
    pull_policy: never
    init: true
    command: [sleep, infinity]
    links: ["store:linked"]
    MORE
secrets:
  key: { environment: KEY }
"#;

/// A home and a project, taken down at the end.
struct Place {
    home: tempfile::TempDir,
    project: tempfile::TempDir,
    app: String,
}

impl Place {
    fn new() -> Self {
        let app = format!("access-{}", std::process::id());
        Self { home: tempfile::tempdir().unwrap(), project: tempfile::tempdir().unwrap(), app }
    }

    fn write(&self, more: &str) {
        let file = FILE.replace("APP", &self.app).replace("MORE", more);
        std::fs::write(self.project.path().join("compose.yaml"), file).unwrap();
    }

    fn landfall(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(args).current_dir(self.project.path()).env("LANDFALL_HOME", self.home.path()).env("KEY", "s3cret");
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What a command in a service writes.
    fn inside(&self, service: &str, argv: &[&str]) -> String {
        let output = self.landfall(&[&["exec", "-T", service, "--"], argv].concat());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let down = self.landfall(&["down", "--volumes", "--confirm", "RESET_ALL_VOLUMES"]);
        if !std::thread::panicking() {
            assert!(down.status.success(), "down: {}", text(&down));
        }
    }
}

#[test]
fn a_service_has_its_names_and_secrets_and_of_the_host_only_what_was_granted() {
    let place = Place::new();
    place.write("");
    let up = place.landfall(&["up", "--detach", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
    assert!(up.status.success(), "{}", text(&up));
    for name in ["store", "storage", "the-store", "linked"] {
        let found = place.inside("looker", &["getent", "hosts", name]);
        assert!(found.ends_with(name), "{name} is not answered: {found:?}");
    }
    assert_eq!(place.inside("looker", &["getent", "hosts", "nobody"]), "");
    assert_eq!(place.inside("store", &["stat", "-c", "%u %a", "/run/secrets/key"]), "1000 400");
    assert_eq!(place.inside("store", &["cat", "/run/secrets/key"]), "s3cret");

    place.write(r#"volumes: ["/var/run/docker.sock:/var/run/docker.sock"]"#);
    let refused = place.landfall(&["deploy"]);
    let (line, said) = (format!("{}: {{ looker: [\"bind:/var/run/docker.sock\"] }}", place.app), text(&refused));
    assert!(!refused.status.success() && said.contains("not-granted") && said.contains(&line), "{said}");
    assert_eq!(place.inside("looker", &["ls", "/var/run/docker.sock"]), "", "what was refused was done");

    std::fs::write(place.home.path().join("grants.yaml"), line).unwrap();
    let granted = place.landfall(&["deploy"]);
    assert!(granted.status.success(), "{}", text(&granted));
    assert_eq!(place.inside("looker", &["ls", "/var/run/docker.sock"]), "/var/run/docker.sock");
}
