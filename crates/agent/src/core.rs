//! What every part of the agent shares.

use crate::certs::Kinds;
use crate::clock::{Clock, WallClock, now_ms};
use crate::error::{RequestError, SecretError, StepError, StoreError};
use crate::grant::Guard;
use crate::home::Home;
use crate::secret::{Redactor, Secrets};
use crate::stall::Stalls;
use crate::store::{AppRow, Store};
use crate::table::{Table, View};
use crate::upload::Uploads;
use landfall_model::api::What;
use landfall_model::name::{AppName, ImageRef, ReleaseNumber, RolloutId};
use landfall_model::observed::Observed;
use landfall_model::plan::Policy;
use landfall_model::spec::{Program, RuntimeKind, Service, Spec};
use landfall_runtime::docker::Images;
use landfall_runtime::{Runtime, RuntimeError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long files of a release can still be asked for after another has taken its place.
const FILES_STAY_MS: u64 = 24 * 3600 * 1000;
/// Of at most so many releases.
const EARLIER: u32 = 5;
/// Releases whose files are kept, to go back to.
const KEPT: u32 = 10;

/// How long a rollout waits for a store that fails before it is given up: long enough for somebody to free space whom the first line woke, short
/// enough for a pipeline to hear of it.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(120);

/// The runtimes of this server.
#[derive(Clone)]
pub struct Runtimes {
    /// Containers.
    pub docker: Arc<dyn Runtime>,
    /// Supervised processes.
    pub process: Arc<dyn Runtime>,
}

impl Runtimes {
    /// The one of that kind.
    pub fn get(&self, kind: RuntimeKind) -> &Arc<dyn Runtime> {
        match kind {
            RuntimeKind::Docker => &self.docker,
            RuntimeKind::Process => &self.process,
        }
    }
}

/// Everything the API, the rollouts and the background tasks work on.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) runtimes: Runtimes,
    pub(crate) table: Table,
    pub(crate) secrets: Secrets,
    pub(crate) policy: Policy,
    /// What needs a grant, and which there are.
    pub(crate) guard: Guard,
    /// Where sites are shown to be: `https://localhost:8443`.
    pub(crate) https: Option<String>,
    pub(crate) http: Option<String>,
    /// For what waits for days.
    pub(crate) clock: Arc<dyn Clock>,
    /// Wakes the task that looks after certificates.
    pub(crate) certs_nudge: Notify,
    /// Wakes the task that deletes images.
    pub(crate) prune_nudge: Notify,
    /// Images are looked through by one at a time.
    pub(crate) pruning: tokio::sync::Mutex<()>,
    /// One image is built at a time: a build may take all of a server's processors.
    pub(crate) building: tokio::sync::Mutex<()>,
    /// Layers of images that clients send.
    pub(crate) uploads: Uploads,
    /// The file of the key that secrets are sealed with.
    pub(crate) secret_key: PathBuf,
    /// Rollouts that wait for a store that fails.
    pub(crate) stalls: Stalls,
    /// How long they wait before they are given up.
    pub(crate) store_patience: Duration,
    /// One rollout an app at a time: who has it, and since when.
    busy: Mutex<BTreeMap<AppName, Holder>>,
}

/// Who keeps an app busy.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) app: AppName,
    pub(crate) rollout: RolloutId,
    pub(crate) who: String,
    since_ms: u64,
    /// Asks it to make way.
    pub(crate) make_way: CancellationToken,
}

impl Holder {
    /// Since how many seconds.
    pub(crate) fn seconds(&self) -> u64 {
        now_ms().saturating_sub(self.since_ms) / 1000
    }
}

impl Core {
    /// The path of the home differs between servers of one machine: it spreads the ports they begin with.
    pub(crate) fn new(store: Store, runtimes: Runtimes, table: Table, urls: (Option<String>, Option<String>), home: &Home) -> Self {
        let (http, https) = urls;
        let spread = home.path().to_string_lossy().bytes().fold(0_u16, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
        let policy = Policy { first_port: 20_000 + spread % 9_000, ..Policy::default() };
        Self {
            store,
            runtimes,
            table,
            secrets: Secrets::new(home.secret_key()),
            policy,
            guard: Guard::new(home, false),
            https,
            http,
            clock: Arc::new(WallClock),
            certs_nudge: Notify::new(),
            prune_nudge: Notify::new(),
            pruning: tokio::sync::Mutex::default(),
            building: tokio::sync::Mutex::default(),
            uploads: Uploads::new(home.uploads()),
            secret_key: home.secret_key(),
            stalls: Stalls::new(home.given_up()),
            store_patience: STORE_PATIENCE,
            busy: Mutex::default(),
        }
    }

    /// The engine's images.
    pub(crate) fn images(&self) -> Result<&Images, RequestError> {
        let none = || RequestError::Bad("this server has no engine that keeps images".to_owned());
        self.runtimes.get(RuntimeKind::Docker).images().ok_or_else(none)
    }

    /// Which challenges of authorities can be met here.
    pub(crate) fn challenge_kinds(&self) -> Kinds {
        Kinds::of(self.http.as_deref(), self.https.as_deref())
    }

    /// Keeps an app for one rollout until the guard is dropped. The guard dies with its owner, so nothing is left locked by a crash.
    pub(crate) fn hold(self: &Arc<Self>, app: &AppName, rollout: &RolloutId, who: &str) -> Result<Held, Holder> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = busy.get(app) {
            return Err(holder.clone());
        }
        let (rollout, who, make_way) = (rollout.clone(), who.to_owned(), CancellationToken::new());
        busy.insert(app.clone(), Holder { app: app.clone(), rollout, who, since_ms: now_ms(), make_way: make_way.clone() });
        Ok(Held { core: Arc::clone(self), app: app.clone(), make_way })
    }

