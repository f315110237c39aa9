//! A Landfall of its own with a small shop, and things that stand where Landfall should.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) const FILE: &str = r#"
name: shop
x-landfall:
  runtime: process
  domains: [shop.test, www.shop.test]
  tls: internal
services:
  web:
    command: [python3, server.py]
    environment: { FAULT: "${FAULT:-}" }
    x-landfall:
      routes:
        - /
        - { path: /ws, idle_timeout: 10m }
        - { path: /open }
        - { path: /framed, headers: { X-Frame-Options: false } }
        - { path: /admin, basic_auth: { ops: a-password-of-the-test } }
        - { path: /old, redirect: { to: /new, status: 307 } }
        - { path: /, host: api.shop.test }
      health: { path: /health }
      drain: 1s
"#;

const PROGRAM: &str = r#"
import base64, hashlib, http.server, os
fault = os.environ.get("FAULT", "")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def say(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.headers.get("upgrade") == "websocket" and self.path == "/ws":
            if fault == "socket":
                return self.say(403, b"no")
            key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("upgrade", "websocket")
            self.send_header("connection", "Upgrade")
            self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            self.close_connection = True
            self.rfile.read(1)
        elif self.path == "/events":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: now\n\n")
            self.wfile.flush()
            self.close_connection = True
            self.rfile.read(1)
        elif self.path == "/health":
            self.say(200, b"ok")
        elif self.path == "/" and fault == "answer":
            self.say(500, b"broken")
        else:
            self.say(200, b"<p>a page</p>" * 500, "text/html")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

pub(crate) struct Stage {
    dir: tempfile::TempDir,
    http: u16,
    https: u16,
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Stage {
    /// Only a directory.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::Builder::new().prefix("lf").tempdir_in("/tmp").unwrap();
        Self { dir, http: free(), https: free() }
    }

    /// The shop serves.
    pub(crate) fn set() -> Self {
        let stage = Self::bare();
        stage.write("compose.yaml", FILE);
        stage.write("server.py", PROGRAM);
        let (http, https) = (stage.at(stage.http), stage.at(stage.https));
        let (code, said) = stage.run(&["up", "--detach", "--http", &http, "--https", &https]);
        assert_eq!(code, 0, "{said}");
        stage
    }

    fn at(&self, port: u16) -> String {
        format!("127.0.0.1:{port}")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn landfall(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(args).current_dir(self.dir.path()).env("LANDFALL_HOME", self.dir.path().join("home")).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Exit code, and all that was said; ports differ from run to run.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String) {
        let output = self.landfall(args);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let text = text.replace(&format!(":{}", self.http), ":PORT").replace(&format!(":{}", self.https), ":PORT");
        (output.status.code().unwrap(), text)
    }

    /// A release that does something wrong.
    pub(crate) fn deploy(&self, fault: &str) {
        self.write(".env", &format!("FAULT={fault}\n"));
        let (code, said) = self.run(&["deploy"]);
        assert_eq!(code, 0, "{said}");
    }

    pub(crate) fn verify(&self, more: &[&str]) -> (i32, String) {
        self.looked(self.http, &["--ca", "home/certs/ca.pem"], more)
    }

    /// Something else answers by plain HTTP.
    /// Asks for `/` with a header more.
    pub(crate) fn ask_with(&self, header: &str) {
        let client = ["s_client", "-quiet", "-connect", &self.at(self.https), "-servername", "shop.test"];
        let mut child =
            Command::new("openssl").args(client).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: shop.test\r\n{header}\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut answer).unwrap();
        child.wait().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }

    pub(crate) fn verify_at(&self, http: u16, more: &[&str]) -> (i32, String) {
        let (code, text) = self.looked(http, &["--ca", "home/certs/ca.pem"], more);
        (code, text.replace(&format!(":{http}"), ":PORT"))
    }

    pub(crate) fn verify_without_ca(&self, more: &[&str]) -> (i32, String) {
        self.looked(self.http, &[], more)
    }

    fn looked(&self, http: u16, ca: &[&str], more: &[&str]) -> (i32, String) {
        let (http, https) = (self.at(http), self.at(self.https));
        // As many as it takes to see a load.
        let few: &[&str] = if more.contains(&"--requests") { &[] } else { &["--requests", "24"] };
        self.run(&[&["verify", "--http", &http, "--https", &https], ca, few, more].concat())
    }

    /// OpenSSL with everything allowed that it still can do.
    pub(crate) fn old_tls_server(&self) -> (u16, Ended) {
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.write("root.pem", &root.self_signed(&key).unwrap().pem());
        let leaf_key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&leaf_key, &Issuer::from_params(&root, &key)).unwrap();
        self.write("leaf.pem", &leaf.pem());
        self.write("leaf.key", &leaf_key.serialize_pem());
        self.write("openssl.cnf", "");
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-quiet", "-cert", "leaf.pem", "-key", "leaf.key", "-cipher", "ALL:@SECLEVEL=0", "-accept"]);
        command.arg(self.at(self.https)).current_dir(self.dir.path()).env("OPENSSL_CONF", "openssl.cnf");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Ended(child);
        listens(self.https);
        (self.https, server)
    }
}

/// Waits for a condition.
#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
fn listens(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody listens");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.dir.path().join("compose.yaml").exists() {
            let _ = self.landfall(&["down", "shop"]);
            let record = std::fs::read(self.dir.path().join("home/run/supervisor.json")).unwrap_or_default();
            let pid = serde_json::from_slice::<serde_json::Value>(&record).ok().and_then(|v| i32::try_from(v["pid"].as_i64()?).ok());
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }
}

/// A process that ends with the test.
pub(crate) struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port at which everybody gets this answer.
pub(crate) fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}
