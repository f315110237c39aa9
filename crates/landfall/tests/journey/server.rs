//! A Landfall of its own for one journey: private home, free ports, one example app; taken down at the end whatever happened.

use landfall_load::{Ask, Handle, Load, Report, Requests, Sockets, Streams, Target};
use landfall_model::api::AppStatus;
use landfall_model::observed::ReplicaState;
use rustix::process::Pid;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an old replica keeps what it holds in these journeys, seconds.
pub(crate) const DRAIN: u64 = 2;

/// One journey at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Which example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Example {
    /// Process runtime.
    Guestbook,
    /// Docker runtime.
    Tutor,
}

/// A Landfall and its app.
pub(crate) struct Server {
    pub(crate) example: Example,
    home: tempfile::TempDir,
    http: u16,
    https: u16,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    /// Starts it with version 1 of the example.
    pub(crate) fn up(example: Example) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { example, home: tempfile::tempdir().unwrap(), http: free(), https: free(), _turn: turn };
        if example == Example::Tutor {
            let images =
                Command::new("docker").args(["image", "inspect", "tutor-backend:1", "tutor-frontend:2", "tutor-db:15"]).output().unwrap();
            assert!(images.status.success(), "the images are missing: run `examples/tutor/images 1 2`, or `./test`, which does");
        }
        let (http, https) = (format!("127.0.0.1:{}", server.http), format!("127.0.0.1:{}", server.https));
        let up = server
            .landfall(&["up", "--detach", "--http", &http, "--https", &https, &server.project().display().to_string()])
            .output()
            .unwrap();
        assert!(up.status.success(), "up: {}", text(&up));
        server
    }

    /// The example's directory.
    pub(crate) fn project(&self) -> PathBuf {
        let name = match self.example {
            Example::Guestbook => "guestbook",
            Example::Tutor => "tutor",
        };
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).canonicalize().unwrap()
    }

    pub(crate) fn app(&self) -> String {
        let project = self.project();
        project.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// The binary, with the environment of version 1.
    pub(crate) fn landfall(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command
            .args(args)
            .current_dir(self.project())
            .env("LANDFALL_HOME", self.home.path())
            .env("DRAIN", format!("{DRAIN}s"))
            .env("POSTGRES_PASSWORD", "a-long-enough-password")
            .env("CALLS_FILE", self.calls_file())
            .env("TAG", "1")
            .env("VERSION", "1")
            .stdin(Stdio::null());
        command
    }

    /// `landfall deploy` of a version, begun.
    pub(crate) fn deploy(&self, version: u32, extra: &[(&str, &str)]) -> Child {
        self.landfall(&["deploy"])
            .env("TAG", version.to_string())
            .env("VERSION", version.to_string())
            .envs(extra.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The load of the issue: 500 requests/s, 50 WebSockets, 20 event streams.
    pub(crate) fn load(&self, per_second: u32) -> Handle {
        let host = match self.example {
            Example::Guestbook => format!("localhost:{}", self.https),
            Example::Tutor => format!("tutor.localhost:{}", self.https),
        };
        let streams = match self.example {
            Example::Guestbook => "/events/ticks",
            Example::Tutor => "/api/stream",
        };
        let mut target = Target::https(SocketAddr::from(([127, 0, 0, 1], self.https)), host, self.home.path().join("certs/ca.pem"));
        let asks = vec![Ask::any("/"), Ask::version("/version"), Ask::version("/api/version")];
        target.requests = Requests { per_second, asks, ..Requests::default() };
        target.sockets = Sockets { count: 50, ..Sockets::default() };
        target.streams = Streams { path: streams.into(), count: 20 };
        target.drain = Duration::from_secs(DRAIN);
        let load = Load::start(target).unwrap();
        let all_open = |r: &Report| r.sockets.open == 50 && r.streams.open == 20 && r.requests.ok > u64::from(per_second) / 10;
        load.wait(Duration::from_secs(30), all_open).unwrap_or_else(|r| panic!("the load does not get going: {r}"));
        load
    }

    /// `landfall status --json`.
    pub(crate) fn status(&self) -> AppStatus {
        let output = self.landfall(&["status", "--json"]).output().unwrap();
        assert!(output.status.success(), "status: {}", text(&output));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let app = if value.is_array() { value[0].clone() } else { value };
        serde_json::from_value(app).unwrap()
    }

    /// One release serves wholly, of one number, and nothing else of the app exists but jobs that ended.
    pub(crate) fn is_whole(&self) {
        let status = self.status();
        assert!(status.rollout.is_none(), "a rollout still runs: {status:#?}");
        for service in &status.services {
            assert_eq!(service.replicas.iter().filter(|r| r.serving).count(), service.wanted as usize, "{status:#?}");
            assert!(service.replicas.iter().all(|r| r.serving && r.state == ReplicaState::Running), "{status:#?}");
        }
    }

    /// Calls between services so far: good ones, and failed ones by kind.
    pub(crate) fn calls(&self) -> (u64, Value) {
        let counts: Value = match self.example {
            Example::Guestbook => {
                let read = || serde_json::from_slice(&std::fs::read(self.calls_file()).unwrap_or_default()).ok();
                until("the worker has written its counts", read)
            }
            Example::Tutor => {
                let status = self.status();
                let caller = status.services.iter().find(|s| s.service.as_str() == "caller").unwrap();
                let address = caller.replicas[0].address.clone().unwrap();
                serde_json::from_str(&get(&address, "/counts")).unwrap()
            }
        };
        (counts["ok"].as_u64().unwrap(), counts["failed"].clone())
    }

    fn calls_file(&self) -> PathBuf {
        self.home.path().join("calls.json")
    }

    /// Process ids of daemons of this home: `agent`, `proxy`, `supervise`. An old proxy that drains is one of them.
    pub(crate) fn pids(&self, verb: &str) -> Vec<Pid> {
        let home = self.home.path().display().to_string();
        let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let ours = pids.filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut words = line.split(|b| *b == 0).map(String::from_utf8_lossy);
            let program = words.next().unwrap_or_default().ends_with("landfall");
            let text = String::from_utf8_lossy(&line).into_owned() + &String::from_utf8_lossy(&environment);
            program && words.next().is_some_and(|w| w == verb) && text.contains(&home)
        });
        ours.filter_map(Pid::from_raw).collect()
    }

    /// kill -9 of a daemon. False when it is just not there.
    pub(crate) fn kill(&self, verb: &str) -> bool {
        self.pids(verb).into_iter().filter(|pid| rustix::process::kill_process(*pid, rustix::process::Signal::KILL).is_ok()).count() > 0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let down = self.landfall(&["down", &self.app(), "--volumes", "--confirm", "RESET_ALL_VOLUMES"]).output().unwrap();
        if std::thread::panicking() {
            for log in ["agent", "proxy", "supervisor"] {
                let text = std::fs::read_to_string(self.home.path().join(format!("logs/{log}.log"))).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(15).collect();
                println!("--- {log}.log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        } else {
            assert!(down.status.success(), "down: {}", text(&down));
        }
        for verb in ["supervise", "agent", "proxy"] {
            self.kill(verb);
        }
    }
}

/// All a command said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits for a condition, at most half a minute.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        pause(Duration::from_millis(20));
    }
}

/// The pause between two looks at a condition, or until a fault is injected.
#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// The body of a plain GET.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer of {address}{path}: {answer}")).1;
    body[body.find('{').unwrap()..=body.rfind('}').unwrap()].to_owned()
}
