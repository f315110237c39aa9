//! Landfall with the plan's counterpart: a real agent and a real proxy; the containers are made up, and their addresses are those of the test's
//! own applications.

use crate::plans::Plan;
use crate::talk::Front;
use crate::wire::{Root, until};
use landfall_agent::{Agent, Runtimes, Settings};
use landfall_model::api::{RolloutRequest, Want, What};
use landfall_model::compose::{FileProblem, Files, Input, resolve};
use landfall_model::spec::{Program, RuntimeKind, Spec};
use landfall_proxy::{Config, Handle, Listeners, NameServers, Proxy};
use landfall_runtime::fake::FakeRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Landfall {
    proxy: Option<Handle>,
    front: Front,
    _agent: Agent,
}

impl Drop for Landfall {
    fn drop(&mut self) {
        let _ = self.proxy.take().map(Handle::stop);
    }
}

impl Landfall {
    pub(crate) fn front(&self) -> &Front {
        &self.front
    }
}

struct Disk(PathBuf);

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        std::fs::read(self.0.join(path)).map_err(|_| FileProblem::NotFound)
    }
    fn exists(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }
}

/// The example as the compiler understands it.
fn spec(plan: &Plan) -> Spec {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(plan.example);
    let secrets =
        ["DB_PASSWORD", "JWT_SECRET", "POSTGRES_PASSWORD"].map(|name| (name.to_owned(), "f81b7c3e9d2a4650f81b7c3e9d2a4650".to_owned()));
    let env: BTreeMap<String, String> = secrets.into_iter().chain([("DOMAIN".to_owned(), plan.hosts[0].to_owned())]).collect();
    let dir_text = dir.to_str().unwrap().to_owned();
    let output = resolve(&Input {
        files: &["compose.yaml".to_owned()],
        cwd: &dir_text,
        project_dir: &dir_text,
        project_name: None,
        env: &env,
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &Disk(dir),
        rules: None,
    });
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    output.spec.unwrap()
}

pub(crate) async fn start(plan: &Plan, stage: &Path) -> Landfall {
    let home = stage.join("landfall");
    std::fs::create_dir_all(home.join("run")).unwrap();
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (http, https) = (listen(), listen());
    let at = (http.local_addr().unwrap(), https.local_addr().unwrap());
    let config = Config {
        settings: landfall_proxy::Settings { home: home.clone(), drain: Duration::ZERO, workers: 1 },
        listeners: Listeners { http: vec![http], https: vec![https], ..Listeners::default() },
        notify: None,
        name_servers: NameServers::List(Vec::new()),
        names_port: listen().local_addr().unwrap().port(),
        signals: false,
        max_per_address: None,
        watchdog: None,
    };
    let proxy = Proxy::start(config).unwrap();
    let spec = spec(plan);
    let runtime = Arc::new(FakeRuntime::new(RuntimeKind::Docker));
    runtime.put_gateway(Ipv4Addr::LOCALHOST.into());
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
    let runtimes = Runtimes { docker: runtime.clone(), process: runtime };
    let (http, https) = (format!("http://{}", at.0), format!("https://{}", at.1));
    let settings = Settings { home: home.clone(), http: Some(http), https: Some(https), binary: "/bin/landfall".into() };
    let agent = Agent::open(&settings, runtimes).unwrap();
    agent.wake();
    let (app, id) = (spec.app.clone(), "rollout-1".parse().unwrap());
    agent.begin(&app, RolloutRequest { id, want: Want::Deploy { spec: Box::new(spec) } }, "test").await.unwrap();
    let ended = || agent.events(&app, 0).unwrap().into_iter().any(|e| matches!(e.what, What::RolloutEnded { .. }));
    until("the release ends", || async { ended() }).await;
    let events: Vec<What> = agent.events(&app, 0).unwrap().into_iter().map(|e| e.what).collect();
    assert!(events.iter().any(|e| matches!(e, What::Released { .. })), "{events:#?}");
    let root = Root { pem: std::fs::read_to_string(home.join("certs/ca.pem")).unwrap() };
    Landfall { proxy: Some(proxy), front: Front { http: at.0, https: at.1, root }, _agent: agent }
}
