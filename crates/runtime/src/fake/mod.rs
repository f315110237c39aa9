//! A server in memory: deterministic, instantaneous, scriptable.
//!
//! For tests and the simulator. What exists lives in a world that every clone shares, so an agent can be "crashed" by dropping everything but a
//! clone. Programs are acts ([`Act`]): by default one runs until it is stopped. The clock stands still until it is set. Nothing here
//! waits for time; `wait` and followed logs wait for the world to change.

mod act;
mod world;

pub use act::{ACT, Act};
pub use world::Call;

use crate::{Exit, Launch, LogEntry, Owners, Runtime, RuntimeError, Session, SessionControl, signal};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use landfall_model::digest::digest;
use landfall_model::image::Login;
use landfall_model::name::{AppName, ImageId, ImageRef, NetworkName, ReplicaId, ServiceName, VolumeName};
use landfall_model::observed::{Observed, ObservedNetwork, Replica, ReplicaState};
use landfall_model::spec::{Network, Program, PullPolicy, RuntimeKind, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use world::{Key, Made, World};

/// Makes nothing exist but says that it does.
#[derive(Clone)]
pub struct FakeRuntime {
    kind: RuntimeKind,
    world: Arc<Mutex<World>>,
    changed: Arc<watch::Sender<u64>>,
}

impl FakeRuntime {
    /// An empty server that calls itself `kind`. Every image can be pulled unless a script says otherwise.
    pub fn new(kind: RuntimeKind) -> Self {
        let world = World { now_ms: 1_700_000_000_000, ..World::default() };
        Self { kind, world: Arc::new(Mutex::new(world)), changed: Arc::new(watch::Sender::new(0)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let done = change(&mut self.world());
        self.changed.send_modify(|n| *n += 1);
        done
    }

    /// Sets the clock, milliseconds since 1970 UTC.
    pub fn set_clock(&self, now_ms: u64) {
        self.change(|w| w.now_ms = now_ms);
    }

    /// The next such call about this replica, service, image or key fails; about anything when `about` is empty. One call each.
    pub fn fail_next(&self, call: Call, about: &str, reason: &str) {
        self.change(|w| w.failures.push((call, about.to_owned(), reason.to_owned())));
    }

    /// What programs of a service do from their next start on, whatever their command says.
    pub fn act_as(&self, service: &ServiceName, act: Act) {
        self.change(|w| drop(w.acts.insert(service.clone(), act)));
    }

    /// A running replica's program ends by itself; its restart policy is applied, from the third time on only up to the wait before the next
    /// start (`restart_now`). False: it does not run.
    pub fn exit(&self, app: &AppName, id: &ReplicaId, code: i32) -> bool {
        let key = (app.clone(), id.clone());
        self.change(|w| {
            let runs = w.replicas.get(&key).is_some_and(|m| m.state.is_running());
            if runs && w.ended(&key, code) {
                w.begin(&key);
            }
            runs
        })
    }

    /// A replica that waits for its next start after a crash gets it.
    pub fn restart_now(&self, app: &AppName, id: &ReplicaId) {
        let key = (app.clone(), id.clone());
        self.change(|w| {
            if w.replicas.get(&key).is_some_and(|m| matches!(m.state, ReplicaState::Restarting { .. })) {
                w.begin(&key);
            }
        });
    }

    /// The machine goes down and comes up: nothing runs any more, everything made is still there.
    pub fn power_cut(&self) {
        self.change(|w| {
            for made in w.replicas.values_mut().filter(|m| !matches!(m.state, ReplicaState::Created | ReplicaState::Exited { .. })) {
                made.state = ReplicaState::Exited { code: 137, out_of_memory: false };
            }
        });
    }

    /// A replica writes a line.
    pub fn say(&self, app: &AppName, id: &ReplicaId, stderr: bool, line: &str) {
        self.change(|w| w.say(&(app.clone(), id.clone()), stderr, line));
    }

    /// How probes of a replica or of all of a service are to be answered from now on. Everything is healthy at first.
    pub fn set_healthy(&self, about: &str, healthy: bool) {
        self.change(|w| if healthy { w.unhealthy.remove(about) } else { w.unhealthy.insert(about.to_owned()) });
    }

    /// How a made-up probe answers: it runs and was not said to be unhealthy.
    pub fn is_healthy(&self, app: &AppName, id: &ReplicaId) -> bool {
        let world = self.world();
        let Some(made) = world.replicas.get(&(app.clone(), id.clone())) else { return false };
        made.state.is_running() && !world.unhealthy.contains(id.as_str()) && !world.unhealthy.contains(made.launch.service.as_str())
    }

    /// The server has this image already.
    pub fn have_image(&self, image: &ImageRef) -> ImageId {
        let id = image_id(image, 0);
        self.change(|w| drop(w.here.insert(image.clone(), id.clone())));
        id
    }

    /// An image has this directory; `archive` is a tar archive as the trait wants it.
    pub fn put_files(&self, image: &ImageId, path: &str, archive: Vec<u8>) {
        self.change(|w| drop(w.files.insert((image.clone(), path.to_owned()), archive)));
    }

    /// Replicas of a service have this address, where a test listens in their place.
    pub fn put_address(&self, service: &ServiceName, address: IpAddr) {
        self.change(|w| w.addresses.insert(service.clone(), address));
    }

    /// The host's address in every network, where a test can listen.
    pub fn put_gateway(&self, gateway: IpAddr) {
        self.change(|w| w.gateway = Some(gateway));
    }

    /// The registry has newer content under this reference; `None`: it has nothing.
    pub fn push_image(&self, image: &ImageRef, version: Option<u32>) {
        self.change(|w| drop(w.registry.insert(image.clone(), version.map(|v| image_id(image, v)))));
    }

    /// Ports of this machine that others listen on.
    pub fn set_busy_ports(&self, ports: BTreeSet<u16>) {
        self.change(|w| w.busy_ports = ports);
    }

    /// How often a replica's program was begun; 0 for an unknown one.
    pub fn runs(&self, app: &AppName, id: &ReplicaId) -> u32 {
        self.world().replicas.get(&(app.clone(), id.clone())).map_or(0, |m| m.runs)
    }

    /// Everything that changed the server, in order: `start web-1-1`, `stop web-1-1 SIGTERM`, `pull a:1`.
    pub fn journal(&self) -> Vec<String> {
        self.world().journal.clone()
    }

    /// Fails if a script wants it.
    fn check(&self, call: Call, about: &[&str]) -> Result<(), RuntimeError> {
        let Some(reason) = self.change(|w| w.failure(call, about)) else { return Ok(()) };
        let object = about.first().copied().unwrap_or("everything");
        Err(match call {
            Call::Pull => RuntimeError::NoImage { image: object.to_owned(), reason },
            Call::Observe => RuntimeError::Unreachable { socket: "/fake/docker.sock".into(), source: reason.into() },
            _ => RuntimeError::failed(format!("{} `{object}`", format!("{call:?}").to_lowercase()), reason),
        })
    }

    /// Like `check`, for a replica that must exist.
    fn check_replica(&self, call: Call, app: &AppName, id: &ReplicaId) -> Result<Key, RuntimeError> {
        let key = (app.clone(), id.clone());
        let service = self.world().replicas.get(&key).map(|m| m.launch.service.to_string());
        let service = service.ok_or_else(|| RuntimeError::NoReplica(id.clone()))?;
        self.check(call, &[id.as_str(), &service]).map(|()| key)
    }

    /// Waits until `look` finds something in the world.
    async fn until<T>(&self, look: impl Fn(&World) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(found) = look(&self.world()) {
                return found;
            }
            // The sender is this object's own, so there is always another change to wait for.
            let _ = changed.changed().await;
        }
    }
}

fn image_id(image: &ImageRef, version: u32) -> ImageId {
    let text = format!("sha256:{}", digest(&(image, version)).as_str());
    match text.parse() {
        Ok(id) => id,
        Err(e) => unreachable!("a digest is an image id: {e}"),
    }
}

fn replica(made: &Made, kind: RuntimeKind) -> Replica {
    let launch = &made.launch;
    let mut networks: Vec<NetworkName> = launch.template.networks.iter().cloned().collect();
    let mut address = made.address;
    if kind == RuntimeKind::Process {
        networks = "default".parse().into_iter().collect();
        address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    }
    let reachable = kind == RuntimeKind::Process || made.state.is_running();
    Replica {
        service: launch.service.clone(),
        revision: launch.revision.clone(),
        release: launch.release,
        job: launch.job,
        state: made.state,
        addresses: networks.into_iter().filter(|_| reachable).map(|n| (n, address)).collect(),
        port: launch.port,
        restarts: made.restarts,
        started_ms: made.started_ms,
        unnamed: BTreeSet::new(),
    }
}

/// A made-up command that has already been played.
struct Played(i32);

#[async_trait]
impl SessionControl for Played {
    async fn resize(&self, _columns: u16, _rows: u16) -> Result<(), RuntimeError> {
        Ok(())
    }
    async fn wait(&self) -> Result<Exit, RuntimeError> {
        Ok(Exit { code: self.0, out_of_memory: false })
    }
    async fn kill(&self) {}
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn kind(&self) -> RuntimeKind {
        self.kind
    }

    async fn ping(&self) -> Result<String, RuntimeError> {
        self.check(Call::Observe, &[]).map(|()| "fake".to_owned())
    }

    async fn observe(&self, app: &AppName, images: &BTreeSet<ImageRef>) -> Result<Observed, RuntimeError> {
        self.check(Call::Observe, &[app.as_str()])?;
        let world = self.world();
        let gateway = world.gateway.unwrap_or(IpAddr::V4(Ipv4Addr::new(10, 0, 255, 254)));
        let network = || ObservedNetwork { gateway: Some(gateway), subnet: Some("10.0.0.0/16".into()), ..ObservedNetwork::default() };
        Ok(Observed {
            replicas: world
                .replicas
                .iter()
                .filter(|((a, _), _)| a == app)
                .map(|((_, id), made)| (id.clone(), replica(made, self.kind)))
                .collect(),
            images: images.iter().filter_map(|i| Some((i.clone(), world.here.get(i)?.clone()))).collect(),
            volumes: world.volumes.iter().filter(|(a, _)| a == app).map(|(_, key)| key.clone()).collect(),
            networks: world.networks.iter().filter(|(a, _)| a == app).map(|(_, key)| (key.clone(), network())).collect(),
            busy_ports: world.busy_ports.clone(),
            ..Observed::default()
        })
    }

    async fn apps(&self) -> Result<BTreeSet<AppName>, RuntimeError> {
        Ok(self.world().replicas.keys().map(|(app, _)| app.clone()).collect())
    }

    async fn pull(
        &self,
        image: &ImageRef,
        (policy, _): (PullPolicy, Option<&Login>),
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        self.check(Call::Pull, &[image.as_str()])?;
        let refused = |reason: &str| RuntimeError::NoImage { image: image.to_string(), reason: reason.to_owned() };
        let pulled = self.change(|w| {
            if let (PullPolicy::Missing | PullPolicy::Never, Some(id)) = (policy, w.here.get(image)) {
                return Ok((id.clone(), false));
            }
            let offered = w.registry.get(image).cloned().unwrap_or_else(|| Some(image_id(image, 0)));
            let id = offered.filter(|_| policy != PullPolicy::Never).ok_or_else(|| refused("its registry does not have it"))?;
            w.here.insert(image.clone(), id.clone());
            w.journal.push(format!("pull {image}"));
            Ok((id, true))
        });
        let (id, fetched) = pulled?;
        if fetched {
            progress(format!("{image}: pulled"));
        }
        Ok(id)
    }

    async fn files(&self, image: &ImageId, path: &str, into: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), RuntimeError> {
        let archive = self.world().files.get(&(image.clone(), path.to_owned())).cloned();
        let archive =
            archive.ok_or_else(|| RuntimeError::failed(format!("copy `{path}` out of the image"), "the image has no such directory"))?;
        self.change(|w| w.journal.push(format!("unpack {path}")));
        into.write_all(&archive).await.map_err(|e| RuntimeError::failed(format!("copy `{path}` out of the image"), e))
    }

    async fn owners(&self, _networks: &BTreeSet<&str>, _volumes: &BTreeSet<&str>) -> Result<Owners, RuntimeError> {
        Ok(self.world().owners.clone())
    }

    async fn ensure_network(&self, app: &AppName, key: &NetworkName, _network: &Network) -> Result<(), RuntimeError> {
        self.check(Call::EnsureNetwork, &[key.as_str()])?;
        self.change(|w| {
            if w.networks.insert((app.clone(), key.clone())) {
                w.journal.push(format!("network {key}"));
            }
        });
        Ok(())
    }

    async fn ensure_volume(&self, app: &AppName, key: &VolumeName, _volume: &Volume) -> Result<(), RuntimeError> {
        self.check(Call::EnsureVolume, &[key.as_str()])?;
        self.change(|w| {
            if w.volumes.insert((app.clone(), key.clone())) {
                w.journal.push(format!("volume {key}"));
            }
        });
        Ok(())
    }

    async fn start(&self, launch: &Launch) -> Result<(), RuntimeError> {
        self.check(Call::Start, &[launch.id.as_str(), launch.service.as_str()])?;
        let key = (launch.app.clone(), launch.id.clone());
        self.change(|w| {
            if let Program::Image { reference, .. } = &launch.template.program
                && !w.here.contains_key(reference)
            {
                return Err(RuntimeError::NoImage { image: reference.to_string(), reason: "it is not on this server".into() });
            }
            if !w.replicas.contains_key(&key) {
                let next = w.next_address();
                let address = w.addresses.get(&launch.service).copied().unwrap_or(next);
                let made = Made {
                    launch: launch.clone(),
                    state: ReplicaState::Created,
                    address,
                    restarts: 0,
                    started_ms: 0,
                    runs: 0,
                    log: Vec::new(),
                    listens: BTreeSet::new(),
                };
                w.replicas.insert(key.clone(), made);
                w.journal.push(format!("start {}", launch.id));
            }
            if w.replicas.get(&key).is_some_and(|m| m.state == ReplicaState::Created) {
                w.begin(&key);
            }
            Ok(())
        })
    }

    async fn start_again(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        let key = self.check_replica(Call::StartAgain, app, id)?;
        self.change(|w| {
            if w.replicas.get(&key).is_some_and(|m| matches!(m.state, ReplicaState::Created | ReplicaState::Exited { .. })) {
                w.journal.push(format!("start again {id}"));
                w.begin(&key);
            }
        });
        Ok(())
    }

    async fn wait(&self, app: &AppName, id: &ReplicaId) -> Result<Exit, RuntimeError> {
        let key = self.check_replica(Call::Wait, app, id)?;
        let look = |w: &World| match w.replicas.get(&key).map(|m| m.state) {
            None => Some(Err(RuntimeError::NoReplica(id.clone()))),
            Some(ReplicaState::Exited { code, out_of_memory }) => Some(Ok(Exit { code, out_of_memory })),
            Some(_) => None,
        };
        self.until(look).await
    }

    async fn stop(&self, app: &AppName, id: &ReplicaId, signal: Option<&str>, _grace: Duration) -> Result<(), RuntimeError> {
        let key = self.check_replica(Call::Stop, app, id)?;
        let signal = signal.unwrap_or("SIGTERM");
        self.change(|w| {
            let Some(launch) = w
                .replicas
                .get(&key)
                .filter(|m| !matches!(m.state, ReplicaState::Created | ReplicaState::Exited { .. }))
                .map(|m| m.launch.clone())
            else {
                return;
            };
            let code = match w.act(&launch) {
                _ if signal::same(signal, "SIGKILL") => 137,
                Act::Stubborn => 137,
                Act::Polite { line, code } => {
                    w.say(&key, false, &line);
                    i32::from(code)
                }
                _ => 0,
            };
            if let Some(made) = w.replicas.get_mut(&key) {
                made.state = ReplicaState::Exited { code, out_of_memory: false };
                made.listens.clear();
            }
            w.journal.push(format!("stop {id} {signal}"));
        });
        Ok(())
    }

    async fn remove(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        let key = match self.check_replica(Call::Remove, app, id) {
            Err(RuntimeError::NoReplica(_)) => return Ok(()),
            found => found?,
        };
        self.change(|w| {
            if w.replicas.remove(&key).is_some() {
                w.journal.push(format!("remove {id}"));
            }
        });
        Ok(())
    }

    async fn remove_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        self.change(|w| {
            if !volume.external && w.volumes.remove(&(app.clone(), key.clone())) {
                w.contents.remove(app);
                w.journal.push(format!("remove volume {key}"));
            }
        });
        Ok(())
    }

    async fn remove_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
        self.change(|w| {
            if !network.external && w.networks.remove(&(app.clone(), key.clone())) {
                w.journal.push(format!("remove network {key}"));
            }
        });
        Ok(())
    }

    async fn exec(&self, app: &AppName, id: &ReplicaId, argv: &[String], _tty: bool) -> Result<Session, RuntimeError> {
        let key = self.check_replica(Call::Exec, app, id)?;
        if !self.world().replicas.get(&key).is_some_and(|m| m.state.is_running()) {
            return Err(RuntimeError::failed(format!("run a command in `{id}`"), "it does not run"));
        }
        let act = Act::of(argv);
        if act == Act::Echo {
            let (near, far) = tokio::io::duplex(64 * 1024);
            return Ok(Session {
                stdin: Box::new(far),
                stdout: Box::new(near),
                stderr: Box::new(tokio::io::empty()),
                control: Box::new(Played(0)),
            });
        }
        let (out, err, code) = self.change(|w| w.answer(&key, &act));
        Ok(Session {
            stdin: Box::new(tokio::io::sink()),
            stdout: Box::new(std::io::Cursor::new(out.into_bytes())),
            stderr: Box::new(std::io::Cursor::new(err.into_bytes())),
            control: Box::new(Played(code)),
        })
    }

    async fn logs(
        &self,
        app: &AppName,
        id: &ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogEntry, RuntimeError>>, RuntimeError> {
        let key = (app.clone(), id.clone());
        let written = self.world().replicas.get(&key).map(|m| m.log.len()).ok_or_else(|| RuntimeError::NoReplica(id.clone()))?;
        let from = written.saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        let lines = stream::unfold((self.clone(), key, from), move |(fake, key, at)| async move {
            let look = |w: &World| match w.replicas.get(&key) {
                None => Some(None),
                Some(made) => made.log.get(at).cloned().map(Some).or((!follow).then_some(None)),
            };
            let entry = fake.until(look).await?;
            Some((Ok(entry), (fake, key, at + 1)))
        });
        Ok(lines.boxed())
    }

    async fn listening(&self, app: &AppName, id: &ReplicaId) -> BTreeSet<u16> {
        self.world().replicas.get(&(app.clone(), id.clone())).map(|m| m.listens.clone()).unwrap_or_default()
    }
}

/// What a script may want to know of the whole server.
impl FakeRuntime {
    /// State of every replica of an app.
    pub fn states(&self, app: &AppName) -> BTreeMap<ReplicaId, ReplicaState> {
        self.world().replicas.iter().filter(|((a, _), _)| a == app).map(|((_, id), m)| (id.clone(), m.state)).collect()
    }
}
