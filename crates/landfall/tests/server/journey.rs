//! What a team does with a new server, from the first `server setup` to the day it takes the app away: the tutor, its images from a registry with a login, its
//! password a secret of the server. The machine has the engine of this one, by its socket, and therefore its network too; ports 80 and 443 must be free.

use crate::machine::{Init, Machine, text, until};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The registry's account.
const USER: &str = "ci";
const TOKEN: &str = "s3cret-token";

/// A registry with one account and two versions of the tutor.
struct Registry {
    host: String,
    dir: tempfile::TempDir,
    child: Child,
}

impl Registry {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let accounts = Command::new("htpasswd").args(["-Bbn", USER, TOKEN]).output().unwrap();
        std::fs::write(dir.path().join("htpasswd"), accounts.stdout).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {0}/images }} }}\nhttp: {{ addr: \"{host}\" }}\n\
             auth: {{ htpasswd: {{ realm: here, path: {0}/htpasswd }} }}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(dir.path().join("config.yml")).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let registry = Self { child: serve.spawn().unwrap(), host, dir };
        until("the registry listens", || TcpStream::connect(&registry.host).ok());
        let client = registry.dir.path().join("client").display().to_string();
        let docker = |args: &[&str]| {
            let output = Command::new("docker").args(["--config", &client]).args(args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", text(&output));
        };
        docker(&["login", "-u", USER, "-p", TOKEN, &registry.host]);
        for image in ["tutor-frontend:1", "tutor-frontend:2", "tutor-backend:1", "tutor-backend:2"] {
            let there = format!("{}/{image}", registry.host);
            docker(&["tag", image, &there]);
            docker(&["push", "-q", &there]);
            docker(&["image", "rm", &there]);
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What the server pulled. The images themselves have other names too.
        for image in ["tutor-frontend:1", "tutor-frontend:2", "tutor-backend:1", "tutor-backend:2"] {
            let _ = Command::new("docker").args(["image", "rm", &format!("{}/{image}", self.host)]).output();
        }
    }
}

/// The laptop: a project and what is typed in it.
struct Laptop<'a> {
    project: tempfile::TempDir,
    machine: &'a Machine,
}

impl Laptop<'_> {
    fn said(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.machine.command(args);
        // Only what a person has: no value of the project's variables comes from here.
        for name in ["TAG", "CALLER_TAG", "POSTGRES_PASSWORD", "DOMAIN", "DRAIN"] {
            command.env_remove(name);
        }
        let mut child =
            command.current_dir(self.project.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who asks nothing reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        println!("$ landfall {}\n{}", args.join(" "), text(&output));
        output
    }

    fn good(&self, args: &[&str], input: &str) -> String {
        let output = self.said(args, input);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// Answer of the site, by HTTPS and with the server's own authority.
    fn site(&self, path: &str) -> String {
        let url = format!("https://tutor.localhost{path}");
        let ca = self.project.path().join("ca.pem").display().to_string();
        let output = Command::new("curl")
            .args(["-sS", "--fail", "--max-time", "10", "--cacert", &ca, "--resolve", "tutor.localhost:443:127.0.0.1", &url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{url}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn from_a_bare_machine_to_production_and_back() {
    let registry = Registry::start();
    let machine = Machine::start(Init::Engine);
    let laptop = Laptop { project: tempfile::tempdir().unwrap(), machine: &machine };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tutor/compose.yaml");
    std::fs::copy(example, laptop.project.path().join("compose.yaml")).unwrap();
    let server = machine.address("deploy");
    let own = format!(
        "x-landfall:\n  environments:\n    production: {{ server: \"{server}\", values: {{ DRAIN: 1s }} }}\nservices:\n  frontend: {{ image: \"{0}/tutor-frontend:${{TAG:-1}}\" }}\n  \
         backend: {{ image: \"{0}/tutor-backend:${{TAG:-1}}\" }}\n",
        registry.host
    );
    std::fs::write(laptop.project.path().join("compose.override.yaml"), own).unwrap();
    std::fs::write(laptop.project.path().join("production.env"), "POSTGRES_PASSWORD=correct-horse-battery\n").unwrap();

    assert!(laptop.good(&["server", "setup", &server, "--yes"], "").contains("is ready"));
    laptop.good(&["registry", "login", &registry.host, "--user", USER, "--server", &server], TOKEN);
    assert!(laptop.good(&["secret", "import", "production.env", "-e", "production"], "").contains("POSTGRES_PASSWORD"));

    laptop.good(&["deploy", "production"], "");
    let ca = laptop.good(&["ca", "--pem", "--server", &server], "");
    std::fs::write(laptop.project.path().join("ca.pem"), ca).unwrap();
    assert!(laptop.site("/api/version").contains('1'));
    let first = laptop.site("/version");

    laptop.good(&["deploy", "production", "--tag", "2"], "");
    let second = laptop.site("/version");
    assert!(first.contains('1') && second.contains('2'), "{first} {second}");
    laptop.good(&["rollback", "-e", "production"], "");
    assert_eq!(laptop.site("/version"), first);

    let volumes = || {
        String::from_utf8(
            Command::new("docker").args(["volume", "ls", "-q", "--filter", "label=landfall.app=tutor-production"]).output().unwrap().stdout,
        )
        .unwrap()
    };
    for confirm in [&[][..], &["--confirm", "reset_all_volumes"], &["--confirm", "yes"]] {
        let refused = laptop.said(&[&["reset", "--volumes", "-e", "production"], confirm].concat(), "");
        assert!(!refused.status.success(), "{}", text(&refused));
        assert_eq!(laptop.site("/version"), first);
        assert!(!volumes().is_empty());
    }
    laptop.good(&["reset", "--volumes", "-e", "production", "--confirm", "RESET_ALL_VOLUMES"], "");
    assert_eq!(volumes(), "", "nothing of its data is left");
    let audit = laptop.good(&["events", "--audit", "-e", "production"], "");
    for told in ["secret import POSTGRES_PASSWORD", "rollback", "down with volumes", "by deploy (uid"] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
    let all = text(&machine.landfall(&["events", "--audit", "--server", &server]));
    assert!(all.contains(&format!("registry login {} as {USER}", registry.host)), "{all}");
    assert!(!all.contains("correct-horse") && !all.contains(TOKEN), "{all}");
}
