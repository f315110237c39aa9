//! A Landfall of its own: a home, projects, and what runs of them; taken down at the end whatever happened.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine with better things to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A home, and projects that are directories beside it.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    http: u16,
    https: u16,
}

impl Server {
    pub(crate) fn new() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { dir: tempfile::tempdir().unwrap(), http: free(), https: free() }
    }

    pub(crate) fn home(&self) -> String {
        self.dir.path().join("home").display().to_string()
    }

    fn project(&self, app: &str) -> PathBuf {
        self.dir.path().join(app)
    }

    pub(crate) fn write(&self, app: &str, file: &Value) {
        std::fs::create_dir_all(self.project(app)).unwrap();
        std::fs::write(self.project(app).join("compose.yaml"), file.to_string()).unwrap();
    }

    fn landfall(&self, app: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(args).current_dir(self.project(app)).env("LANDFALL_HOME", self.dir.path().join("home"));
        if args.first() == Some(&"up") {
            command.args(["--http", &format!("127.0.0.1:{}", self.http), "--https", &format!("127.0.0.1:{}", self.https)]);
        }
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What it says when it does what it is told.
    pub(crate) fn good(&self, app: &str, args: &[&str]) -> String {
        let output = self.landfall(app, args);
        assert!(output.status.success(), "{args:?} of {app}: {}", text(&output));
        text(&output)
    }

    /// What it says when it does not.
    pub(crate) fn bad(&self, app: &str, args: &[&str]) -> String {
        let output = self.landfall(app, args);
        assert!(!output.status.success(), "{args:?} of {app}: {}", text(&output));
        text(&output)
    }

    /// What the app's host answers, when it answers with 200.
    pub(crate) fn try_answer(&self, app: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!("GET / HTTP/1.1\r\nhost: {app}.localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
    }

    pub(crate) fn answer(&self, app: &str) -> String {
        self.try_answer(app).unwrap_or_else(|| panic!("{app} does not answer\n{}", self.good(app, &["status"])))
    }

    /// Ids of the app's containers, those that have ended too.
    #[allow(clippy::unused_self, reason = "they are this server's: no other has an app of that name")]
    pub(crate) fn containers(&self, app: &str) -> Vec<String> {
        let listed = docker(&["ps", "-aq", "--no-trunc", "--filter", &format!("label=landfall.app={app}")]);
        listed.split_whitespace().map(str::to_owned).collect()
    }

    /// So many services serve, each by one replica, and no rollout runs any more.
    pub(crate) fn is_whole(&self, app: &str, services: usize) {
        until("one replica of each service serves, and nothing else", || {
            let status: Value = serde_json::from_slice(&self.landfall(app, &["status", "--json"]).stdout).ok()?;
            let status = if status.is_array() { &status[0] } else { &status };
            let whole = |s: &Value| s["replicas"].as_array().is_some_and(|r| r.len() == 1 && r[0]["serving"] == true);
            let all = status["services"].as_array()?;
            (status["rollout"].is_null() && all.len() == services && all.iter().all(whole)).then_some(())
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("home/logs/agent.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            println!("--- agent.log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        let projects = std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten();
        for app in projects.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name != "home") {
            let _ = self.landfall(&app, &["down", &app]);
        }
    }
}

/// A network that somebody made for both.
pub(crate) struct Outside {
    pub(crate) name: &'static str,
}

impl Outside {
    pub(crate) fn network(name: &'static str) -> Self {
        docker(&["network", "create", name]);
        Self { name }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["network", "rm", self.name]).output();
    }
}

/// A firewall that drops questions for names to one address.
pub(crate) struct Wall {
    address: &'static str,
}

impl Wall {
    pub(crate) fn around(address: &'static str) -> Self {
        let wall = Self { address };
        assert!(wall.rule("-I").status.success(), "iptables");
        wall
    }

    fn rule(&self, what: &str) -> Output {
        let rule = [what, "INPUT", "-d", self.address, "-p", "udp", "--dport", "53", "-j", "DROP"];
        Command::new("iptables").args(rule).output().unwrap()
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        let _ = self.rule("-D");
    }
}

/// What `docker` says.
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits for a condition.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        pause();
    }
}

/// Between two looks at a condition.
#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
