//! A Landfall with one app, a registry, and an engine beside the machine's own; all gone at the end.

use serde_json::Value;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What every image here is made of: a server that needs nothing.
pub(crate) const BASE: &str = "tutor-frontend:1";

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for a condition, at most half a minute.
#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All a command said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed; its standard output.
#[track_caller]
pub(crate) fn must(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A child that is asked to end with its owner.
pub(crate) struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

pub(crate) fn serve(command: &mut Command, log: &Path) -> Served {
    let log = std::fs::File::create(log).unwrap();
    Served(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

/// A registry with one account: `ci`, `s3cret-token`.
pub(crate) struct Registry {
    pub(crate) host: String,
    dir: tempfile::TempDir,
    child: Option<Served>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        let accounts = must(Command::new("htpasswd").args(["-Bbn", "ci", "s3cret-token"]));
        std::fs::write(dir.path().join("htpasswd"), accounts).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {0}/images }} }}\nhttp: {{ addr: \"{host}\" }}\n\
             auth: {{ htpasswd: {{ realm: here, path: {0}/htpasswd }} }}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        let mut registry = Self { host, dir, child: None };
        registry.up();
        let login = ["--config", &registry.client(), "login", "-u", "ci", "-p", "s3cret-token", &registry.host];
        must(Command::new("docker").args(login));
        registry
    }

    pub(crate) fn up(&mut self) {
        let config = self.dir.path().join("config.yml");
        self.child = Some(serve(Command::new("docker-registry").arg("serve").arg(config), &self.dir.path().join("log")));
        until("the registry listens", || TcpStream::connect(&self.host).ok());
    }

    pub(crate) fn down(&mut self) {
        self.child = None;
    }

    fn client(&self) -> String {
        self.dir.path().join("client").display().to_string()
    }

    /// Makes version `tag` of an image, puts it there and forgets it here. Answers its id.
    pub(crate) fn put(&self, name: &str, tag: u32) -> String {
        let image = format!("{}/{name}:{tag}", self.host);
        let id = build(None, &image, &format!("FROM {BASE}\nLABEL landfall.test={name}-{tag}\n"), self.dir.path());
        must(Command::new("docker").args(["--config", &self.client(), "push", "-q", &image]));
        must(Command::new("docker").args(["image", "rm", &image]));
        id
    }
}

/// Builds an image with the engine's own builder, which runs nothing here. Answers its id.
pub(crate) fn build(host: Option<&str>, image: &str, dockerfile: &str, context: &Path) -> String {
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(context.join(".dockerignore"), "*\n!layer-*\n!Dockerfile\n").unwrap();
    let mut docker = Command::new("docker");
    docker.env("DOCKER_BUILDKIT", "0").args(["build", "-q", "-t", image]).arg(context);
    if let Some(host) = host {
        docker.env("DOCKER_HOST", host);
    }
    must(&mut docker);
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", "-f", "{{.Id}}", image]);
    if let Some(host) = host {
        inspect.env("DOCKER_HOST", host);
    }
    must(&mut inspect)
}

/// The machine's engine has that image.
pub(crate) fn here(image: &str) -> bool {
    Command::new("docker").args(["image", "inspect", image]).output().unwrap().status.success()
}

/// A Landfall that runs one app of one service.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    app: String,
}

impl Server {
    /// Starts it with an image that is here.
    pub(crate) fn up(app: &str, image: &str) -> Self {
        let server = Self { dir: tempfile::Builder::new().prefix("lf").tempdir_in("/tmp").unwrap(), app: app.to_owned() };
        std::fs::create_dir(server.project()).unwrap();
        let compose = format!(
            "name: {app}\nservices:\n  web:\n    image: ${{IMAGE:-{image}}}:${{TAG:-1}}\n    mem_limit: 64m\n    stop_grace_period: 2s\n    \
             volumes: [data:/data]\n    x-landfall: {{ port: 8000, health: {{ path: /health }}, drain: 0s }}\nvolumes: {{ data: {{}} }}\n"
        );
        std::fs::write(server.project().join("compose.yaml"), compose).unwrap();
        let (http, https) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        must(server.landfall(&["up", "--detach", "--http", &http, "--https", &https]).env("IMAGE", "tutor-frontend"));
        server
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn landfall(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        let environment = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("TZ", "UTC"), ("TMPDIR", "/tmp")];
        command.args(args).current_dir(self.project()).env_clear().envs(environment).stdin(Stdio::null());
        command.env("LANDFALL_HOME", self.home()).env("HOME", self.dir.path());
        command
    }

    /// With something on standard input.
    pub(crate) fn told(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.landfall(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The id of the image that serves, as its container has it.
    pub(crate) fn serving(&self) -> String {
        let status: Value = serde_json::from_str(&must(&mut self.landfall(&["status", "--json"]))).unwrap();
        let app = if status.is_array() { &status[0] } else { &status };
        let replica = app["services"][0]["replicas"].as_array().unwrap().iter().find(|r| r["serving"] == true).unwrap();
        let name = format!("{}-{}", self.app, replica["id"].as_str().unwrap());
        must(Command::new("docker").args(["container", "inspect", "-f", "{{.Image}}", &name]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let down = self.landfall(&["down", &self.app, "--volumes", "--confirm", "RESET_ALL_VOLUMES"]).output().unwrap();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home().join("logs/agent.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            let _ = writeln!(std::io::stderr(), "--- agent.log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        } else {
            assert!(down.status.success(), "down: {}", text(&down));
        }
    }
}
