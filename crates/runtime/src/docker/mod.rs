//! Replicas as containers of the Docker Engine.
//!
//! The engine is the only memory: what a container is for stands in its labels, so a new agent knows everything by asking. Containers are
//! named `<app>-<replica id>` and get no alias of their service's name, because names are answered by Landfall's proxy. It assumes an engine
//! of API 1.41 (Docker 20.10) or newer on a Unix socket. It refuses to touch containers, networks and volumes without its own label, except to
//! join and mount what the file names.

mod about;
mod address;
mod container;
mod credential;
mod detail;
mod engine;
mod exec;
mod file;
mod frame;
mod image;
mod log;
mod network;
mod observe;
mod passwd;
mod reach;
mod stranger;
mod survey;
mod unpack;
mod user;
mod volume;

pub use image::{BUILD_LOG, Build, Images, PullLimits};
pub use survey::{EngineSurvey, Published, Seen, survey};

use crate::{Exit, Launch, LogEntry, Owners, Runtime, RuntimeError, Session, Stranger, listener, signal};
use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerUpdateBody};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use container::label;
use engine::{CALL, Engine, MAKE, not_started, status, words};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use landfall_model::image::Login;
use landfall_model::name::{AppName, ImageId, ImageRef, NetworkName, ReplicaId, VolumeName};
use landfall_model::observed::{ImageAbout, Observed, ReplicaState};
use landfall_model::spec::{Network, Program, PullPolicy, Restart, RuntimeKind, Volume};
use network::Known;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;

/// Questions asked side by side.
const SIDE_BY_SIDE: usize = 8;
/// The engine's own name server inside every container's network namespace.
const ENGINE_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// Makes containers exist.
pub struct DockerRuntime {
    engine: Arc<Engine>,
    images: Images,
    pulls: PullLimits,
    /// Networks and volumes asked for since this agent started; see `network`.
    known: Mutex<BTreeMap<AppName, Known>>,
    /// Held from the choice of an address until a container has it.
    addresses: tokio::sync::Mutex<()>,
}

impl DockerRuntime {
    /// The engine at a Unix socket. Nothing is asked of it yet.
    pub fn at(socket: &Path) -> Self {
        Self::of(Engine::at(socket))
    }

    /// The engine that `DOCKER_HOST` names, or the one at `/var/run/docker.sock`. `host` is the variable's value; anything but
    /// `unix:///path` makes every call fail with the reason.
    pub fn of_host(host: Option<&str>) -> Self {
        Self::of(Engine::of_host(host))
    }

    fn of(engine: Engine) -> Self {
        let engine = Arc::new(engine);
        Self {
            images: Images::of(Arc::clone(&engine)),
            engine,
            pulls: PullLimits::default(),
            known: Mutex::default(),
            addresses: Default::default(),
        }
    }

    /// With other bounds of pulls.
    #[must_use]
    pub fn with_pulls(self, pulls: PullLimits) -> Self {
        Self { pulls, ..self }
    }

    /// Where the engine is expected.
    pub fn socket(&self) -> PathBuf {
        self.engine.socket().to_owned()
    }

    fn learn(&self, app: &AppName, learn: impl FnOnce(&mut Known)) {
        learn(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(app.clone()).or_default());
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        let client = self.engine.client().await?;
        self.engine.look(&format!("look at container `{name}`"), client.inspect_container(name, None::<InspectContainerOptions>)).await
    }

    /// A container of the app, which must exist.
    async fn known(&self, app: &AppName, id: &ReplicaId) -> Result<ContainerInspectResponse, RuntimeError> {
        let found = self.inspect(&name(app, id)).await?;
        found.filter(|c| owned(c, app, id)).ok_or_else(|| RuntimeError::NoReplica(id.clone()))
    }

    /// Names of the containers with a label.
    async fn list(&self, wanted: &str) -> Result<Vec<(String, HashMap<String, String>)>, RuntimeError> {
        let client = self.engine.client().await?;
        let options = ListContainersOptionsBuilder::new().all(true).filters(&HashMap::from([("label", vec![wanted])])).build();
        let found = self.engine.ask("list containers", CALL, client.list_containers(Some(options))).await?;
        Ok(found.into_iter().filter_map(|c| Some((c.id?, c.labels.unwrap_or_default()))).collect())
    }

