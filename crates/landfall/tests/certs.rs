//! Certificates as a person sees them: `landfall up` beside a real ACME authority (pebble), then `landfall certs`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A server in Perl, which every Debian has.
const PROGRAM: &str = r#"my $$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $$ENV{PORT}, Listen => 9, ReuseAddr => 1) or die; while (my $$c = $$s->accept) { sysread $$c, my $$b, 4096; print $$c "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"; close $$c }"#;

struct Stage {
    dir: tempfile::TempDir,
    http: u16,
    https: u16,
    directory: u16,
    children: Vec<Child>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.landfall(&["down", "shop"]).output();
        let record = std::fs::read(self.dir.path().join("home/run/supervisor.json")).unwrap_or_default();
        let pid = serde_json::from_slice::<Value>(&record).ok().and_then(|v| i32::try_from(v["pid"].as_i64()?).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for a condition.
#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The authority's own certificate, of a root that only this test trusts.
fn identity(dir: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(dir.join("root.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&params, &key)).unwrap();
    std::fs::write(dir.join("leaf.pem"), leaf.pem()).unwrap();
    std::fs::write(dir.join("leaf.key"), leaf_key.serialize_pem()).unwrap();
}

impl Stage {
    fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        identity(dir.path());
        let (http, https, directory, names, manage) = (free(), free(), free(), free(), free());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"), "managementListenAddress": format!("127.0.0.1:{manage}"),
            "certificate": dir.path().join("leaf.pem"), "privateKey": dir.path().join("leaf.key"),
            "httpPort": http, "tlsPort": https, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        std::fs::write(dir.path().join("pebble.json"), config.to_string()).unwrap();
        let quiet = |program: &str| {
            let mut command = Command::new(program);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let dns = quiet("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &format!("127.0.0.1:{names}"), "-management", &format!("127.0.0.1:{}", free())])
            .spawn();
        let pebble = quiet("pebble")
            .args(["-dnsserver", &format!("127.0.0.1:{names}"), "-config", &dir.path().join("pebble.json").display().to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .spawn();
        let children = [dns, pebble].map(|c| c.expect("install pebble, or run ./test")).into();
        let file = format!(
            "name: shop\nx-landfall:\n  runtime: process\n  domains: [shop.landfall-tests.com]\n  tls: {{ ca: 'https://127.0.0.1:{directory}/dir' }}\n\
             services:\n  web:\n    command: [perl, -MIO::Socket::INET, -e, '{PROGRAM}']\n    x-landfall: {{ port: 8000, routes: [/], drain: 1s }}\n"
        );
        std::fs::write(dir.path().join("compose.yaml"), file).unwrap();
        until("the authority listens", || TcpStream::connect(("127.0.0.1", directory)).ok());
        Self { dir, http, https, directory, children }
    }

    fn landfall(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("LANDFALL_HOME", self.dir.path().join("home")).env("SSL_CERT_FILE", self.dir.path().join("root.pem"));
        command
    }

    fn said(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.landfall(args).output().unwrap();
        (output.status.code(), text(&output))
    }

    fn certs(&self) -> Value {
        let output = self.landfall(&["certs", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn a_person_sees_what_is_served_renews_it_and_is_told_what_failed() {
    let mut stage = Stage::set();
    let (http, https) = (format!("127.0.0.1:{}", stage.http), format!("127.0.0.1:{}", stage.https));
    let up = stage.landfall(&["up", "--detach", "--http", &http, "--https", &https]).output().unwrap();
    assert!(up.status.success(), "{}", text(&up));
    until("the authority's certificate is served", || (stage.certs()[0]["served"] == "acme").then_some(()));
    let (code, list) = stage.said(&["certs"]);
    assert_eq!(code, Some(0));
    assert!(list.contains("shop.landfall-tests.com  shop  Pebble Intermediate CA"), "{list}");

    let before = stage.certs()[0]["until_ms"].clone();
    until("the authority's clock, which counts seconds, has moved on", || {
        let (code, renewed) = stage.said(&["certs", "--renew", "shop.landfall-tests.com"]);
        assert_eq!(code, Some(0), "{renewed}");
        (stage.certs()[0]["until_ms"] != before).then_some(())
    });
    let (_, events) = stage.said(&["events", "-p", "shop"]);
    assert!(events.matches("certificate for shop.landfall-tests.com issued by Pebble").count() >= 2, "{events}");

    let pebble = stage.children.last_mut().unwrap();
    pebble.kill().unwrap();
    pebble.wait().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", stage.directory)).is_err());
    let (code, failed) = stage.said(&["certs", "--renew"]);
    assert_eq!(code, Some(1), "{failed}");
    assert!(failed.contains("[certificate-authority]") && failed.contains("the authority cannot be reached"), "{failed}");
    assert_eq!(stage.certs()[0]["served"], "acme");
    let (code, list) = stage.said(&["certs", "shop.landfall-tests.com"]);
    assert_eq!(code, Some(0));
    assert!(list.contains("no certificate for shop.landfall-tests.com: the authority cannot be reached"), "{list}");

    for args in [&["certs", "stranger.landfall-tests.com"][..], &["certs", "--renew", "stranger.landfall-tests.com"]] {
        let (code, refused) = stage.said(args);
        assert!(code == Some(1) && refused.contains("[no-certificate]"), "{refused}");
    }
}