    /// The rollout that keeps an app busy.
    pub(crate) fn holder(&self, app: &AppName) -> Option<RolloutId> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).get(app).map(|h| h.rollout.clone())
    }

    /// What exists of an app, and which images of the spec the server has.
    pub(crate) async fn observe(&self, spec: &Spec) -> Result<Observed, RuntimeError> {
        self.runtimes.get(spec.runtime).observe(&spec.app, &images(spec)).await
    }

    /// Serves an app by what its row says and where its replicas are. `sites` says whose routes and domains; `specs` all that replicas may be of.
    pub(crate) async fn serve(&self, row: &AppRow, sites: &Spec, specs: &[&Spec]) -> Result<(), StepError> {
        let observed = self.observe(sites).await?;
        let earlier = self.earlier(row, sites)?;
        let tokens = self.secrets.token_keys(&self.store, sites);
        let part = self.table.part(&View { row, sites, specs, observed: &observed, earlier: &earlier, tokens: &tokens })?;
        self.table.swap(&row.name, part).await?;
        Ok(())
    }

    /// Specs whose files may still be asked for by pages that were loaded from them, the newest first.
    pub(crate) fn earlier(&self, row: &AppRow, sites: &Spec) -> Result<Vec<Spec>, StoreError> {
        if !sites.services.values().any(Service::serves_files) {
            return Ok(Vec::new());
        }
        let mut replaced_ms = u64::MAX;
        let mut earlier = Vec::new();
        for (spec, at_ms) in self.store.last_specs(&row.name, EARLIER)? {
            if replaced_ms.saturating_add(FILES_STAY_MS) < self.clock.now_ms() {
                break;
            }
            replaced_ms = at_ms;
            earlier.push(spec);
        }
        Ok(earlier)
    }

    /// Deletes files of releases that nobody goes back to any more. What cannot be deleted now is at the next release.
    pub(crate) fn prune_folders(&self, app: &AppName) -> Result<(), StoreError> {
        let specs: Vec<Spec> = self.store.last_specs(app, KEPT)?.into_iter().map(|(spec, _)| spec).collect();
        if let Err(error) = self.table.folders().retain(app, &specs) {
            tracing::warn!(%app, %error, "files of old releases cannot be deleted");
        }
        Ok(())
    }

    /// Forgets the values of secrets that nobody goes back to any more.
    pub(crate) fn forget_secrets(&self, app: &AppName) -> Result<(), SecretError> {
        let specs: Vec<Spec> = self.store.last_specs(app, KEPT)?.into_iter().map(|(spec, _)| spec).collect();
        self.secrets.forget(&self.store, app, &specs)
    }

    /// What finds values of an app's secrets in what its replicas write.
    pub(crate) fn redactor(&self, app: &AppName) -> Redactor {
        let row = self.store.app(app).ok().flatten();
        let current = row.and_then(|row| self.current_spec(&row).ok().flatten());
        let newest = self.store.last_rollout(app).ok().flatten().map(|rollout| rollout.spec);
        Redactor::of(&self.secrets, &self.store, app, current.iter().chain(&newest))
    }

    /// The spec of the release that serves.
    pub(crate) fn current_spec(&self, row: &AppRow) -> Result<Option<Spec>, StoreError> {
        row.release.map_or(Ok(None), |number: ReleaseNumber| self.store.release_spec(&row.name, number))
    }

    /// Stores an event. A store that refuses an event has failed for good (a full disk); the journal's own writes will say so to the user.
    pub(crate) fn tell(&self, app: &AppName, rollout: Option<&RolloutId>, who: Option<&str>, what: &What) {
        if let Err(e) = self.store.append(Some(app), rollout, who, what) {
            tracing::error!(error = %e, cause = %e.source, "an event was not stored");
        }
    }
}

/// An app kept for one rollout.
pub(crate) struct Held {
    core: Arc<Core>,
    app: AppName,
    /// Cancelled when a person wants something of an app that repairs itself.
    pub(crate) make_way: CancellationToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.core.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}

/// Images a spec names.
pub(crate) fn images(spec: &Spec) -> BTreeSet<ImageRef> {
    let image = |program: &Program| match program {
        Program::Image { reference, .. } => Some(reference.clone()),
        Program::Executable { .. } => None,
    };
    spec.services.values().filter_map(|s| image(&s.template.program)).collect()
}