    /// Makes the container unless there is one; then it must be the one that is meant.
    async fn create(&self, launch: &Launch) -> Result<ContainerInspectResponse, RuntimeError> {
        let name = name(&launch.app, &launch.id);
        let mut body = container::body(launch)?;
        if self.inspect(&name).await?.is_none() {
            let image = body.image.clone().unwrap_or_default();
            let files = file::keep(&self.engine, &name, launch, &image).await?;
            body.host_config.get_or_insert_default().mounts.get_or_insert_default().extend(files);
        }
        if let Some(old) = &launch.takes {
            self.hand_on(launch, old, &mut body).await?;
        }
        let networks = container::joined(launch)?;
        let _mine = self.addresses.lock().await;
        if let (Some(first), Some(at)) = (networks.first(), body.networking_config.as_mut()) {
            let endpoint = address::endpoint(&self.engine, launch, first).await?;
            at.endpoints_config = Some(HashMap::from([(first.external_name.clone(), endpoint)]));
        }
        let client = self.engine.client().await?;
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let doing = format!("make `{}`", launch.id);
        let made = tokio::time::timeout(MAKE, client.create_container(Some(options), body)).await;
        match made.map_err(|_| RuntimeError::TimedOut { doing, seconds: MAKE.as_secs() })? {
            Ok(_) => {}
            Err(e) if network::conflict(&e) => {}
            Err(e) => return Err(self.not_made(launch, e)),
        }
        let found = self.inspect(&name).await?.ok_or_else(|| RuntimeError::NoReplica(launch.id.clone()))?;
        if owned(&found, &launch.app, &launch.id) {
            if state(&found) == ReplicaState::Created {
                for network in networks.into_iter().skip(1) {
                    let endpoint = address::endpoint(&self.engine, launch, network).await?;
                    network::connect(&self.engine, &name, (&network.external_name, endpoint)).await?;
                }
            }
            return Ok(found);
        }
        Err(RuntimeError::failed(format!("make `{}`", launch.id), format!("there is a container `{name}` that Landfall did not make")))
    }

    /// Mounts the old replica's volumes without a name where the new one has such as well, instead of fresh ones. One that
    /// is gone by now has none.
    async fn hand_on(&self, launch: &Launch, old: &ReplicaId, body: &mut ContainerCreateBody) -> Result<(), RuntimeError> {
        let Some(found) = self.inspect(&name(&launch.app, old)).await?.filter(|c| owned(c, &launch.app, old)) else { return Ok(()) };
        let image = body.image.clone().unwrap_or_default();
        let about = image::about_of(&self.engine, &image).await?.unwrap_or_default();
        container::hand_on(body, &observe::unnamed(&found), &about.volumes);
        Ok(())
    }

    fn not_made(&self, launch: &Launch, error: Error) -> RuntimeError {
        match &launch.template.program {
            Program::Image { reference, .. }
                if status(&error) == Some(404) && words(&error).to_ascii_lowercase().contains("no such image") =>
            {
                image::no_image(reference, "it is not on this server".into())
            }
            _ => not_started(&self.engine, &launch.id, &program(launch), error),
        }
    }

