//! Doing a step. Every arm is idempotent and decides nothing: what to do was decided by the plan.

use super::{drain, gate, hint, launch};
use crate::core::Core;
use crate::error::StepError;
use crate::grant::Around;
use crate::lines::Lines;
use crate::registry;
use crate::store::{Kind, RolloutRow};
use crate::table::Part;
use futures_util::future::try_join_all;
use landfall_model::api::What;
use landfall_model::digest::Revision;
use landfall_model::name::{ImageId, ImageRef, NetworkName, ReplicaId, ServiceName, VolumeName};
use landfall_model::plan::{Gated, Job, NewReplica, Serving, Step, Stopped};
use landfall_model::spec::{Program, PullPolicy, RuntimeKind, Spec};
use landfall_runtime::{Launch, Runtime, RuntimeError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Log lines shown with a failure.
const LOG_LINES: u32 = 20;

/// Executes the steps of one rollout.
pub(super) struct Executor<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) row: &'a RolloutRow,
    pub(super) spec: &'a Spec,
}

impl Executor<'_> {
    /// Does one step. Answers the images it pulled.
    pub(super) async fn step(&self, step: &Step) -> Result<BTreeMap<ImageRef, ImageId>, StepError> {
        match step {
            Step::Pull { images } => return self.pull(images).await,
            Step::EnsureNetworks { networks, external } => self.ensure_networks(&(networks | external)).await?,
            Step::EnsureVolumes { volumes } => self.ensure_volumes(volumes).await?,
            Step::Unpack { services } => self.unpack(services).await?,
            Step::Run { job } => self.run_job(job).await?,
            Step::Start { replicas } => self.start(replicas).await?,
            Step::Gate { replicas } => gate::pass_all(self, replicas).await?,
            Step::Serve { serving, switch } => self.serve(serving, *switch).await?,
            Step::Commit => self.commit().await?,
            Step::Drain { replicas } => drain::drain(self, replicas).await,
            Step::Stop { replicas } => self.stop(replicas).await?,
            Step::StartAgain { replicas } => {
                self.may_start_again(replicas).await?;
                try_join_all(replicas.iter().map(|id| self.runtime().start_again(&self.spec.app, id))).await?;
            }
            Step::Remove { replicas } => {
                try_join_all(replicas.iter().map(|id| self.runtime().remove(&self.spec.app, id))).await?;
            }
            Step::RemoveNetworks { networks } => self.remove_networks(networks).await?,
            Step::RemoveVolumes { volumes } => self.remove_volumes(volumes).await?,
        }
        Ok(BTreeMap::new())
    }

    pub(super) fn runtime(&self) -> &Arc<dyn Runtime> {
        self.core.runtimes.get(self.spec.runtime)
    }

    /// Tells of something inside a step.
    pub(super) fn progress(&self, service: Option<&ServiceName>, line: String) {
        self.core.tell(&self.spec.app, Some(&self.row.id), None, &What::Progress { service: service.cloned(), line });
    }

    /// The last lines of a replica, best effort.
    pub(super) async fn last_lines(&self, id: &ReplicaId) -> Vec<String> {
        let redactor = self.core.redactor(&self.spec.app);
        let read = async {
            let mut out = Vec::new();
            let opened = Lines::open(self.runtime().as_ref(), (&self.spec.app, id), (LOG_LINES, false), redactor).await;
            let Ok(mut lines) = opened else { return out };
            while let Some(entry) = lines.next().await.filter(|_| out.len() < LOG_LINES as usize) {
                out.push(entry.line);
            }
            out
        };
        timeout(Duration::from_secs(3), read).await.unwrap_or_default()
    }

    async fn pull(&self, images: &BTreeSet<ImageRef>) -> Result<BTreeMap<ImageRef, ImageId>, StepError> {
        let mut pulled = BTreeMap::new();
        for image in images {
            let policy = self.spec.services.values().find_map(|s| match &s.template.program {
                Program::Image { reference, pull, .. } if reference == image => Some(*pull),
                _ => None,
            });
            let progress = |line: String| self.progress(None, format!("{image}: {line}"));
            let login = registry::login(self.core, &image.registry())?;
            let before = self.core.observe(self.spec).await?.images.remove(image);
            let id = self.runtime().pull(image, (policy.unwrap_or(PullPolicy::Missing), login.as_ref()), &progress).await?;
            if before.as_ref() != Some(&id) {
                self.core.store.put_image(&id, image, false)?;
            }
            pulled.insert(image.clone(), id);
        }
        Ok(pulled)
    }

    async fn ensure_networks(&self, networks: &BTreeSet<NetworkName>) -> Result<(), StepError> {
        for (key, network) in self.spec.networks.iter().filter(|(k, _)| networks.contains(*k)) {
            self.runtime().ensure_network(&self.spec.app, key, network).await?;
        }
        Ok(())
    }

    async fn ensure_volumes(&self, volumes: &BTreeSet<VolumeName>) -> Result<(), StepError> {
        for (key, volume) in self.spec.volumes.iter().filter(|(k, _)| volumes.contains(*k)) {
            self.runtime().ensure_volume(&self.spec.app, key, volume).await?;
        }
        Ok(())
    }

    async fn unpack(&self, services: &BTreeSet<ServiceName>) -> Result<(), StepError> {
        for service in services {
            for line in self.core.table.folders().unpack(self.runtime().as_ref(), self.spec, service).await? {
                self.progress(Some(service), line);
            }
        }
        Ok(())
    }

    async fn remove_networks(&self, networks: &BTreeSet<NetworkName>) -> Result<(), StepError> {
        for (key, network) in self.spec.networks.iter().filter(|(k, n)| networks.contains(*k) && !n.external) {
            self.runtime().remove_network(&self.spec.app, key, network).await?;
        }
        Ok(())
    }

    async fn remove_volumes(&self, volumes: &BTreeSet<VolumeName>) -> Result<(), StepError> {
        for (key, volume) in self.spec.volumes.iter().filter(|(k, v)| volumes.contains(*k) && !v.external) {
            self.runtime().remove_volume(&self.spec.app, key, volume).await?;
        }
        Ok(())
    }

    async fn start(&self, replicas: &[NewReplica]) -> Result<(), StepError> {
        self.names_answered().await?;
        try_join_all(replicas.iter().map(|replica| self.launch_replica(replica))).await?;
        // Now they have addresses, by which they are known when they ask for names.
        self.names_answered().await
    }

    async fn launch_replica(&self, replica: &NewReplica) -> Result<(), StepError> {
        let mut launch = self.launch(&replica.service, &replica.id, &replica.revision).await?;
        launch.port = replica.port;
        launch.takes.clone_from(&replica.takes);
        self.runtime().start(&launch).await?;
        Ok(())
    }

    /// Makes sure that containers about to start can ask for names: the networks' gateways are known only once they exist.
    async fn names_answered(&self) -> Result<(), StepError> {
        match self.spec.runtime {
            RuntimeKind::Docker => self.serve_as_stored(false).await,
            RuntimeKind::Process => Ok(()),
        }
    }

    /// A container that is started again looks its binds up again, so they are judged again, by the spec that made it.
    async fn may_start_again(&self, replicas: &BTreeSet<ReplicaId>) -> Result<(), StepError> {
        let app = self.core.store.app(&self.spec.app)?;
        let previous = app.map(|app| self.core.current_spec(&app)).transpose()?.flatten();
        let observed = self.core.observe(self.spec).await?;
        for replica in replicas.iter().filter_map(|id| observed.replicas.get(id)) {
            let made = |spec: &&Spec| spec.services.get(&replica.service).is_some_and(|s| s.template.revision() == replica.revision);
            let specs = || previous.iter().chain([self.spec]);
            if let Some(spec) = specs().find(made).or_else(|| specs().find(|s| s.services.contains_key(&replica.service))) {
                self.core.guard.check_service(spec, &replica.service, &Around::look::<StepError>(self.core, spec).await?)?;
            }
        }
        Ok(())
    }

    async fn launch(&self, name: &ServiceName, id: &ReplicaId, revision: &Revision) -> Result<Launch, StepError> {
        launch::launch(self.core, self.spec, self.row.release, (name, id, revision)).await
    }

    async fn run_job(&self, job: &Job) -> Result<(), StepError> {
        self.names_answered().await?;
        let mut launch = self.launch(&job.service, &job.id, &job.revision).await?;
        launch.job = true;
        launch.argv = job.argv.clone();
        self.runtime().start(&launch).await?;
        self.names_answered().await?;
        let limit = Duration::from_millis(job.deadline_ms);
        let ended = match timeout(limit, self.runtime().wait(&self.spec.app, &job.id)).await {
            Ok(exit) => match exit? {
                exit if exit.code == 0 => return Ok(()),
                exit if exit.out_of_memory => "was killed for its memory limit".to_owned(),
                exit => format!("ended with code {}", exit.code),
            },
            Err(_) => {
                let (signal, grace) = (launch.template.stop_signal.as_deref(), Duration::from_millis(launch.template.stop_grace_ms));
                self.runtime().stop(&self.spec.app, &job.id, signal, grace).await?;
                format!("did not end within {} s", limit.as_secs())
            }
        };
        let what = if job.argv.is_some() { "the migration" } else { "the job" };
        let log = self.last_lines(&job.id).await;
        let hint = self.spec.services.get(&job.service).and_then(|service| hint::of_log(service, &log));
        let error = StepError::Job { what, service: job.service.clone(), ended, hint, log };
        if job.optional {
            self.progress(Some(&job.service), format!("{error}; nothing requires it, going on"));
            return Ok(());
        }
        Err(error)
    }

    /// Written down first: an agent that dies between the two serves by the store when it starts again.
    async fn serve(&self, serving: &Serving, switch: bool) -> Result<(), StepError> {
        self.core.store.put_serving(&self.spec.app, serving)?;
        self.serve_as_stored(switch).await
    }

    /// Calls of others reach a replica that has passed its gate at once, where they reach nobody.
    pub(super) async fn name_at_once(&self, gated: &Gated) -> Result<(), StepError> {
        let called = self.spec.services.get(&gated.service).is_some_and(|s| s.port.is_some());
        if self.spec.runtime == RuntimeKind::Process && !called {
            return Ok(());
        }
        let observed = self.core.observe(self.spec).await?;
        let Some(app) = self.core.store.app(&self.spec.app)? else { return Ok(()) };
        let mut serving = app.serving;
        let named = serving.names.entry(gated.service.clone()).or_default();
        if named.iter().any(|id| observed.replicas.get(id).is_some_and(|replica| replica.state.is_running())) {
            return Ok(());
        }
        *named = BTreeSet::from([gated.id.clone()]);
        self.serve(&serving, false).await
    }

    /// Until the switch the outside is served by the words of the release that served before: its routes, its domains.
    async fn serve_as_stored(&self, switch: bool) -> Result<(), StepError> {
        let Some(app) = self.core.store.app(&self.spec.app)? else { return Ok(()) };
        let previous = self.core.current_spec(&app)?;
        let specs: Vec<&Spec> = std::iter::once(self.spec).chain(&previous).collect();
        let sites = previous.as_ref().filter(|_| !switch).unwrap_or(self.spec);
        self.core.serve(&app, sites, &specs).await
    }

    async fn commit(&self) -> Result<(), StepError> {
        self.core.store.commit(self.row, self.spec)?;
        // The release is made, whatever becomes of what is old; the next release clears it away.
        if let Err(error) = self.core.prune_folders(&self.spec.app) {
            tracing::warn!(app = %self.spec.app, %error, "files of old releases cannot be deleted");
        }
        if let Err(error) = self.core.forget_secrets(&self.spec.app) {
            tracing::warn!(app = %self.spec.app, %error, "old values of secrets cannot be forgotten");
        }
        self.core.prune_nudge.notify_one();
        if matches!(self.row.kind, Kind::Down { .. }) {
            // Nothing is left that could be asked for: its listeners and names go too.
            self.core.table.swap(&self.spec.app, Part::default()).await?;
        }
        Ok(())
    }

    async fn stop(&self, replicas: &[Stopped]) -> Result<(), StepError> {
        let stop = |s: &Stopped| {
            let (id, signal, grace) = (s.id.clone(), s.signal.clone(), Duration::from_millis(s.grace_ms));
            async move {
                match self.runtime().stop(&self.spec.app, &id, signal.as_deref(), grace).await {
                    // Gone is stopped: an attempt before this one got as far as removing it.
                    Err(RuntimeError::NoReplica(_)) => Ok(()),
                    result => result,
                }
            }
        };
        try_join_all(replicas.iter().map(stop)).await?;
        Ok(())
    }
}
