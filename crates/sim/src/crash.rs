//! A runtime that can end the agent's life at any of its calls.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use landfall_model::image::Login;
use landfall_model::name::{AppName, ImageId, ImageRef, NetworkName, ReplicaId, VolumeName};
use landfall_model::observed::Observed;
use landfall_model::spec::{Network, PullPolicy, RuntimeKind, Volume};
use landfall_runtime::fake::{ACT, FakeRuntime};
use landfall_runtime::{Exit, Launch, LogEntry, Runtime, RuntimeError, Session};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

/// On which side of a call's effect the agent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done yet.
    Before,
    /// It was done, and nobody was told.
    After,
}

/// Where the agent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashAt {
    /// The how-manieth call that changes something, counted from 1 within a life.
    pub call: usize,
    /// On which side.
    pub moment: Moment,
}

/// The fake runtime with a trap.
pub(crate) struct Trapped {
    inner: Arc<FakeRuntime>,
    trap: Option<CrashAt>,
    calls: AtomicUsize,
    /// Told when the trap was stepped on.
    pub(crate) sprung: Arc<Notify>,
}

impl Trapped {
    pub(crate) fn new(inner: Arc<FakeRuntime>, trap: Option<CrashAt>) -> Self {
        Self { inner, trap, calls: AtomicUsize::new(0), sprung: Arc::new(Notify::new()) }
    }

    /// Does a call that changes something, unless the life ends here.
    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let here = self.trap.filter(|t| t.call == number);
        if here.is_some_and(|t| t.moment == Moment::Before) {
            self.die().await;
        }
        let result = call.await;
        if here.is_some_and(|t| t.moment == Moment::After) {
            self.die().await;
        }
        result
    }

    /// Never returns: the life is ended from outside.
    async fn die(&self) {
        self.sprung.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Runtime for Trapped {
    fn kind(&self) -> RuntimeKind {
        self.inner.kind()
    }
    async fn ping(&self) -> Result<String, RuntimeError> {
        self.inner.ping().await
    }
    async fn observe(&self, app: &AppName, images: &BTreeSet<ImageRef>) -> Result<Observed, RuntimeError> {
        self.inner.observe(app, images).await
    }
    async fn apps(&self) -> Result<BTreeSet<AppName>, RuntimeError> {
        self.inner.apps().await
    }
    async fn pull(
        &self,
        image: &ImageRef,
        how: (PullPolicy, Option<&Login>),
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        self.pass(self.inner.pull(image, how, progress)).await
    }
    async fn files(&self, image: &ImageId, path: &str, into: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), RuntimeError> {
        self.pass(self.inner.files(image, path, into)).await
    }
    async fn ensure_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
        self.pass(self.inner.ensure_network(app, key, network)).await
    }
    async fn ensure_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        self.pass(self.inner.ensure_volume(app, key, volume)).await
    }
    async fn start(&self, launch: &Launch) -> Result<(), RuntimeError> {
        self.pass(self.inner.start(launch)).await
    }
    async fn start_again(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        self.pass(self.inner.start_again(app, id)).await
    }
    async fn wait(&self, app: &AppName, id: &ReplicaId) -> Result<Exit, RuntimeError> {
        self.pass(self.inner.wait(app, id)).await
    }
    async fn stop(&self, app: &AppName, id: &ReplicaId, signal: Option<&str>, grace: Duration) -> Result<(), RuntimeError> {
        self.pass(self.inner.stop(app, id, signal, grace)).await
    }
    async fn remove(&self, app: &AppName, id: &ReplicaId) -> Result<(), RuntimeError> {
        self.pass(self.inner.remove(app, id)).await
    }
    async fn remove_volume(&self, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
        self.pass(self.inner.remove_volume(app, key, volume)).await
    }
    async fn remove_network(&self, app: &AppName, key: &NetworkName, network: &Network) -> Result<(), RuntimeError> {
        self.pass(self.inner.remove_network(app, key, network)).await
    }
    async fn exec(&self, app: &AppName, id: &ReplicaId, argv: &[String], tty: bool) -> Result<Session, RuntimeError> {
        // The app's healthcheck is the word `ready`; what it answers is what the test said of the replica.
        let refusal = [ACT.to_owned(), r#"{"do":"answer","out":"","err":"not ready","code":1}"#.to_owned()];
        let refused = argv == ["ready"] && !self.inner.is_healthy(app, id);
        let argv = if refused { &refusal[..] } else { argv };
        self.pass(self.inner.exec(app, id, argv, tty)).await
    }
    async fn logs(
        &self,
        app: &AppName,
        id: &ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogEntry, RuntimeError>>, RuntimeError> {
        self.inner.logs(app, id, tail, follow).await
    }
    async fn listening(&self, app: &AppName, id: &ReplicaId) -> BTreeSet<u16> {
        self.inner.listening(app, id).await
    }
}
