//! Images to a server without a registry: what the server lacks travels and nothing else, and a transfer that is killed goes on where it was.
//!
//! The machine that sends has an engine of its own: a second dockerd with its own directory, which runs no containers.

use crate::place::{Served, Server, build, here, must, serve, text, until};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Bytes of one layer's file.
const LAYER: usize = 10_000_000;
const LAYERS: usize = 6;

/// A dockerd beside the machine's.
struct Engine {
    host: String,
    dir: tempfile::TempDir,
    child: Option<Served>,
}

impl Drop for Engine {
    /// dockerd leaves its directory mounted on itself when it ends, and a mounted directory cannot be deleted.
    fn drop(&mut self) {
        self.child = None;
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = self.dir.path().display().to_string();
        for place in mounts.lines().filter_map(|l| l.split(' ').nth(1)).filter(|p| p.starts_with(&ours)) {
            let _ = Command::new("umount").arg(place).status();
        }
    }
}

impl Engine {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("lfd").tempdir_in("/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        let host = format!("unix://{}", at("d.sock").display());
        let mut dockerd = Command::new("dockerd");
        dockerd.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "-H", &host]);
        dockerd.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec")).arg("--pidfile").arg(at("pid"));
        let child = serve(&mut dockerd, &at("log"));
        let engine = Self { host, dir, child: Some(child) };
        until("the second engine answers", || engine.docker(&["version"]).output().unwrap().status.success().then_some(()));
        engine
    }

    fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.host).args(args);
        command
    }

    /// An image of six layers of random bytes.
    fn build(&self, image: &str) -> String {
        let lines: String = (0..LAYERS).map(|n| format!("COPY layer-{n} /layer-{n}\n")).collect();
        build(Some(&self.host), image, &format!("FROM scratch\n{lines}"), self.dir.path())
    }

    fn renew(&self, layer: usize) {
        let mut bytes = vec![0; LAYER];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        std::fs::write(self.dir.path().join(format!("layer-{layer}")), bytes).unwrap();
    }
}

/// Bytes of layers that wait on the server.
fn waiting(home: &Path) -> u64 {
    let entries = std::fs::read_dir(home.join("uploads")).into_iter().flatten().flatten();
    entries.filter_map(|e| Some(e.metadata().ok()?.len())).sum()
}

#[test]
fn only_layers_that_the_server_lacks_travel_and_a_killed_push_goes_on() {
    let engine = Engine::start();
    let server = Server::up("lf-images-push", "landfall-test-pushed");
    let image = "landfall-test-pushed:1";
    (0..LAYERS).for_each(|layer| engine.renew(layer));
    let id = engine.build(image);
    let push = || {
        let mut command = server.landfall(&["push", image, "--json"]);
        command.env("DOCKER_HOST", &engine.host);
        command
    };
    let sent = |mut command: Command| {
        let answer: Value = serde_json::from_str(&must(&mut command)).unwrap();
        assert_eq!(answer["image"], image);
        (answer["sent"].as_u64().unwrap(), answer["bytes"].as_u64().unwrap())
    };

    // Killed in the middle.
    let mut killed = push().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("some of it has arrived", || (waiting(&server.home()) > 2 * LAYER as u64).then_some(()));
    killed.kill().unwrap();
    assert!(!killed.wait().unwrap().success(), "the push was over before it could be killed");
    let there = waiting(&server.home());
    let (rest, whole) = sent(push());
    assert!(whole > (LAYER * LAYERS) as u64, "{whole}");
    // A piece may have been on its way when the sender died.
    assert!(rest <= whole - there && rest + there + 4_000_000 >= whole, "{rest} of {whole} were sent though {there} were there");
    assert!(here(image) && waiting(&server.home()) == 0);
    assert_eq!(must(Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", image])), id);
    assert_eq!(sent(push()), (0, whole), "nothing is sent twice");

    // Another last layer: that one travels.
    engine.renew(LAYERS - 1);
    let second = engine.build(image);
    let (last, whole) = sent(push());
    assert!((LAYER as u64..LAYER as u64 + 10_000).contains(&last), "{last} bytes for one layer of {LAYER}");
    assert_eq!(must(Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", image])), second);
    let shown = text(&server.landfall(&["push", image]).env("DOCKER_HOST", &engine.host).output().unwrap());
    assert!(shown.contains(&format!("sent 0 B of {}.{} MB", whole / 1_000_000, whole / 100_000 % 10)), "{shown}");

    // A deploy sends what it needs, and the server asks no registry.
    let base = must(Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", crate::place::BASE]));
    let saved = engine.dir.path().join("base.tar");
    must(Command::new("docker").args(["save", "-o"]).arg(&saved).arg(crate::place::BASE));
    must(engine.docker(&["load", "-q", "-i"]).arg(&saved));
    let third =
        build(Some(&engine.host), "landfall-test-pushed:3", &format!("FROM {}\nLABEL a=b\n", crate::place::BASE), engine.dir.path());
    assert_ne!(base, third);
    let deployed = text(&server.landfall(&["deploy", "--push", "--tag", "3"]).env("DOCKER_HOST", &engine.host).output().unwrap());
    assert!(deployed.contains("already there"), "{deployed}");
    assert_eq!(server.serving(), third);

    // What is not there, and what is no image, is said.
    let missing = text(&server.landfall(&["push", "landfall-test-none:1"]).env("DOCKER_HOST", &engine.host).output().unwrap());
    assert!(missing.contains("[no-image]") && missing.contains("docker build"), "{missing}");
    drop(server);
    must(Command::new("docker").args(["image", "rm", image, "landfall-test-pushed:3", &id]));
}