    /// Sends a signal that is not the container's own stop signal, waits, and lets the engine kill what is left. The restart policy is taken
    /// away first: the engine would take the death for a crash. `start_again` puts it back.
    async fn stop_by(&self, id: &str, signal: &str, grace: Duration) -> Result<(), RuntimeError> {
        let client = self.engine.client().await?;
        let body = ContainerUpdateBody { restart_policy: Some(container::restart(Restart::No)), ..ContainerUpdateBody::default() };
        self.engine.look("take away a restart policy", client.update_container(id, body)).await?;
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match tokio::time::timeout(CALL, client.kill_container(id, Some(options))).await {
            // It has ended by itself.
            Ok(Err(e)) if matches!(status(&e), Some(404 | 409)) => return Ok(()),
            Ok(answer) => answer.map_err(|e| self.engine.explain("send a signal", e))?,
            Err(_) => return Err(RuntimeError::TimedOut { doing: "sending a signal".into(), seconds: CALL.as_secs() }),
        }
        let until = Instant::now() + grace;
        while Instant::now() < until {
            if self.inspect(id).await?.is_none_or(|c| !is_up(&c)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.stop_own(id, Duration::ZERO).await
    }

    /// The engine's own stop: the container's stop signal, the wait, SIGKILL; it is not started again by its restart policy.
    async fn stop_own(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let seconds = grace.as_millis().div_ceil(1000);
        let within = grace + CALL;
        // The client's own bound is that of its clone.
        let client = self.engine.client().await?.clone().with_timeout(within);
        let options = StopContainerOptionsBuilder::new().t(i32::try_from(seconds).unwrap_or(i32::MAX)).build();
        match tokio::time::timeout(within, client.stop_container(id, Some(options))).await {
            Ok(Err(e)) if status(&e) == Some(404) => Ok(()),
            Ok(answer) => answer.map_err(|e| self.engine.explain("stop a container", e)),
            Err(_) => Err(RuntimeError::TimedOut { doing: "stop of a container".into(), seconds: within.as_secs() }),
        }
    }
}

/// What a replica's container is called.
fn name(app: &AppName, id: &ReplicaId) -> String {
    format!("{app}-{id}")
}

/// `shop-a` has a replica `b`, `shop` one `a-b`: the name alone says nothing.
fn owned(found: &ContainerInspectResponse, app: &AppName, id: &ReplicaId) -> bool {
    let labels = found.config.as_ref().and_then(|c| c.labels.as_ref());
    let has = |key: &str, value: &str| labels.and_then(|l| l.get(key)).map(String::as_str) == Some(value);
    has(label::APP, app.as_str()) && has(label::REPLICA, id.as_str())
}

fn state(found: &ContainerInspectResponse) -> ReplicaState {
    found.state.as_ref().map_or(ReplicaState::Created, observe::state_of)
}

fn is_up(found: &ContainerInspectResponse) -> bool {
    matches!(state(found), ReplicaState::Running | ReplicaState::Restarting { .. })
}

/// What a person would call the program of a launch.
fn program(launch: &Launch) -> String {
    let template = &launch.template;
    let given = launch.argv.as_ref().or(template.command.as_ref());
    let first = template.entrypoint.as_ref().and_then(|e| e.first()).or_else(|| given.and_then(|g| g.first()));
    first.cloned().unwrap_or_else(|| launch.service.to_string())
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    async fn ping(&self) -> Result<String, RuntimeError> {
        let client = self.engine.client().await?;
        let version = self.engine.ask("ask the engine for its version", CALL, client.version()).await?;
        Ok(format!("Docker Engine {} (API {})", version.version.unwrap_or_default(), client.client_version()))
    }

    async fn observe(&self, app: &AppName, images: &BTreeSet<ImageRef>) -> Result<Observed, RuntimeError> {
        let listed = self.list(&format!("{}={app}", label::APP)).await?;
        let inspected = stream::iter(listed).map(|(id, _)| async move { self.inspect(&id).await }).buffer_unordered(SIDE_BY_SIDE);
        // One that was removed between the two questions is passed over.
        let found: Vec<ContainerInspectResponse> = inspected.try_filter_map(|c| async move { Ok(c) }).try_collect().await?;
        for container in &found {
            self.learn(app, |known| known.learn(container));
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(app).cloned().unwrap_or_default();
        let here = stream::iter(images.iter().cloned()).map(|image| async move {
            let found = image::inspect(&self.engine, &image).await?;
            Ok::<_, RuntimeError>((image, found))
        });
        let here: Vec<(ImageRef, Option<(ImageId, ImageAbout)>)> = here.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        let own: BTreeSet<String> = found.iter().filter_map(|c| c.id.clone()).collect();
        let volumes = volume::observe(&self.engine, app, &known.volumes).await?;
        Ok(Observed {
            replicas: found.iter().filter_map(observe::replica).collect(),
            about: here.iter().filter_map(|(_, found)| found.clone()).collect(),
            images: here.into_iter().filter_map(|(image, found)| Some((image, found?.0))).collect(),
            volumes: volumes.made.keys().cloned().collect(),
            volume_options: volumes.made,
            adopted: volumes.adopted,
            networks: network::observe(&self.engine, app, (&known.networks, &own)).await?,
            busy_ports: BTreeSet::new(),
        })
    }

    async fn apps(&self) -> Result<BTreeSet<AppName>, RuntimeError> {
        let listed = self.list(label::APP).await?;
        Ok(listed.into_iter().filter_map(|(_, labels)| labels.get(label::APP)?.parse().ok()).collect())
    }

    async fn pull(
        &self,
        image: &ImageRef,
        (policy, login): (PullPolicy, Option<&Login>),
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        image::pull(&self.engine, &self.pulls, image, (policy, login), progress).await
    }

    fn images(&self) -> Option<&Images> {
        Some(&self.images)
    }

    async fn files(&self, image: &ImageId, path: &str, into: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), RuntimeError> {
        unpack::files(&self.engine, image, path, into).await
    }

    async fn owners(&self, networks: &BTreeSet<&str>, volumes: &BTreeSet<&str>) -> Result<Owners, RuntimeError> {
        network::owners(&self.engine, networks, volumes).await
    }

    async fn ensure_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
        network::ensure(&self.engine, app, key, network).await?;
        self.learn(app, |known| drop(known.networks.insert(key.clone(), network.external_name.clone())));
        Ok(())
    }

    async fn ensure_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        volume::ensure(&self.engine, app, key, volume).await?;
        self.learn(app, |known| drop(known.volumes.insert(key.clone(), volume.external_name.clone())));
        Ok(())
    }

    async fn start(&self, launch: &Launch) -> Result<(), RuntimeError> {
        let found = self.create(launch).await?;
        if state(&found) != ReplicaState::Created {
            return Ok(());
        }
        let name = name(&launch.app, &launch.id);
        file::write(&self.engine, &name, launch).await?;
        let client = self.engine.client().await?;
        let started = tokio::time::timeout(MAKE, client.start_container(&name, None::<StartContainerOptions>)).await;
        let doing = format!("start of `{}`", launch.id);
        started
            .map_err(|_| RuntimeError::TimedOut { doing, seconds: MAKE.as_secs() })?
            .map_err(|e| not_started(&self.engine, &launch.id, &program(launch), e))
    }

    async fn start_again(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        let found = self.known(app, id).await?;
        if is_up(&found) {
            return Ok(());
        }
        let name = name(app, id);
        let client = self.engine.client().await?;
        let labels = found.config.as_ref().and_then(|c| c.labels.as_ref());
        let job = labels.and_then(|l| l.get(label::JOB)).is_some_and(|j| j == "true");
        let policy: Option<Restart> = labels.and_then(|l| serde_json::from_str(l.get(label::RESTART)?).ok());
        if let (Some(policy), false) = (policy, job) {
            let body = ContainerUpdateBody { restart_policy: Some(container::restart(policy)), ..ContainerUpdateBody::default() };
            self.engine.ask(&format!("start `{id}`"), CALL, client.update_container(&name, body)).await?;
        }
        let started = tokio::time::timeout(MAKE, client.start_container(&name, None::<StartContainerOptions>)).await;
        let doing = format!("start of `{id}`");
        started
            .map_err(|_| RuntimeError::TimedOut { doing, seconds: MAKE.as_secs() })?
            .map_err(|e| not_started(&self.engine, id, id.as_str(), e))
    }

    async fn is_answered(&self, app: &AppName, id: &ReplicaId, asked: (SocketAddr, &str)) -> Option<bool> {
        let pid = self.known(app, id).await.ok()?.state?.pid.filter(|pid| *pid > 0)?;
        reach::is_answered(pid, asked).await
    }

    async fn wait(&self, app: &AppName, id: &ReplicaId) -> Result<Exit, RuntimeError> {
        loop {
            let found = self.known(app, id).await?;
            if let ReplicaState::Exited { code, out_of_memory } = state(&found) {
                return Ok(Exit { code, out_of_memory });
            }
            let client = self.engine.client().await?;
            // For one that was made and not started this waits for its start and end.
            let condition = if state(&found) == ReplicaState::Created { "next-exit" } else { "not-running" };
            let options = WaitContainerOptionsBuilder::new().condition(condition).build();
            // Its answer is only a nudge: the client calls codes other than 0 errors, and the connection may be cut.
            let _ = client.wait_container(&name(app, id), Some(options)).next().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(&self, app: &AppName, id: &ReplicaId, signal: Option<&str>, grace: Duration) -> Result<(), RuntimeError> {
        let found = self.known(app, id).await?;
        if !is_up(&found) {
            return Ok(());
        }
        let own = found.config.as_ref().and_then(|c| c.stop_signal.clone()).unwrap_or_else(|| "SIGTERM".into());
        let name = name(app, id);
        let named = |e: RuntimeError| match e {
            RuntimeError::Failed { source, .. } => RuntimeError::Failed { doing: format!("stop `{id}`"), source },
            other => other,
        };
        match signal.filter(|s| !signal::same(&own, s)) {
            None => self.stop_own(&name, grace).await,
            Some(other) => self.stop_by(&name, other, grace).await,
        }
        .map_err(named)
    }

    async fn remove(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        let name = name(app, id);
        let client = self.engine.client().await?;
        let until = Instant::now() + MAKE;
        loop {
            let Some(found) = self.inspect(&name).await? else {
                return volume::forget_files(&self.engine, &file::volume(&name)).await;
            };
            if !owned(&found, app, id) {
                return Ok(());
            }
            let volumes = observe::unnamed(&found).into_values();
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            match tokio::time::timeout(MAKE, client.remove_container(found.id.as_deref().unwrap_or(&name), Some(options))).await {
                Ok(Err(e)) if status(&e) == Some(404) => return Ok(()),
                // Being removed by an earlier call: done when it is gone.
                Ok(Err(e)) if network::conflict(&e) && Instant::now() < until => tokio::time::sleep(Duration::from_millis(100)).await,
                Ok(Ok(())) => {
                    volume::forget(&self.engine, volumes).await?;
                    return volume::forget_files(&self.engine, &file::volume(&name)).await;
                }
                Ok(Err(e)) => return Err(self.engine.explain(&format!("remove `{id}`"), e)),
                Err(_) => return Err(RuntimeError::TimedOut { doing: format!("removal of `{id}`"), seconds: MAKE.as_secs() }),
            }
        }
    }

    async fn remove_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        volume::remove(&self.engine, app, key, volume).await?;
        self.learn(app, |known| drop(known.volumes.remove(key)));
        Ok(())
    }

    async fn strangers(&self, networks: &BTreeSet<String>, volumes: &BTreeSet<String>) -> Result<Vec<Stranger>, RuntimeError> {
        stranger::strangers(&self.engine, networks, volumes).await
    }

    async fn volume_bytes(&self, _app: &AppName, _key: &VolumeName, volume: &Volume) -> Option<u64> {
        let found = self.engine.client().await.ok()?.inspect_volume(&volume.external_name).await.ok()?;
        // The engine's own count walks through every volume and container there is.
        crate::process::directory_bytes(std::path::Path::new(&found.mountpoint))
    }

    async fn remove_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
        network::remove(&self.engine, app, key, network).await?;
        self.learn(app, |known| drop(known.networks.remove(key)));
        Ok(())
    }

    async fn exec(&self, app: &AppName, id: &ReplicaId, argv: &[String], tty: bool) -> Result<Session, RuntimeError> {
        self.known(app, id).await?;
        exec::start(&self.engine, &name(app, id), id, argv, tty).await
    }

    async fn logs(
        &self,
        app: &AppName,
        id: &ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogEntry, RuntimeError>>, RuntimeError> {
        // By its id, so that a follower does not go on with another container of the same name.
        let container = self.known(app, id).await?.id.unwrap_or_else(|| name(app, id));
        log::lines(Arc::clone(&self.engine), container, tail, follow).await
    }

    async fn listening(&self, app: &AppName, id: &ReplicaId) -> BTreeSet<u16> {
        let Ok(found) = self.known(app, id).await else { return BTreeSet::new() };
        let Some(pid) = found.state.and_then(|s| s.pid).filter(|pid| *pid > 0) else { return BTreeSet::new() };
        let all = listener::listeners(Path::new(&format!("/proc/{pid}/net")));
        all.into_iter().filter(|l| l.address != ENGINE_DNS).map(|l| l.port).collect()
    }
}
