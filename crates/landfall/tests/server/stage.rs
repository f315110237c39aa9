//! A server with an app, and somebody who asks it all the time.

use crate::machine::{Init, Machine, text};
use landfall_load::{Ask, Handle, Load, Requests, Target};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests a second.
const RATE: u32 = 500;

/// Held by the stage that is loaded: two at once would be more than two cores carry without optimisation.
static TURN: Mutex<()> = Mutex::new(());

const FILE: &str = "name: shop
x-landfall: { runtime: process, domains: [shop.localhost], tls: internal }
services:
  web:
    command: [/srv/app/guestbook, web]
    working_dir: /srv/app
    environment: { LANDFALL_URL_API: \"http://127.0.0.1:9\" }
    x-landfall: { routes: [/], health: { path: /health } }
";

/// The server, its files here, the load.
pub(crate) struct Stage {
    pub(crate) machine: Machine,
    dir: tempfile::TempDir,
    load: Handle,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// A server that was set up, whose app was deployed over SSH by the user who came.
    pub(crate) fn set(machine: Machine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        machine.copy(&guestbook(), "/srv/app/guestbook");
        std::fs::write(dir.path().join("compose.yaml"), FILE).unwrap();
        let grants = dir.path().join("grants.yaml");
        std::fs::write(&grants, "shop: { web: [process] }\n").unwrap();
        machine.copy(&grants, "/var/lib/landfall/grants.yaml");
        let deployed = machine.landfall(&["deploy", &dir.path().display().to_string(), "--server", &machine.address("deploy")]);
        assert!(deployed.status.success(), "{}", text(&deployed));
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let ca = dir.path().join("ca.pem");
        machine.fetch("/var/lib/landfall/certs/ca.pem", &ca);
        let mut target = Target::https(SocketAddr::new(machine.ip, 443), "shop.localhost", &ca);
        target.requests = Requests { per_second: RATE, asks: vec![Ask::any("/health")], ..Requests::default() };
        let load = Load::start(target).unwrap();
        load.wait(Duration::from_secs(30), |r| r.requests.ok > u64::from(RATE))
            .unwrap_or_else(|r| panic!("the load does not get going: {r}"));
        Self { machine, dir, load, _turn: turn }
    }

    /// A landfall that behaves like this one but where its arguments match: then it does that instead.
    pub(crate) fn script(&self, name: &str, pattern: &str, instead: &str) -> PathBuf {
        // The real one is where a server keeps generations, so that it is found there again.
        let real = format!("/usr/local/lib/landfall/{}/landfall", self.generation());
        let text = format!("#!/bin/sh\n# {name}\ncase \"$*\" in\n  {pattern}) {instead} ;;\nesac\nexec {real} \"$@\"\n");
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A landfall that runs like this one: a byte more at its end makes it another.
    pub(crate) fn newer(&self) -> PathBuf {
        let mut bytes = std::fs::read(Machine::binary()).unwrap();
        bytes.push(0);
        let path = self.dir.path().join("newer");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Digest of the binary that is current.
    pub(crate) fn generation(&self) -> String {
        self.machine.says(&["readlink", "/usr/local/lib/landfall/current"])
    }

    /// `server upgrade` to a binary.
    pub(crate) fn upgrade(&self, binary: &Path) -> Output {
        let address = self.machine.address("deploy");
        self.machine.landfall(&["server", "upgrade", &address, "--binary", &binary.display().to_string()])
    }

    /// Process id of the proxy that carries requests.
    pub(crate) fn proxy(&self) -> i64 {
        let record = self.machine.says(&["cat", "/var/lib/landfall/run/supervisor.json"]);
        serde_json::from_str::<serde_json::Value>(&record).unwrap()["proxy"]["pid"].as_i64().unwrap()
    }

    /// What the store remembers of the app.
    pub(crate) fn store(&self) -> String {
        self.machine.says(&["landfall", "releases", "shop"])
            + &self.machine.says(&["landfall", "events", "--app", "shop", "--limit", "1000"])
    }

    /// Requests go on, and none has failed so far. Answers how many there were.
    pub(crate) fn goes_on(&self, when: &str) -> u64 {
        let so_far = self.load.snapshot().requests.ok;
        let report = self.load.wait(Duration::from_secs(30), |r| r.requests.ok > so_far + u64::from(RATE));
        assert!(report.is_ok(), "{when}: requests do not go on");
        let report = self.load.snapshot();
        assert_eq!(report.failed(), 0, "{when}: {report}");
        assert!(self.machine.says(&["landfall", "status", "shop"]).contains("web"), "{when}: the agent answers");
        report.requests.sent
    }

    /// A binary that does not come up is refused with these words: the one before is back, with its store.
    pub(crate) fn refuses(&self, name: &str, binary: &Path, told: &str) {
        let (generation, store) = (self.generation(), self.store());
        let output = self.upgrade(binary);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains(told), "{name}: {}", text(&output));
        assert_eq!(self.generation(), generation, "{name}: the old binary is current");
        assert_eq!(self.store(), store, "{name}: its store is there");
        let sent = self.goes_on(name);
        println!("upgrade to a binary that is broken ({name}): refused, the old one is back; {sent} requests so far, 0 failed");
    }

    /// A binary that works takes over.
    pub(crate) fn takes(&self, binary: &Path) {
        let (generation, proxy) = (self.generation(), self.proxy());
        let output = self.upgrade(binary);
        assert!(output.status.success(), "{}", text(&output));
        println!("{}", text(&output));
        assert_ne!(self.generation(), generation);
        assert_ne!(self.proxy(), proxy);
        let kept = self.machine.says(&["find", "/usr/local/lib/landfall", "-mindepth", "1", "-maxdepth", "1", "-type", "d"]);
        assert_eq!(kept.lines().count(), 2, "the one before is kept: {kept}");
        let sent = self.goes_on("upgraded");
        println!("upgrade: {sent} requests so far, 0 failed");
    }

    /// No request has failed. The machine is there still.
    pub(crate) fn end(self) -> Machine {
        let report = self.load.stop();
        assert_eq!(report.failed(), 0, "{report}");
        println!("{} requests at {RATE} a second, {} failed", report.requests.sent, report.failed());
        self.machine
    }
}

/// The example's own program, as the tutor's images have theirs: built by cargo.
fn guestbook() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_landfall")).with_file_name("guestbook");
    assert!(built.is_file(), "{} is not built: `cargo build -p guestbook`, or `./test`, which does", built.display());
    built
}

/// A machine that was set up.
pub(crate) fn prepared(init: Init) -> Machine {
    let machine = Machine::start(init);
    let setup = machine.setup(&["--yes"]);
    assert!(setup.status.success(), "{}", text(&setup));
    machine
}
