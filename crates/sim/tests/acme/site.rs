//! A server with a real proxy and the real agent, whose app wants certificates; its clock is turned by hand.

use crate::ca::{Behaviour, Ca, free_port};
use crate::wire::{Root, shown, until};
use landfall_agent::{Agent, Clock, Runtimes, Settings, Surroundings};
use landfall_model::api::{Accepted, RolloutRequest, Want, What};
use landfall_model::certificate::CertificateStatus;
use landfall_model::compose::{FileProblem, Files, Input, resolve};
use landfall_model::name::AppName;
use landfall_model::spec::{RuntimeKind, Spec};
use landfall_proxy::{Config, Handle, Listeners, NameServers, Proxy};
use landfall_runtime::fake::FakeRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

pub(crate) const DAY: u64 = 24 * 3600 * 1000;

/// The machine's clock, moved forward.
#[derive(Default)]
pub(crate) struct TurnedClock(AtomicU64);

impl TurnedClock {
    pub(crate) fn turn(&self, ms: u64) {
        self.0.fetch_add(ms, SeqCst);
    }
}

impl Clock for TurnedClock {
    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        u64::try_from(now).unwrap() + self.0.load(SeqCst)
    }
}

/// The server.
pub(crate) struct Site {
    home: tempfile::TempDir,
    http: u16,
    pub(crate) https: SocketAddr,
    proxy: Option<Handle>,
    runtime: Arc<FakeRuntime>,
    pub(crate) clock: Arc<TurnedClock>,
    life: Option<(Runtime, Agent)>,
    roots: PathBuf,
    rollouts: u32,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
        let _ = self.proxy.take().map(Handle::stop);
    }
}

struct OneFile(String);

impl Files for OneFile {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path.ends_with("compose.yaml") { Ok(self.0.clone().into_bytes()) } else { Err(FileProblem::NotFound) }
    }
    fn exists(&self, path: &str) -> bool {
        path.ends_with("compose.yaml")
    }
}

/// An app with these domains; `tls` is the inside of its braces.
pub(crate) fn spec(domains: &[&str], tls: &str) -> Spec {
    let text = format!(
        "name: site\nx-landfall: {{ runtime: process, domains: [{}], tls: {{ {tls} }} }}\nservices:\n  web:\n    command: [/bin/web]\n    \
         healthcheck: {{ test: [CMD, ready], timeout: 1s }}\n    x-landfall: {{ port: 8000, routes: [/], drain: 1s }}\n",
        domains.join(", ")
    );
    let files = ["compose.yaml".to_owned()];
    let env = BTreeMap::new();
    let input = Input {
        files: &files,
        cwd: "/srv/site",
        project_dir: "/srv/site",
        project_name: None,
        env: &env,
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &OneFile(text),
        rules: None,
        environment: None,
    };
    let output = resolve(&input);
    output.spec.unwrap_or_else(|| panic!("{:?}", output.diagnostics))
}

/// An authority and a server that it asks back.
pub(crate) async fn start(nonce_reject: u32) -> (Ca, Site) {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (http, https) = (listen(), listen());
    let ports = (http.local_addr().unwrap().port(), https.local_addr().unwrap().port());
    let ca = Ca::start(Behaviour { http: ports.0, https: ports.1, nonce_reject }).await;
    let site = Site::start(http, https, ca.root_file());
    (ca, site)
}

