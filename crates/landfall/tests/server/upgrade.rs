//! `landfall server upgrade` under 500 requests a second: to a binary that works, and to ones that do not. No request fails.

use crate::machine::{Machine, text};
use landfall_load::{Ask, Handle, Load, Report, Requests, Target};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Requests a second.
const RATE: u32 = 500;

const FILE: &str = "name: shop
x-landfall: { runtime: process, domains: [shop.localhost], tls: internal }
services:
  web:
    command: [/srv/app/guestbook, web]
    environment: { LANDFALL_URL_API: \"http://127.0.0.1:9\" }
    x-landfall: { routes: [/], health: { path: /health } }
";

/// A server with an app, and somebody who asks it all the time.
struct Stage {
    machine: Machine,
    dir: tempfile::TempDir,
    load: Handle,
}

impl Stage {
    fn set() -> Self {
        let (machine, dir) = (Machine::start(), tempfile::tempdir().unwrap());
        let setup = machine.setup(&["--yes"]);
        assert!(setup.status.success(), "{}", text(&setup));
        machine.copy(&guestbook(), "/srv/app/guestbook");
        std::fs::write(dir.path().join("compose.yaml"), FILE).unwrap();
        machine.copy(&dir.path().join("compose.yaml"), "/srv/app/compose.yaml");
        machine.says(&["landfall", "deploy", "/srv/app"]);
        let ca = dir.path().join("ca.pem");
        machine.fetch("/var/lib/landfall/certs/ca.pem", &ca);
        let mut target = Target::https(SocketAddr::new(machine.ip, 443), "shop.localhost", &ca);
        target.requests = Requests { per_second: RATE, asks: vec![Ask::any("/health")], ..Requests::default() };
        let load = Load::start(target).unwrap();
        load.wait(Duration::from_secs(30), |r| r.requests.ok > u64::from(RATE))
            .unwrap_or_else(|r| panic!("the load does not get going: {r}"));
        Self { machine, dir, load }
    }

    /// A landfall that behaves like this one but where its arguments match: then it does that instead.
    fn script(&self, name: &str, pattern: &str, instead: &str) -> PathBuf {
        // The real one is where a server keeps generations, so that it is found there again.
        let real = format!("/usr/local/lib/landfall/{}/landfall", self.generation());
        let text = format!("#!/bin/sh\n# {name}\ncase \"$*\" in\n  {pattern}) {instead} ;;\nesac\nexec {real} \"$@\"\n");
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn generation(&self) -> String {
        self.machine.says(&["readlink", "/usr/local/lib/landfall/current"])
    }

    fn upgrade(&self, binary: &Path) -> std::process::Output {
        let address = self.machine.address("deploy");
        self.machine.landfall(&["server", "upgrade", &address, "--binary", &binary.display().to_string()])
    }

    /// Process ids of agent and proxy, by what they run.
    fn running(&self) -> Vec<String> {
        let info = self.machine.says(&["cat", "/var/lib/landfall/run/supervisor.json"]);
        let record: serde_json::Value = serde_json::from_str(&info).unwrap();
        let proxy = record["proxy"]["pid"].to_string();
        vec![proxy]
    }

    /// Requests go on, and none has failed so far.
    fn goes_on(&self, when: &str) {
        let so_far = self.load.snapshot().requests.ok;
        let report = self.load.wait(Duration::from_secs(30), |r| r.requests.ok > so_far + u64::from(RATE));
        assert!(report.is_ok(), "{when}: requests do not go on");
        let report = self.load.snapshot();
        assert_eq!(report.failed(), 0, "{when}: {report}");
        assert!(self.machine.says(&["landfall", "status", "shop"]).contains("web"), "{when}: the agent answers");
    }

    fn end(self) -> Report {
        self.load.stop()
    }
}

/// The example's own program, as the tutor's images have theirs: built by cargo.
fn guestbook() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_landfall")).with_file_name("guestbook");
    assert!(built.is_file(), "{} is not built: `cargo build -p guestbook`, or `./test`, which does", built.display());
    built
}

#[test]
fn a_server_is_upgraded_under_load_and_broken_binaries_change_nothing() {
    let stage = Stage::set();
    let (first, proxy) = (stage.generation(), stage.running());

    let unchanged = stage.upgrade(Path::new(env!("CARGO_BIN_EXE_landfall")));
    assert!(unchanged.status.success() && text(&unchanged).contains("nothing to change"), "{}", text(&unchanged));
    assert_eq!((stage.generation(), stage.running()), (first.clone(), proxy.clone()));

    // As a migration leaves it that was done before the agent died: a copy of the store beside it, and a store that only the newer one knows (bytes 60 to 63 of
    // an SQLite file are its user_version).
    let migrates = "cd /var/lib/landfall; [ -e store.db.before-upgrade ] || { cp store.db store.db.before-upgrade; \
         printf '\\000\\000\\003\\347' | dd of=store.db bs=1 seek=60 conv=notrunc; }; exit 1";
    let broken = [
        ("proxy-ends", "*\"-- proxy\"*", "exit 1", "the new proxy did not come up"),
        ("agent-migrates", "*\"-- agent\"*", migrates, "the new agent did not come up"),
        ("agent-hangs", "*\"-- agent\"*", "exec sleep 600", "the new agent did not come up"),
        ("no-version", "--version", "exit 1", "does not run on this server"),
    ];
    for (name, pattern, instead, told) in broken {
        let before = stage.running();
        let output = stage.upgrade(&stage.script(name, pattern, instead));
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains(told), "{name}: {}", text(&output));
        assert_eq!(stage.generation(), first, "{name}: the old binary is current");
        if !name.starts_with("agent") {
            assert_eq!(stage.running(), before, "{name}: the old proxy never stopped");
        }
        stage.goes_on(name);
    }

    // One byte more at its end makes it another binary, which runs like this one.
    let mut bytes = std::fs::read(env!("CARGO_BIN_EXE_landfall")).unwrap();
    bytes.push(0);
    let newer = stage.dir.path().join("newer");
    std::fs::write(&newer, bytes).unwrap();
    let output = stage.upgrade(&newer);
    assert!(output.status.success(), "{}", text(&output));
    println!("{}", text(&output));
    assert_ne!(stage.generation(), first);
    assert_ne!(stage.running(), proxy);
    stage.goes_on("upgraded");
    let generations = stage.machine.says(&["find", "/usr/local/lib/landfall", "-mindepth", "1", "-maxdepth", "1", "-type", "d"]);
    assert_eq!(generations.lines().count(), 2, "the one before is kept: {generations}");

    let report = stage.end();
    println!("5 upgrades, 4 of them broken: {} requests, {} failed", report.requests.sent, report.failed());
    assert_eq!(report.failed(), 0, "{report}");
}
