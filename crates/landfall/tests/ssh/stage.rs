//! An sshd, a Landfall behind it, and a client that knows both; all in one temporary directory, ended with it.

use serde_json::Value;
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A program that says nothing and serves nobody, of a version.
pub(crate) const APP: &str = "\
x-landfall: { runtime: process }
services:
  worker:
    command: [tail, -f, /dev/null]
    environment: { VERSION: \"${VERSION:-1}\" }
    x-landfall: { drain: 1s }
";

/// Ends a connection of `ssh` at a byte or a time that a file says, once; then it carries everything.
const CUTTER: &str = r#"
import os, select, socket, sys, time
order, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
limit, ends = None, None
try:
    mine = order + "." + str(os.getpid())
    os.rename(order, mine)
    kind, number = open(mine).read().split()
    limit, ends = (int(number), None) if kind == "bytes" else (None, time.monotonic() + int(number) / 1000)
except FileNotFoundError:
    pass
server = socket.create_connection((host, port))
carried = 0
while True:
    left = None if ends is None else max(0, ends - time.monotonic())
    ready, _, _ = select.select([0, server], [], [], left)
    if ends is not None and time.monotonic() >= ends:
        break
    for end in ready:
        most = 65536 if limit is None else min(65536, limit - carried)
        if most <= 0:
            sys.exit()
        data = os.read(0, most) if end == 0 else server.recv(most)
        if not data:
            sys.exit()
        carried += len(data)
        server.sendall(data) if end == 0 else os.write(1, data)
"#;

/// Keys of the client; each may do one thing.
const FORCED: [(&str, &str); 6] = [
    ("deploy", "landfall agent-stdio"),
    ("bound", "landfall agent-stdio --app shop"),
    ("noisy", "echo Welcome to Debian"),
    ("bare", "landfall-is-not-here agent-stdio"),
    ("ancient", "echo \"error: unrecognized subcommand 'agent-stdio'\" >&2; exit 2"),
    ("modern", "cat DIR/modern.hello"),
];

/// What there is.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    sshd: Child,
}

