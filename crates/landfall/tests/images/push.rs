//! Images to a server without a registry: what the server lacks travels and nothing else, and a transfer that is killed goes on where it was.
//!
//! The server is behind a real sshd. The machine that sends has an engine of its own: a second dockerd with its own directory, which runs no containers.

use crate::place::{BASE, Served, build, here, must, serve, text, until};
use crate::stage::Stage;
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
        // In a network of its own: an engine without a bridge deletes the `docker0` it finds, and that one is the other engine's.
        let mut dockerd = Command::new("unshare");
        dockerd.args(["--net", "dockerd", "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "-H", &host]);
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

/// The image that serves.
fn serving(stage: &Stage, app: &str) -> String {
    let status = stage.ask(&["status", app]);
    let app = if status.is_array() { &status[0] } else { &status };
    let replicas = app["services"][0]["replicas"].as_array().unwrap();
    let id = replicas.iter().find(|r| r["serving"] == true).unwrap()["id"].as_str().unwrap();
    must(Command::new("docker").args(["container", "inspect", "-f", "{{.Image}}", &format!("{}-{id}", app["app"].as_str().unwrap())]))
}

#[test]
fn only_layers_that_the_server_lacks_travel_over_ssh_and_a_killed_push_goes_on() {
    let engine = Engine::start();
    let stage = Stage::up();
    let home = stage.path("home");
    let there = |arguments: &[&str]| {
        let mut command = stage.there("deploy", arguments);
        command.env("DOCKER_HOST", &engine.host);
        command
    };
    let image = "landfall-test-pushed:1";
    (0..LAYERS).for_each(|layer| engine.renew(layer));
    let id = engine.build(image);
    let sent = || {
        let answer: Value = serde_json::from_str(&must(&mut there(&["push", image, "--json"]))).unwrap();
        assert_eq!(answer["image"], image);
        (answer["sent"].as_u64().unwrap(), answer["bytes"].as_u64().unwrap())
    };

    // Killed in the middle.
    let mut killed = there(&["push", image]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("some of it has arrived", || (waiting(&home) > 2 * LAYER as u64).then_some(()));
    killed.kill().unwrap();
    assert!(!killed.wait().unwrap().success(), "the push was over before it could be killed");
    let before = waiting(&home);
    let (rest, whole) = sent();
    assert!(whole > (LAYER * LAYERS) as u64, "{whole}");
    // Pieces that were on their way when the sender died may have arrived since.
    assert!(rest <= whole - before && rest + before + 8_000_000 >= whole, "{rest} of {whole} were sent though {before} were there");
    assert!(here(image) && waiting(&home) == 0);
    assert_eq!(must(Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", image])), id);
    assert_eq!(sent(), (0, whole), "nothing is sent twice");

    // Another last layer: that one travels.
    engine.renew(LAYERS - 1);
    let second = engine.build(image);
    let (last, whole) = sent();
    assert!((LAYER as u64..LAYER as u64 + 10_000).contains(&last), "{last} bytes for one layer of {LAYER}");
    assert_eq!(must(Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", image])), second);
    println!("over SSH: {before} bytes there when killed, {rest} of {whole} sent then; {last} for another last layer of {LAYER}");
    let shown = text(&there(&["push", image]).output().unwrap());
    assert!(shown.contains(&format!("sent 0 B of {}.{} MB", whole / 1_000_000, whole / 100_000 % 10)), "{shown}");

    // A deploy sends what it needs, and the server asks no registry.
    let saved = engine.dir.path().join("base.tar");
    must(Command::new("docker").args(["save", "-o"]).arg(&saved).arg(BASE));
    must(engine.docker(&["load", "-q", "-i"]).arg(&saved));
    let third = build(Some(&engine.host), "landfall-test-pushed:3", &format!("FROM {BASE}\nLABEL a=b\n"), engine.dir.path());
    let app = "lf-images-push";
    stage.project(app);
    let compose = stage.path("project").join(app).join("compose.yaml");
    let service = "mem_limit: 64m\n    stop_grace_period: 1s\n    x-landfall: { port: 8000, health: { path: /health }, drain: 0s }\n";
    std::fs::write(&compose, format!("name: {app}\nservices:\n  web:\n    image: landfall-test-pushed:${{TAG:-3}}\n    {service}"))
        .unwrap();
    let deployed = text(&there(&["deploy", app, "--push"]).output().unwrap());
    assert!(deployed.contains("already there"), "{deployed}");
    assert_eq!(serving(&stage, app), third);

    // What is built here arrives there, without the layers of its base.
    let inline = format!("{{ context: ., dockerfile_inline: \"FROM {BASE}\\nLABEL built=here\\n\" }}");
    std::fs::write(&compose, format!("name: {app}\nservices:\n  web:\n    build: {inline}\n    {service}")).unwrap();
    let built = text(&there(&["deploy", app, "--build"]).output().unwrap());
    assert!(built.contains("web is built as lf-images-push-web:") && built.contains(": sent 0 B of"), "{built}");
    let built = serving(&stage, app);
    let label = must(Command::new("docker").args(["image", "inspect", "-f", "{{.Config.Labels.built}}", &built]));
    assert_eq!(label, "here");

    // What is not there, and what is no image, is said.
    let missing = text(&there(&["push", "landfall-test-none:1"]).output().unwrap());
    assert!(missing.contains("[no-image]") && missing.contains("docker build"), "{missing}");
    drop(stage);
    must(Command::new("docker").args(["image", "rm", image, "landfall-test-pushed:3", &id, &built]));
}
