//! Landfall: a real agent and a real proxy. The containers are made up; where a test listens in their place, their addresses are its own.

use crate::plans::Plan;
use crate::talk::Front;
use crate::wire::{Root, until};
use landfall_agent::{Agent, Runtimes, Settings};
use landfall_model::api::{RolloutRequest, Want, What};
use landfall_model::compose::{FileProblem, Files, Input, resolve};
use landfall_model::name::AppName;
use landfall_model::secret::SecretValue;
use landfall_model::spec::{Program, RuntimeKind, Spec};
use landfall_proxy::{Config, Handle, Listeners, NameServers, Proxy};
use landfall_runtime::fake::FakeRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Server {
    proxy: Option<Handle>,
    front: Front,
    agent: Agent,
    app: AppName,
    home: PathBuf,
    rollouts: usize,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.proxy.take().map(Handle::stop);
    }
}

struct Disk<'a>(&'a Path);

impl Files for Disk<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        std::fs::read(self.0.join(path)).map_err(|_| FileProblem::NotFound)
    }
    fn exists(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }
}

/// The project in a directory as the compiler understands it.
pub(crate) fn spec(dir: &Path, env: &BTreeMap<String, String>) -> Spec {
    let text = dir.to_str().unwrap().to_owned();
    let output = resolve(&Input {
        files: &["compose.yaml".to_owned()],
        cwd: &text,
        project_dir: &text,
        project_name: None,
        env,
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &Disk(dir),
        rules: None,
        environment: None,
    });
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    output.spec.unwrap()
}

/// Any secret of an app.
const SECRET: &str = "f81b7c3e9d2a4650f81b7c3e9d2a4650";

/// The counterpart of a plan.
fn example(plan: &Plan) -> Spec {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(plan.example);
    let secret = |name: &str| (name.to_owned(), SECRET.to_owned());
    let secrets = ["DB_PASSWORD", "JWT_SECRET", "POSTGRES_PASSWORD"].map(secret);
    spec(&dir, &secrets.into_iter().chain([("DOMAIN".to_owned(), plan.hosts[0].to_owned())]).collect())
}

impl Server {
    /// With the counterpart of a plan.
    pub(crate) async fn of_plan(plan: &Plan, stage: &Path) -> Self {
        let spec = example(plan);
        let runtime = FakeRuntime::new(RuntimeKind::Docker);
        for upstream in plan.upstreams {
            runtime.put_address(&upstream.service.parse().unwrap(), upstream.address.parse().unwrap());
        }
        for service in spec.services.values() {
            let Program::Image { reference, .. } = &service.template.program else { continue };
            let image = runtime.have_image(reference);
            for files in service.files() {
                let mut archive = tar::Builder::new(Vec::new());
                archive.append_dir_all("html", stage.join("html")).unwrap();
                runtime.put_files(&image, files.root.as_str(), archive.into_inner().unwrap());
            }
        }
        let mut server = Self::start(&stage.join("landfall"), runtime, spec.app.clone());
        let given = spec.secrets.keys().map(|name| (name.clone(), SecretValue::new(SECRET))).collect();
        server.roll_out(Want::Deploy { spec: Box::new(spec), given, unset: landfall_model::secret::Unset::default(), from: None }).await;
        server
    }

    /// Without any app yet.
    pub(crate) fn start(home: &Path, runtime: FakeRuntime, app: AppName) -> Self {
        std::fs::create_dir_all(home.join("run")).unwrap();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (http, https) = (listen(), listen());
        let at = (http.local_addr().unwrap(), https.local_addr().unwrap());
        let config = Config {
            settings: landfall_proxy::Settings { home: home.to_owned(), drain: Duration::ZERO, workers: 1, proxied_by: Vec::new() },
            listeners: Listeners { http: vec![http], https: vec![https], ..Listeners::default() },
            notify: None,
            name_servers: NameServers::List(Vec::new()),
            names_port: listen().local_addr().unwrap().port(),
            signals: false,
            max_per_address: None,
            max_per_replica: None,
            boot: None,
            watchdog: None,
        };
        let proxy = Proxy::start(config).unwrap();
        runtime.put_gateway(Ipv4Addr::LOCALHOST.into());
        let runtime = Arc::new(runtime);
        let runtimes = Runtimes { docker: runtime.clone(), process: runtime };
        let (http, https) = (format!("http://{}", at.0), format!("https://{}", at.1));
        let settings = Settings { home: home.to_owned(), http: Some(http), https: Some(https), binary: "/bin/landfall".into() };
        let agent = Agent::open(&settings, runtimes).unwrap();
        agent.wake();
        let front = Front { http: at.0, https: at.1, root: Root { pem: String::new() } };
        Self { proxy: Some(proxy), front, agent, app, home: home.to_owned(), rollouts: 0 }
    }

    pub(crate) fn front(&self) -> &Front {
        &self.front
    }

    /// A release, which must succeed.
    pub(crate) async fn roll_out(&mut self, want: Want) {
        let events = self.try_to(want).await;
        assert!(events.iter().any(|e| matches!(e, What::Released { .. })), "{events:#?}");
        self.front.root = Root { pem: std::fs::read_to_string(self.home.join("certs/ca.pem")).unwrap() };
    }

    /// A rollout to its end; what was told of it.
    pub(crate) async fn try_to(&mut self, want: Want) -> Vec<What> {
        let told = self.events().len();
        self.rollouts += 1;
        let id = format!("rollout-{}", self.rollouts).parse().unwrap();
        self.agent.begin(&self.app, RolloutRequest { id, want }, "test").await.unwrap();
        let ended = || self.events().iter().filter(|e| matches!(e, What::RolloutEnded { .. })).count() >= self.rollouts;
        until("the rollout ends", || async { ended() }).await;
        self.events().split_off(told)
    }

    fn events(&self) -> Vec<What> {
        self.agent.events(&self.app, 0).unwrap().into_iter().map(|e| e.what).collect()
    }
}
