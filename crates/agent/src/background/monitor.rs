//! Keeps what runs as the current release says: addresses in the proxy's table, and replicas alive.
//!
//! Apps with a rollout under way are left to it. A replica whose restart policy gave up, or that somebody removed, is put back by a repair: a rollout
//! like any other, journaled and undone when it fails. Repairs that fail are tried again ever more rarely.

use crate::core::Core;
use crate::error::StepError;
use crate::rollout;
use crate::store::AppRow;
use crate::table::View;
use landfall_model::api::What;
use landfall_model::name::{AppName, ReplicaId};
use landfall_model::observed::{Observed, ReplicaState};
use landfall_model::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pause after a repair; it doubles with each one that follows closely.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between two repairs.
const LAST_PAUSE: Duration = Duration::from_secs(600);

/// The task.
pub(super) struct Monitor {
    core: Arc<Core>,
    /// Apps that were put into the table at the start, before the proxy was told of any.
    primed: BTreeSet<AppName>,
    repairs: BTreeMap<AppName, Repairs>,
    /// Starts of replicas whose binds were looked at.
    judged: BTreeMap<(AppName, ReplicaId), u64>,
    /// Deaths already told of.
    dead: BTreeSet<(AppName, ReplicaId)>,
}

struct Repairs {
    last: Instant,
    pause: Duration,
}

impl Monitor {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, primed: BTreeSet::new(), repairs: BTreeMap::new(), judged: BTreeMap::new(), dead: BTreeSet::new() }
    }

    /// One look at everything. What fails is tried again at the next.
    pub(super) async fn activate(&mut self) {
        let apps = match self.core.store.apps() {
            Ok(apps) => apps,
            Err(e) => return tracing::error!(error = %e, "the monitor cannot read the store"),
        };
        let complete = self.core.table.is_complete();
        for row in &apps {
            // Once the proxy has been told, an app that is new is looked at like any other: what is only prepared would be told to nobody.
            let known = complete || self.primed.contains(&row.name);
            let result = if known { self.look(row).await } else { self.prime(row).await };
            if let Err(e) = result {
                tracing::warn!(app = %row.name, error = %e, cause = ?std::error::Error::source(&e).map(ToString::to_string), "the monitor cannot look at an app");
            }
        }
        if !complete {
            if !apps.iter().all(|a| self.primed.contains(&a.name)) {
                return;
            }
            self.core.table.complete();
        }
        if let Err(e) = self.core.table.reconcile().await {
            tracing::warn!(error = %e, "the proxy does not answer");
        }
    }

    /// At the start the table is put together from the store before the proxy is told anything.
    async fn prime(&mut self, row: &AppRow) -> Result<(), StepError> {
        let unfinished = self.core.store.unfinished()?.into_iter().rfind(|r| r.app == row.name).map(|r| r.spec);
        let current = self.core.current_spec(row)?;
        let specs: Vec<&Spec> = unfinished.iter().chain(&current).collect();
        let Some(sites) = current.as_ref().or(unfinished.as_ref()) else {
            self.primed.insert(row.name.clone());
            return Ok(());
        };
        let observed = self.core.observe(sites).await?;
        let earlier = self.core.earlier(row, sites)?;
        let tokens = self.core.secrets.token_keys(&self.core.store, sites);
        let view = View { row, sites, specs: &specs, observed: &observed, earlier: &earlier, tokens: &tokens };
        let part = self.core.table.part(&view)?;
        self.core.table.prepare(&row.name, part).await;
        self.primed.insert(row.name.clone());
        Ok(())
    }

    async fn look(&mut self, row: &AppRow) -> Result<(), StepError> {
        if self.core.holder(&row.name).is_some() {
            return Ok(());
        }
        let Some(spec) = self.core.current_spec(row)? else { return Ok(()) };
        let observed = self.core.observe(&spec).await?;
        // A rollout may have begun while this was looked up; then what was seen is old.
        if self.core.holder(&row.name).is_some() || self.core.store.app(&row.name)?.as_ref() != Some(row) {
            return Ok(());
        }
        let earlier = self.core.earlier(row, &spec)?;
        let tokens = self.core.secrets.token_keys(&self.core.store, &spec);
        let view = View { row, sites: &spec, specs: &[&spec], observed: &observed, earlier: &earlier, tokens: &tokens };
        let part = self.core.table.part(&view)?;
        self.core.table.swap(&row.name, part).await?;
        self.tell_of_deaths(row, &observed);
        self.judge(row, &spec, &observed).await;
        self.repair(row, &spec, &observed).await;
        Ok(())
    }

    /// The engine starts containers by itself, after a boot or when one died, and follows the links of their binds again. One that leads where it may
    /// not is stopped.
    async fn judge(&mut self, row: &AppRow, spec: &Spec, observed: &Observed) {
        self.judged.retain(|(app, id), _| *app != row.name || observed.replicas.contains_key(id));
        for (id, replica) in observed.replicas.iter().filter(|(_, r)| r.state.is_running()) {
            if self.judged.insert((row.name.clone(), id.clone()), replica.started_ms) == Some(replica.started_ms) {
                continue;
            }
            let Some(power) = self.core.guard.strayed(spec, &replica.service) else { continue };
            let reason = format!("it was stopped: a link leads to what was not granted, {power}");
            self.core.tell(&row.name, None, None, &What::ReplicaDied { replica: id.clone(), reason });
            if let Err(error) = self.core.runtimes.get(row.runtime).stop(&row.name, id, None, Duration::ZERO).await {
                tracing::error!(app = %row.name, replica = %id, %error, "a replica whose bind leads out of its project cannot be stopped");
            }
        }
    }

    fn tell_of_deaths(&mut self, row: &AppRow, observed: &Observed) {
        for id in row.serving.replicas() {
            let reason = match observed.replicas.get(id).map(|r| r.state) {
                None => "it is gone".to_owned(),
                Some(ReplicaState::Exited { out_of_memory: true, .. }) => "it was killed for its memory limit".to_owned(),
                Some(ReplicaState::Exited { code, .. }) => format!("it ended with code {code}"),
                Some(_) => continue,
            };
            if self.dead.insert((row.name.clone(), id.clone())) {
                self.core.tell(&row.name, None, None, &What::ReplicaDied { replica: id.clone(), reason });
            }
        }
        let serving = row.serving.replicas();
        self.dead.retain(|(app, id)| *app != row.name || serving.contains(id));
    }

    async fn repair(&mut self, row: &AppRow, spec: &Spec, observed: &Observed) {
        let due = self.repairs.get(&row.name).is_none_or(|r| r.last.elapsed() >= r.pause);
        if !due {
            return;
        }
        match rollout::repair(&self.core, row, spec, observed).await {
            Ok(true) => {
                let last = Instant::now();
                let again = self.repairs.get(&row.name).filter(|r| r.last.elapsed() < r.pause * 4);
                let pause = again.map_or(FIRST_PAUSE, |r| (r.pause * 2).min(LAST_PAUSE));
                self.repairs.insert(row.name.clone(), Repairs { last, pause });
            }
            Ok(false) => {}
            Err(e) => tracing::warn!(app = %row.name, error = %e, "a repair cannot begin"),
        }
    }
}
