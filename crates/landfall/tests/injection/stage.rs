//! A Landfall that runs traced, with an app whose program writes down what it was given.

use crate::trace::{stayed_inside, traced};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Writes its arguments and environment into `given.json`, whole or not at all, then stays; a service with a port has somebody who listens.
const PROGRAM: &str = r#"
import json, os, signal, socket, sys
if "PORT" in os.environ:
    door = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
with open("given.new", "w") as file:
    json.dump({"argv": sys.argv[1:], "env": dict(os.environ)}, file)
os.rename("given.new", "given.json")
signal.pause()
"#;

/// Home, project and what runs.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    supervisor: Child,
}

impl Stage {
    /// Supervisor, agent and proxy, traced; nothing is deployed.
    pub(crate) fn up() -> Self {
        // A short path: Unix sockets must fit in it.
        let dir = tempfile::Builder::new().prefix("lf").tempdir_in("/tmp").unwrap();
        for name in ["home", "project", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("project/show.py"), PROGRAM).unwrap();
        let log = std::fs::File::create(dir.path().join("supervisor.log")).unwrap();
        let supervisor = traced(&dir.path().join("server.trace"))
            .args(["supervise", "--http=127.0.0.1:0", "--https=127.0.0.1:0"])
            .env("LANDFALL_HOME", dir.path().join("home"))
            .env("TMPDIR", dir.path().join("tmp"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(dir.path().join("project"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let stage = Self { dir, supervisor };
        until("the agent answers", || stage.ask("GET", "/v1/agent", "").is_some_and(|(status, _)| status == 200));
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a payload would make if it were run.
    pub(crate) fn trap(&self) -> PathBuf {
        self.path("trap")
    }

    /// The binary, in the project.
    pub(crate) fn landfall(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        self.prepare(command.args(args));
        command
    }

    /// Likewise, traced into its own log.
    pub(crate) fn traced(&self, args: &[&str]) -> Command {
        let mut command = traced(&self.path("client.trace"));
        self.prepare(command.args(args));
        command
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("tmp"))
            .env("TMPDIR", self.path("tmp"))
            .env("LANDFALL_HOME", self.path("home"))
            .current_dir(self.path("project"))
            .stdin(Stdio::null());
    }

    /// A Compose file of the project.
    pub(crate) fn compose(&self, value: &serde_json::Value) {
        // YAML allows fewer characters to stand for themselves than JSON does.
        let text = value.to_string().chars().fold(String::new(), |text, c| match u32::from(c) {
            0x20..=0x7e => text + c.encode_utf8(&mut [0; 4]),
            code => text + &format!("\\U{code:08X}"),
        });
        std::fs::write(self.path("project/compose.yaml"), text).unwrap();
    }

    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.landfall(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {} {}", text(&output), self.log());
        text(&output)
    }

    /// With something on its standard input.
    pub(crate) fn fed(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.landfall(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What the program was given, once it has said so.
    pub(crate) fn given(&self) -> serde_json::Value {
        let file = self.path("project/given.json");
        until("the program has written what it was given", || file.exists());
        let given = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        std::fs::remove_file(file).unwrap();
        given
    }

    /// Status and body of the agent's answer; `None` while it does not run.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = UnixStream::connect(self.path("home/run/agent.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // One that refuses the head does not read the rest.
        let _ = stream.write_all((head + body).as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()))
    }

    /// One release of a small app.
    pub(crate) fn app(&self) {
        self.compose(&serde_json::json!({
            "name": "shop",
            "x-landfall": {"runtime": "process", "environments": {"staging": {}, "production": {}}},
            "services": {"web": {"command": ["python3", "show.py"], "x-landfall": {"drain": "1s"}}}
        }));
        self.good(&["deploy"]);
        self.given();
    }

    /// How many releases there are.
    pub(crate) fn releases(&self) -> usize {
        let (status, said) = self.ask("GET", "/v1/apps/shop/releases", "").unwrap();
        assert_eq!(status, 200, "{said}");
        serde_json::from_str::<serde_json::Value>(&said).unwrap().as_array().unwrap().len()
    }

    /// Stops it and looks at what it did.
    pub(crate) fn stayed_inside(mut self, programs: &[&str]) {
        // With the last app everything ends, and with everything strace.
        self.good(&["down", "shop"]);
        let status = self.supervisor.wait().unwrap();
        let log = self.log();
        assert!(!log.contains("panicked"), "{status}: {log}");
        self.client_stayed_inside("server.trace", programs);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("supervisor.log")).unwrap_or_default()
    }

    /// What a trace has.
    pub(crate) fn client_stayed_inside(&self, log: &str, programs: &[&str]) {
        stayed_inside(&self.path(log), &[self.dir.path()], programs);
        assert!(!self.trap().exists(), "a payload was run, or written to");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Ok(None) = self.supervisor.try_wait() {
            // A test failed. What strace traces outlives it, so it is ended first; with the last of them strace ends.
            let _ = self.landfall(&["down", "shop"]).output();
            let strace = self.supervisor.id();
            let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap_or_default();
            for pid in children.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _ = self.supervisor.wait();
        }
    }
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[allow(clippy::disallowed_methods, reason = "between two looks")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
