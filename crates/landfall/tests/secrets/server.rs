//! A Landfall of its own with one small program that says what it was given.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = r#"
import http.server, os
said = " ".join(os.environ.get(name, "") for name in ("JWT_SECRET", "URL", "COLOUR"))
print("was given " + os.environ.get("JWT_SECRET", ""), flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = said.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// A home, a project and what runs of them.
pub(crate) struct Server {
    app: &'static str,
    home: tempfile::TempDir,
    project: tempfile::TempDir,
    http: u16,
    https: u16,
}

impl Server {
    pub(crate) fn new(app: &'static str, compose: &str) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { app, home: tempfile::tempdir().unwrap(), project: tempfile::tempdir().unwrap(), http: free(), https: free() };
        server.write("compose.yaml", compose);
        server.write("server.py", PROGRAM);
        server
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn project(&self) -> &Path {
        self.project.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.project.path().join(name), text).unwrap();
    }

    pub(crate) fn landfall(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(args).current_dir(self.project.path()).env("LANDFALL_HOME", self.home.path()).stdin(Stdio::null());
        if args.first() == Some(&"up") {
            command.args(["--http", &format!("127.0.0.1:{}", self.http), "--https", &format!("127.0.0.1:{}", self.https)]);
        }
        command
    }

    /// What it says when it does what it is told.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.landfall(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// What it says when it does not.
    pub(crate) fn bad(&self, args: &[&str]) -> String {
        let output = self.landfall(args).output().unwrap();
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// With something on its standard input.
    pub(crate) fn fed(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.landfall(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that refuses its arguments reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The body of `GET /` of a host.
    pub(crate) fn answer(&self, host: &str) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        body(stream, &format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    }

    /// Whether a token opens a path.
    pub(crate) fn passes(&self, path: &str, token: &str) -> bool {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        match answer.split(' ').nth(1) {
            Some("200") => true,
            Some("401") => false,
            _ => panic!("{answer}"),
        }
    }

    /// The body of an answer of the agent.
    pub(crate) fn asked(&self, path: &str) -> String {
        let stream = UnixStream::connect(self.home.path().join("run/agent.sock")).unwrap();
        body(stream, &format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n"))
    }

    /// Changes the store behind the agent's back.
    pub(crate) fn sql(&self, words: &str) {
        let script = "import sqlite3,sys;c=sqlite3.connect(sys.argv[1],timeout=10);c.execute(sys.argv[2]);c.commit()";
        let done = Command::new("python3").args(["-c", script]).arg(self.home.path().join("store.db")).arg(words).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
    }

    /// Files of the home that hold these bytes. What a replica writes into its own log is the replica's.
    pub(crate) fn files_with(&self, canary: &str) -> Vec<String> {
        let (mut open, mut found) = (vec![self.home.path().to_owned()], Vec::new());
        while let Some(dir) = open.pop() {
            for path in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else if !is_log_of_replica(&path) && holds(&std::fs::read(&path).unwrap_or_default(), canary) {
                    found.push(path.display().to_string());
                }
            }
        }
        found
    }

    /// Processes of this binary and home whose arguments or environment hold these bytes.
    pub(crate) fn processes_with(&self, canary: &str) -> Vec<String> {
        let processes: Vec<PathBuf> = std::fs::read_dir("/proc").unwrap().filter_map(|e| Some(e.ok()?.path())).collect();
        let ours = processes.iter().filter(|p| std::fs::read_link(p.join("exe")).is_ok_and(|exe| exe.ends_with("landfall")));
        let seen: Vec<(String, Vec<u8>)> = ours
            .map(|p| {
                let read = |name| std::fs::read(p.join(name)).unwrap_or_default();
                (String::from_utf8_lossy(&read("cmdline")).replace('\0', " "), [read("cmdline"), read("environ")].concat())
            })
            .collect();
        assert!(seen.len() >= 3, "supervisor, agent and proxy: {seen:?}");
        seen.into_iter().filter(|(_, bytes)| holds(bytes, canary)).map(|(line, _)| line).collect()
    }
}

fn is_log_of_replica(path: &Path) -> bool {
    let in_process = path.components().any(|c| c.as_os_str() == "process");
    in_process && path.components().any(|c| c.as_os_str() == "log")
        || path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("log"))
}

fn holds(bytes: &[u8], canary: &str) -> bool {
    bytes.windows(canary.len()).any(|w| w == canary.as_bytes())
}

fn body(mut stream: impl std::io::Read + std::io::Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}")).1.to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        for app in [self.app.to_owned(), format!("{}-staging", self.app), format!("{}-production", self.app)] {
            let _ = self.landfall(&["down", &app, "--volumes", "--confirm", "RESET_ALL_VOLUMES"]).output();
        }
    }
}

/// What `docker` says.
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output).trim().to_owned()
}

/// All a command said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
