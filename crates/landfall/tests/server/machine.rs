//! A bare machine: a container with sshd, a key for it, and the real binary that is pointed there.

use std::fs::{self, Permissions};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Containers of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The real binary without its symbols: what goes to every machine, at half the size.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("landfall-server-test-{}", std::process::id()));
    good(Command::new("strip").arg("-o").arg(&stripped).arg(env!("CARGO_BIN_EXE_landfall")));
    stripped
});

/// What a machine starts as its first process.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Init {
    /// sshd and nothing else.
    Sshd,
    /// sshd, with the engine and the network of this machine: what the engine starts can be reached only from there.
    Engine,
    /// systemd, with the rights it needs in a container. Control groups of this container are its own, so it may write there.
    Systemd,
}

const SYSTEMD: &str = "mount -o remount,rw /sys/fs/cgroup/systemd || mount -o remount,rw /sys/fs/cgroup; exec /sbin/init";

/// A container in a network of its own. Both are removed when dropped.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
    name: String,
    pub(crate) ip: IpAddr,
    port: u16,
}

impl Machine {
    /// Starts one whose sshd answers.
    pub(crate) fn start(init: Init) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // sshd reads the keys of users from here, and minds who may write there.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for key in ["host", "user"] {
            good(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(key)));
        }
        let mut options =
            "HostKey /keys/host\nAuthorizedKeysFile /keys/user.pub\nPasswordAuthentication no\nPermitRootLogin yes\nUsePAM no\n".to_owned();
        let port = if init == Init::Engine { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() } else { 22 };
        if init == Init::Engine {
            options += &format!("Port {port}\nListenAddress 127.0.0.1\n");
        }
        fs::write(dir.path().join("sshd.conf"), options).unwrap();
        let name = format!("landfall-server-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let mut run = Command::new("docker");
        run.args(["run", "--detach", "--name", &name]);
        if init == Init::Engine {
            run.args(["--network=host", "--volume=/var/run/docker.sock:/var/run/docker.sock"]);
        } else {
            good(Command::new("docker").args(["network", "create", &name]));
            run.args(["--network", &name]);
        }
        run.arg(format!("--volume={}:/keys:ro", dir.path().display()));
        run.arg(format!("--volume={}:/etc/ssh/sshd_config.d/10-test.conf:ro", dir.path().join("sshd.conf").display()));
        if init == Init::Systemd {
            run.args([
                "--cap-add=SYS_ADMIN",
                "--cap-add=NET_ADMIN",
                "--security-opt=seccomp=unconfined",
                "--security-opt=apparmor=unconfined",
            ]);
            run.args(["--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--env=container=docker"]);
            run.args(["--entrypoint=/bin/sh", "landfall-server:bookworm", "-c", SYSTEMD]);
        } else {
            run.args(["--init", "landfall-server:bookworm"]);
        }
        let output = run.output().unwrap();
        assert!(output.status.success(), "is the image there? crates/landfall/tests/server/image/build makes it: {}", text(&output));
        let address = "{{ range .NetworkSettings.Networks }}{{ .IPAddress }}{{ end }}";
        let ip = match init {
            Init::Engine => IpAddr::from([127, 0, 0, 1]),
            _ => text_of(Command::new("docker").args(["inspect", "--format", address, &name])).parse().unwrap(),
        };
        let machine = Self { dir, name, ip, port };
        let key = fs::read_to_string(machine.file("host.pub")).unwrap();
        fs::write(machine.file("known_hosts"), format!("machine {key}")).unwrap();
        let config = format!(
            "Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  HostKeyAlias machine\n",
            machine.file("user").display(),
            machine.file("known_hosts").display()
        );
        fs::write(machine.file("config"), config).unwrap();
        until("sshd answers", || TcpStream::connect((ip, port)).ok());
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its address for a user.
    pub(crate) fn address(&self, user: &str) -> String {
        if self.port == 22 { format!("ssh://{user}@{}", self.ip) } else { format!("ssh://{user}@{}:{}", self.ip, self.port) }
    }

    /// The binary that goes to machines.
    pub(crate) fn binary() -> &'static Path {
        &BINARY
    }

    /// The real binary here, with `ssh` told of the key.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&*BINARY);
        command.args(args).stdin(Stdio::null()).env("LANDFALL_HOME", self.dir.path().join("home"));
        command.env("LANDFALL_SSH", format!("ssh -F {}", self.file("config").display()));
        command
    }

    /// What it says.
    pub(crate) fn landfall(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `landfall server setup` by the user that may.
    pub(crate) fn setup(&self, more: &[&str]) -> Output {
        let address = self.address("deploy");
        self.landfall(&[&["server", "setup", &address], more].concat())
    }

    /// A program inside, as root.
    pub(crate) fn inside(&self, argv: &[&str]) -> Output {
        Command::new("docker").args(["exec", &self.name]).args(argv).stdin(Stdio::null()).output().unwrap()
    }

    /// What it writes; it must not fail.
    pub(crate) fn says(&self, argv: &[&str]) -> String {
        let output = self.inside(argv);
        assert!(output.status.success(), "{argv:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// A program inside that stays.
    pub(crate) fn begin(&self, argv: &[&str]) {
        good(Command::new("docker").args(["exec", "--detach", &self.name]).args(argv));
    }

    /// A file from here to there.
    pub(crate) fn copy(&self, from: &Path, to: &str) {
        good(Command::new("docker").arg("cp").arg(from).arg(format!("{}:{to}", self.name)));
    }

    /// A file from there to here.
    pub(crate) fn fetch(&self, from: &str, to: &Path) {
        good(Command::new("docker").arg("cp").arg(format!("{}:{from}", self.name)).arg(to));
    }

    /// Everything that a change could touch; files with sizes and times.
    pub(crate) fn trace(&self) -> String {
        let files = ["(", "-type", "d", "-printf", "%p %m %u\n", ")", "-o", "-printf", "%p %s %m %u %T@\n"];
        self.says(&[&["find", "/etc", "/usr/local", "/var/lib"][..], &files].concat())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["agent", "proxy", "supervisor"] {
                println!("--- {log}.log\n{}", text(&self.inside(&["tail", "-n", "15", &format!("/var/lib/landfall/logs/{log}.log")])));
            }
            println!("--- journal\n{}", text(&self.inside(&["journalctl", "--no-pager", "--lines", "40"])));
        }
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output();
        let _ = Command::new("docker").args(["network", "rm", &self.name]).output();
    }
}

fn good(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

fn text_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
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
        pause();
    }
}

#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