impl Stage {
    /// An sshd and no Landfall behind it yet.
    pub(crate) fn sshd() -> Self {
        // A short path: Unix sockets must fit in it. sshd wants to be sure that nobody else can write there.
        let dir = tempfile::Builder::new().prefix("lf").tempdir_in("/tmp").unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for name in ["bin", "project"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_landfall"), path("bin/landfall")).unwrap();
        std::fs::write(path("cutter.py"), CUTTER).unwrap();
        let modern = landfall_model::hello::Versions { version: "9.9.9".into(), api: 9 };
        std::fs::write(path("modern.hello"), landfall_model::hello::Hello { protocol: 9, versions: modern }.encode()).unwrap();
        let mut keys = String::new();
        for (name, command) in FORCED.into_iter().chain([("host", ""), ("host2", ""), ("stranger", "")]) {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)]).status();
            assert!(made.unwrap().success());
            let public = std::fs::read_to_string(path(&format!("{name}.pub"))).unwrap();
            if !command.is_empty() {
                let _ = write!(keys, "restrict,command=\"{}\" {public}", command.replace('"', "\\\"").replace("DIR", &path("")));
            }
        }
        std::fs::write(path("authorized_keys"), keys).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nExposeAuthInfo yes\nMaxStartups 100\nPerSourceMaxStartups none\n\
             SetEnv PATH={}:/usr/bin:/bin LANDFALL_HOME={}\n",
            path("host"),
            path("authorized_keys"),
            path("bin"),
            path("home")
        );
        std::fs::write(path("sshd_config"), config).unwrap();
        if rustix::process::geteuid().is_root() {
            // Debian's sshd wants it; without systemd nobody makes it.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = std::fs::File::create(path("sshd.log")).unwrap();
        let sshd =
            Command::new("/usr/sbin/sshd").args(["-D", "-e", "-f", &path("sshd_config")]).stderr(log).stdin(Stdio::null()).spawn().unwrap();
        let host = std::fs::read_to_string(path("host.pub")).unwrap();
        let other = std::fs::read_to_string(path("host2.pub")).unwrap();
        std::fs::write(path("known_hosts"), format!("server {host}")).unwrap();
        std::fs::write(path("changed_hosts"), format!("server {other}")).unwrap();
        std::fs::write(path("no_hosts"), "").unwrap();
        let mut ssh = String::new();
        for name in FORCED.map(|(name, _)| name).into_iter().chain(["stranger"]) {
            let _ = writeln!(ssh, "Host {name}\n IdentityFile {}", path(name));
        }
        for (name, known) in [("changed", "changed_hosts"), ("unknown", "no_hosts")] {
            let _ = writeln!(ssh, "Host {name}\n IdentityFile {}\n UserKnownHostsFile {}", path("deploy"), path(known));
        }
        let _ = writeln!(
            ssh,
            "Host cut-*\n IdentityFile {}\n ProxyCommand python3 {} {}/%n 127.0.0.1 {port}",
            path("deploy"),
            path("cutter.py"),
            path("")
        );
        let _ = writeln!(
            ssh,
            "Host *\n HostName 127.0.0.1\n Port {port}\n User {}\n HostKeyAlias server\n IdentitiesOnly yes\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n ControlPath none",
            user(),
            path("known_hosts")
        );
        std::fs::write(path("ssh_config"), ssh).unwrap();
        let stage = Self { dir, sshd };
        until("sshd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        stage
    }

    /// And a Landfall that has released the app once.
    pub(crate) fn up() -> Self {
        let stage = Self::sshd();
        stage.project("shop");
        let up = stage.here(&["up", "--detach", "--http=127.0.0.1:0", "--https=127.0.0.1:0", "shop"]).output().unwrap();
        assert!(up.status.success(), "{}", text(&up));
        stage
    }

    /// A directory with the app under a name.
    pub(crate) fn project(&self, name: &str) {
        let dir = self.path("project").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("compose.yaml"), format!("name: {name}\n{APP}")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `landfall` on the server itself.
    pub(crate) fn here(&self, arguments: &[&str]) -> Command {
        let mut command = self.landfall(arguments);
        command.env("LANDFALL_HOME", self.path("home"));
        command
    }

    /// `landfall` of a client, which has no home; `name` is one of the ssh_config.
    pub(crate) fn there(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.landfall(arguments);
        command.env("LANDFALL_SERVER", format!("ssh://{name}"));
        command
    }

    pub(crate) fn landfall(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command
            .args(arguments)
            .current_dir(self.path("project"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("COLUMNS", "100")
            .env("LANDFALL_SSH", format!("ssh -F {}", self.path("ssh_config").display()))
            .stdin(Stdio::null());
        command
    }

    /// What a verb says with `--json`, asked on the server itself.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.here(arguments).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Every event so far, the first first.
    pub(crate) fn events(&self) -> Vec<Value> {
        let output = self.here(&["events", "-n", "1000", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["sshd.log", "home/logs/agent.log"] {
                let text = std::fs::read_to_string(self.path(log)).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(15).collect();
                println!("--- {log}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
        let apps = std::fs::read_dir(self.path("project")).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        for app in apps.collect::<Vec<_>>() {
            // One that was never released is not there.
            let _ = self.here(&["down", &app]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

/// The user the tests run as.
pub(crate) fn user() -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let uid = rustix::process::geteuid().as_raw().to_string();
    let entry = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()));
    entry.unwrap().split(':').next().unwrap().to_owned()
}

/// `SHA256:…` of a public key, as ssh-keygen says it.
pub(crate) fn fingerprint(public: &Path) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(public).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// All a command said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits for a condition.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a condition is looked at again after a while; nothing is asserted of the time")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
