//! Faults of Landfall and its apps: a real agent with an app of the process runtime.

use crate::place::{Place, stays, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A Landfall that is up in a place; it goes down with it.
struct Up<'a> {
    place: &'a Place,
    project: PathBuf,
}

impl<'a> Up<'a> {
    fn new(place: &'a Place) -> Self {
        let project = place.path().join("project");
        fs::create_dir_all(&project).unwrap();
        Self { place, project }
    }

    /// Deploys an app with these settings and this password.
    fn deploy(&self, settings: &str, password: &str) {
        let file = format!(
            "name: shop\nx-landfall:\n  runtime: process\n  domains: [shop.example.com]\n  {settings}\nservices:\n  web:\n    command: [python3, -c, \"import http.server, os; http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\"]\n    environment: {{ POSTGRES_PASSWORD: {password} }}\n    x-landfall: {{ routes: [/], port: 8000 }}\n"
        );
        fs::write(self.project.join("compose.yaml"), file).unwrap();
        let output = self.place.landfall(&[
            "up",
            "--detach",
            "--http",
            "127.0.0.1:18080",
            "--https",
            "127.0.0.1:18443",
            self.project.to_str().unwrap(),
        ]);
        assert!(output.status.success(), "{}", text(&output));
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // The last app takes its supervisor with it.
        let down = self.place.landfall(&["down", "shop"]);
        let record = fs::read(self.place.home().join("run/supervisor.json")).ok();
        let record: Option<Value> = record.and_then(|record| serde_json::from_slice(&record).ok());
        if let Some(pid) = record.and_then(|record| Pid::from_raw(record["pid"].as_i64()?.try_into().ok()?)) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if !std::thread::panicking() {
            assert!(down.status.success(), "{}", text(&down));
        }
    }
}

/// A certificate of its own for the app's name, good until then.
fn certificate(up: &Up<'_>, until: (i32, u8, u8)) {
    let mut parameters = rcgen::CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = parameters.self_signed(&key).unwrap();
    fs::write(up.project.join("cert.pem"), made.pem()).unwrap();
    fs::write(up.project.join("key.pem"), key.serialize_pem()).unwrap();
    fs::set_permissions(up.project.join("key.pem"), Permissions::from_mode(0o600)).unwrap();
}

/// Writes into the store what an agent would have seen, once an hour.
const FILLING: &str = "
import os, sqlite3, sys, time
disk, now = os.statvfs('/'), int(time.time() * 1000)
free = disk.f_bavail * disk.f_frsize
store = sqlite3.connect(sys.argv[1], timeout=10)
store.execute('DELETE FROM disk')
for hours in range(8 * 24):
    used = 2 * free - free * hours // (5 * 24)
    store.execute('INSERT INTO disk VALUES (?, ?, ?, ?)', ('/', now - hours * 3600 * 1000, used, 1000))
store.commit()
";

/// How bad it is what is foretold in these words of the disk at the root.
#[track_caller]
fn forecast(place: &Place, words: &str) -> String {
    let found = place.examine().of_check("disk-space");
    let hit = found.iter().find(|(_, seen)| seen.starts_with("/ is ") && seen.contains(words));
    hit.unwrap_or_else(|| panic!("{words}: {found:?}")).0.clone()
}

#[test]
fn names_certificates_and_logins_of_apps_are_judged() {
    let place = Place::new();
    place.examine().fires("agent", "note", "there is no Landfall on this machine yet");
    place.must(&["ip", "address", "add", "203.0.113.5/32", "dev", "lo"]);
    place.cover("/etc/hosts", "127.0.0.1 localhost\n203.0.113.5 shop.example.com\n");
    let up = Up::new(&place);
    up.deploy("tls: internal", "7d1f9e0c2b5a4f6e8d3c");
    let well = place.examine();
    for check in ["agent", "dns", "certificate", "default-login", "readable-secret", "open-port", "proxy-port"] {
        well.silent(check);
    }

    // What the agent has seen of a disk: eight days in which it filled so that five are left.
    forecast(&place, "no forecast yet: it needs a day of history");
    place.must(&["python3", "-c", FILLING, place.home().join("store.db").to_str().unwrap()]);
    assert_eq!(forecast(&place, "full in about 5 days"), "warning");

    // Names that lead elsewhere, both ways, and nowhere.
    place.cover("/etc/hosts", "127.0.0.1 localhost\n198.51.100.9 shop.example.com\n");
    let elsewhere = place.examine();
    elsewhere.fires("dns", "critical", "shop.example.com leads to 198.51.100.9, which is not this server");
    place.examine_with(&["--address", "198.51.100.9"]).silent("dns");
    place.cover("/etc/hosts", "127.0.0.1 localhost\n203.0.113.5 shop.example.com\n198.51.100.9 shop.example.com\n");
    place.examine().fires("dns", "warning", "leads here and to 198.51.100.9");
    place.cover("/etc/hosts", "127.0.0.1 localhost\n");
    place.cover("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    place.examine().fires("dns", "critical", "shop.example.com leads nowhere");

    // A login of everybody, and a certificate of one's own that has ended.
    certificate(&up, (2025, 1, 1));
    up.deploy("tls: { cert: cert.pem, key: key.pem }", "postgres");
    let bad = place.examine();
    bad.fires("default-login", "critical", "`POSTGRES_PASSWORD` of shop/web is one of the passwords that everybody knows");
    bad.fires("certificate", "critical", "the certificate of shop.example.com has ended");
    let whole = bad.report.to_string();
    assert!(!whole.contains("\"postgres\"") && !whole.contains("7d1f9e0c2b5a4f6e8d3c"), "no value is told");

    // A home that is open, and a key in it.
    fs::set_permissions(place.home(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.home().join("store.db"), Permissions::from_mode(0o644)).unwrap();
    let open = place.examine();
    open.fires("readable-secret", "critical", "Landfall's home");
    open.fires("readable-secret", "critical", "store.db is a file of Landfall's with secrets");
}

#[test]
fn an_agent_that_is_gone_is_told_and_what_it_alone_knows() {
    let place = Place::new();
    fs::create_dir_all(place.home().join("run")).unwrap();
    fs::write(place.home().join("store.db"), "").unwrap();
    // A socket that nobody answers on.
    let socket = place.home().join("run/agent.sock");
    let _silent = stays(
        place.command(&["python3"]),
        &format!("import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind({:?})", socket.to_str().unwrap()),
    );
    let found = place.examine();
    found.fires("agent", "critical", "the agent does not answer");
    found.fires("certificate", "unchecked", "could not be checked: the agent does not answer");
    found.fires("default-login", "unchecked", "could not be checked: the agent does not answer");
}
