//! Faults of containers, on the real engine.

use crate::place::{Examined, Place};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// A container of this test's own that only sleeps.
struct Container(String);

impl Container {
    fn start(what: &str, options: &[&str]) -> Self {
        let name = format!("landfall-doctor-test-{what}-{}", std::process::id());
        let output = Command::new("docker")
            .args(["run", "--detach", "--rm", "--name", &name])
            .args(options)
            .arg("tutor-frontend:1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Self(name)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.0]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// What is said of that container alone: others may run here.
fn told(examined: &Examined, check: &str, container: &Container) -> Vec<(String, String)> {
    examined.of_check(check).into_iter().filter(|(_, seen)| seen.contains(&format!("`{}`", container.0))).collect()
}

#[test]
fn a_container_that_reaches_too_far_is_named() {
    let place = Place::bare();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let well = Container::start("well", &["--publish", &format!("127.0.0.1:{port}:5432")]);
    let examined = place.examine();
    for check in ["published-port", "proxy-port", "docker-socket", "privileged-container"] {
        assert_eq!(told(&examined, check, &well), [], "{check}");
    }
    drop(well);

    let bad = Container::start(
        "bad",
        &[
            "--privileged",
            "--volume",
            "/var/run/docker.sock:/var/run/docker.sock:ro",
            "--publish",
            &format!("0.0.0.0:{port}:5432"),
            // An address of loopback that nobody else has.
            "--publish",
            "127.77.11.7:80:80",
        ],
    );
    let examined = place.examine();
    let one = |check: &str| told(&examined, check, &bad).into_iter().map(|(severity, _)| severity).collect::<Vec<_>>();
    assert_eq!(one("published-port"), ["critical"]);
    assert_eq!(one("proxy-port"), ["critical"]);
    assert_eq!(one("docker-socket"), ["warning"]);
    assert_eq!(one("privileged-container"), ["warning"]);
    assert!(!examined.of_check("open-port").iter().any(|(_, seen)| seen.contains(&port.to_string())), "a port is told once");
    // This machine's engine is Debian's: its holes are closed by revisions, and it is said where that is told.
    let version = examined.of_check("engine-version");
    assert!(
        !version.is_empty() && version.iter().all(|(_, seen)| seen.contains("security-updates") || seen.contains("table of")),
        "{version:?}"
    );
}

#[test]
fn an_engine_that_is_silent_is_told() {
    let place = Place::new();
    place.examine().fires("engine-version", "unchecked", "could not be checked");
}
