//! The real binary as it supervises a proxy, a private home, two sites, and the agent's side of the conversation with the proxy.

use super::application::Application;
use super::dial::{PLAIN, SECURE};
use landfall_model::control::{Answer, Ask, ProxyStatus};
use landfall_model::route::RouteTable;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine with better things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A supervisor and its proxy.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// DER of the site's certificate, which signed itself.
    pub(crate) certificate: Vec<u8>,
    pub(crate) application: Application,
    supervisor: Child,
    agent: Pid,
}

impl Stage {
    /// Starts the binary, freezes the agent, and tells the proxy a first table.
    pub(crate) fn set() -> Self {
        Self::set_with(Path::new(env!("CARGO_BIN_EXE_landfall")), |_| {})
    }

    /// The same with another binary, and with something done to the home before.
    pub(crate) fn set_with(binary: &Path, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([SECURE.to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(dir.path().join("site.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.path().join("site.key"), key.serialize_pem()).unwrap();
        prepare(&dir.path().join("home"));
        let mut supervisor = Command::new(binary)
            .args(["supervise", "--http=127.0.0.1:0", "--https=127.0.0.1:0", "--home"])
            .arg(dir.path().join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.path().join("supervisor.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let address = |scheme: &str| {
            let url = started["supervisor"][scheme].as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
            SocketAddr::from(([127, 0, 0, 1], url.rsplit_once(':').unwrap().1.parse().unwrap()))
        };
        let pid = supervisor.id();
        let agent = until("the agent runs", || children(pid, "agent").pop());
        kill_process(agent, Signal::STOP).unwrap();
        let (http, https) = (address("http"), address("https"));
        let stage =
            Self { dir, http, https, certificate: certificate.der().to_vec(), application: Application::start(), supervisor, agent };
        stage.swap(1);
        stage
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn supervisor(&self) -> Pid {
        Pid::from_child(&self.supervisor)
    }

    /// Every proxy, those that drain too.
    pub(crate) fn proxies(&self) -> Vec<Pid> {
        children(self.supervisor.id(), "proxy")
    }

    /// Whether a program at this path is about to become a proxy.
    pub(crate) fn starts(&self, script: &Path) -> bool {
        !children(self.supervisor.id(), &script.display().to_string()).is_empty()
    }

    /// The one that answers the agent.
    pub(crate) fn serving(&self) -> Pid {
        until("a proxy answers", || self.status().ok()).pid.try_into().ok().and_then(Pid::from_raw).unwrap()
    }

    pub(crate) fn signal(&self, pid: Pid, signal: Signal) {
        kill_process(pid, signal).unwrap();
    }

    /// Has the proxy replaced and waits until the new one answers.
    pub(crate) fn replace(&self) {
        let old = self.serving();
        self.signal(self.supervisor(), Signal::USR1);
        until("another proxy answers", || self.status().ok().filter(|new| new.pid != old.as_raw_nonzero().get() as u32));
    }

    /// Both sites; their only endpoint is one of the two servers, by turns.
    pub(crate) fn table(&self, generation: u64) -> RouteTable {
        let index = (generation % 2) as usize;
        let route = json!({ "path": "/", "upstream": "shop/web", "timeout_ms": 60_000, "idle_timeout_ms": 60_000 });
        let site = |host: &str, https: bool| json!({ "app": "shop", "hosts": [host], "redirect_hosts": [], "https": https, "routes": [route.clone()] });
        let file = |ending: &str| self.dir.path().join(format!("site.{ending}"));
        serde_json::from_value(json!({
            "generation": generation,
            "sites": [site(PLAIN, false), site(SECURE, true)],
            "upstreams": { "shop/web": {
                "endpoints": [{ "id": format!("shop/web.{index}"), "address": self.application.addresses[index] }], "health_path": null,
            } },
            "internal": [],
            "names": [],
            "certificates": [{ "hosts": [SECURE], "chain": file("pem"), "key": file("key"), "fingerprint": "one" }],
        }))
        .unwrap()
    }

    /// Tells the proxy a table as the agent does: again, until one answers.
    pub(crate) fn swap(&self, generation: u64) {
        self.swap_table(self.table(generation));
    }

    pub(crate) fn swap_table(&self, table: RouteTable) {
        let generation = table.generation;
        let ask = Ask::Swap { table };
        match until("the proxy takes a table", || self.ask(&ask).ok()) {
            Answer::Swapped { generation: taken } => assert_eq!(taken, generation),
            other => panic!("table {generation}: {other:?}"),
        }
    }

    pub(crate) fn status(&self) -> io::Result<ProxyStatus> {
        match self.ask(&Ask::Status)? {
            Answer::Status(status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask(&self, ask: &Ask) -> io::Result<Answer> {
        let mut stream = UnixStream::connect(self.home().join("run/proxy.sock"))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let text = serde_json::to_vec(ask)?;
        stream.write_all(&u32::try_from(text.len()).unwrap().to_be_bytes())?;
        stream.write_all(&text)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// What the supervisor wrote so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("supervisor.log")).unwrap_or_default()
    }

    /// What every proxy wrote so far.
    pub(crate) fn proxy_said(&self) -> String {
        std::fs::read_to_string(self.home().join("logs/proxy.log")).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (log, text) in [("supervisor", self.said()), ("proxy", self.proxy_said())] {
                let tail: Vec<&str> = text.lines().rev().take(30).collect();
                println!("--- {log}.log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
        let _ = kill_process(self.agent, Signal::CONT);
        // Twice is: now.
        for _ in 0..2 {
            let _ = kill_process(self.supervisor(), Signal::TERM);
            pause(Duration::from_millis(200));
        }
        let _ = self.supervisor.wait();
    }
}

/// Children of a process that run a verb of the binary.
fn children(parent: u32, verb: &str) -> Vec<Pid> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // After the name, which is in brackets: state, parent.
        let is_child = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.split_whitespace().nth(1) == Some(&parent.to_string()));
        is_child && line.split(|b| *b == 0).nth(1) == Some(verb.as_bytes())
    });
    ours.filter_map(Pid::from_raw).collect()
}

/// Waits for a condition.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        pause(Duration::from_millis(20));
    }
}

/// Between two looks at a condition, or until something is done to the proxy.
#[allow(clippy::disallowed_methods, reason = "a test looks again after a while; nothing is asserted of the time")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