impl Site {
    fn start(http: TcpListener, https: TcpListener, roots: PathBuf) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("run")).unwrap();
        let (http_port, https_at) = (http.local_addr().unwrap().port(), https.local_addr().unwrap());
        let listeners = Listeners { http: vec![http], https: vec![https], ..Listeners::default() };
        let settings = landfall_proxy::Settings { home: home.path().to_owned(), drain: Duration::ZERO, workers: 1, proxied_by: Vec::new() };
        let config = Config {
            settings,
            listeners,
            notify: None,
            name_servers: NameServers::List(Vec::new()),
            names_port: free_port(),
            signals: false,
            max_per_address: None,
            max_per_replica: None,
            boot: None,
            watchdog: None,
        };
        let mut site = Self {
            proxy: Some(Proxy::start(config).unwrap()),
            home,
            http: http_port,
            https: https_at,
            runtime: Arc::new(FakeRuntime::new(RuntimeKind::Process)),
            clock: Arc::default(),
            life: None,
            roots,
            rollouts: 0,
        };
        site.live();
        site
    }

    /// An agent begins to live.
    pub(crate) fn live(&mut self) {
        let runtimes = Runtimes { docker: self.runtime.clone(), process: self.runtime.clone() };
        let (http, https) = (format!("http://127.0.0.1:{}", self.http), format!("https://{}", self.https));
        let settings = Settings { home: self.home.path().to_owned(), http: Some(http), https: Some(https), binary: "/bin/landfall".into() };
        let surroundings = Surroundings { clock: self.clock.clone(), roots: Some(self.roots.clone()), ..Surroundings::default() };
        let agent = Agent::open_in(&settings, runtimes, surroundings).unwrap();
        let life = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = life.enter();
        agent.wake();
        drop(guard);
        self.life = Some((life, agent));
    }

    /// It ends where it stands.
    pub(crate) fn kill(&mut self) {
        if let Some((life, agent)) = self.life.take() {
            life.shutdown_background();
            drop(agent);
        }
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.life.as_ref().unwrap().1
    }

    /// A release, which must succeed.
    pub(crate) async fn deploy(&mut self, spec: Spec) {
        self.rollouts += 1;
        let (app, id) = (spec.app.clone(), format!("rollout-{}", self.rollouts).parse().unwrap());
        let request = RolloutRequest {
            id,
            want: Want::Deploy {
                spec: Box::new(spec),
                given: std::collections::BTreeMap::new(),
                unset: landfall_model::secret::Unset::default(),
                from: None,
            },
        };
        let accepted = self.agent().begin(&app, request, "test").await.unwrap();
        assert!(matches!(accepted, Accepted::Rollout { .. }), "{accepted:?}");
        let before = self.rollouts as usize;
        until("the release serves", || async { self.events().iter().filter(|e| matches!(e, What::RolloutEnded { .. })).count() >= before })
            .await;
        assert!(self.events().iter().any(|e| matches!(e, What::Released { .. })), "{:#?}", self.events());
    }

    pub(crate) fn events(&self) -> Vec<What> {
        let app: AppName = "site".parse().unwrap();
        self.agent().events(&app, 0).unwrap().into_iter().map(|e| e.what).collect()
    }

    /// Codes of failures, in order.
    pub(crate) fn failures(&self) -> Vec<String> {
        let code = |what: What| match what {
            What::CertificateFailed { failure, .. } => Some(failure.code),
            _ => None,
        };
        self.events().into_iter().filter_map(code).collect()
    }

    pub(crate) fn certificates(&self) -> Vec<CertificateStatus> {
        self.agent().certificates().unwrap()
    }

    /// Landfall's own authority here.
    pub(crate) fn own_root(&self) -> Root {
        Root { pem: std::fs::read_to_string(self.home.path().join("certs/ca.pem")).unwrap() }
    }

    /// Waits until the proxy serves these names with certificates of this root.
    pub(crate) async fn serves(&self, names: &[&str], root: &Root) {
        for name in names {
            until(&format!("{name} is served: {:#?}", self.failures()), || async { shown(self.https, name, root).await.is_some() }).await;
        }
    }

    /// Files of certificates and keys with another mode than 600.
    pub(crate) fn open_files(&self) -> Vec<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let (mut folders, mut open) = (vec![self.home.path().join("certs")], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if mode != 0o600 {
                    open.push(entry.path());
                }
            }
        }
        open
    }
}
