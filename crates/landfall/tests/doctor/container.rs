//! Faults of containers, on the real engine.

use crate::place::{Examined, Place, stays};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// A container of this test's own in a network of its own.
struct Container(String);

impl Container {
    fn start(what: &str, options: &[&str]) -> Self {
        let container = Self(format!("landfall-doctor-test-{what}-{}", std::process::id()));
        let name = &container.0;
        for argv in [["network", "create", name].as_slice(), &["run", "--detach", "--name", name, "--network", name]] {
            let mut command = Command::new("docker");
            command.args(argv);
            if argv.contains(&"run") {
                command.args(options).arg("tutor-frontend:1");
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        container
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        for argv in [["rm", "--force", "--volumes"].as_slice(), &["network", "rm"]] {
            let _ = Command::new("docker").args(argv).arg(&self.0).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
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

/// What an engine answers when it is asked for its version and its containers; a real one with a hole is not wanted here.
const ENGINE: &str = "
import http.server, json, socketserver, threading
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        parts = [{'Name': 'Engine', 'Version': VERSION}, {'Name': 'runc', 'Version': RUNC}]
        body = json.dumps([] if 'containers' in self.path else {'Version': VERSION, 'ApiVersion': '1.44', 'Components': parts}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self): return ''
    def log_message(self, *words): pass
server = socketserver.ThreadingUnixStreamServer('/run/engine.sock', Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()";

#[test]
fn an_engine_with_a_hole_is_told_with_the_release_that_closes_it() {
    let place = Place::new();
    let engine = |version: &str, runc: &str| {
        place.must(&["rm", "-f", "/run/engine.sock"]);
        stays(place.command(&["python3"]), &format!("VERSION, RUNC = {version:?}, {runc:?}\n{ENGINE}"))
    };
    {
        let _new = engine("29.9.0", "1.5.2");
        place.examine_engine("/run/engine.sock").silent("engine-version");
    }
    let _old = engine("28.2.2", "1.2.5");
    let found = place.examine_engine("/run/engine.sock");
    found.fires("engine-version", "warning", "runc 1.2.5 has CVE-2025-31133, CVE-2025-52565, CVE-2025-52881");
    found.fires("engine-version", "warning", "closed in 29.5.1 (table of ");
    found.fires("engine-version", "note", "Engine 28.2.2 has CVE-2025-54388");
}

#[test]
fn an_engine_that_is_silent_is_told() {
    let place = Place::new();
    place.examine().fires("engine-version", "unchecked", "could not be checked");
}
