//! Rollouts: from a request to its end, whatever happens on the way.
//!
//! `begin` writes the rollout down and starts driving it. `drive` observes, plans, journals the plan and executes it step by step; after pulling
//! images it plans again with what the images are. When a step fails, what was begun is undone by a plan of its own. A rollout that a dead agent
//! left behind is driven again from what exists: forward if it was not being undone, because every step bears being begun twice.

mod drain;
mod execute;
mod gate;
mod launch;
mod probe;
mod start;

pub(crate) use launch::one_off;
pub(crate) use start::{begin, plan_only, repair};

use crate::clock::now_ms;
use crate::core::{Core, Held};
use crate::error::{StepError, StoreError};
use crate::store::{Kind, RolloutRow};
use execute::Executor;
use landfall_model::api::{Failure, RolloutState, What};
use landfall_model::name::{ImageId, ImageRef};
use landfall_model::observed::Observed;
use landfall_model::plan::{Input, Mode, Plan, Step, plan, plan_down, undo};
use landfall_model::spec::{Program, PullPolicy, Spec};
use landfall_runtime::RuntimeError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A rollout that brought the agent down so often is undone instead of being tried again.
const ATTEMPTS: usize = 8;

/// How long an engine that does not answer is waited for when a rollout is already half done: it is being restarted, or this server is.
const PATIENCE: Duration = Duration::from_secs(300);

/// How an attempt ended.
enum End {
    Done,
    /// Images were pulled: plan again.
    Again,
    Failed(StepError),
}

/// Drives again what a dead agent left.
pub(crate) fn recover(core: &Arc<Core>) {
    let unfinished = core.store.unfinished().unwrap_or_else(|e| {
        tracing::error!(error = %e, cause = %e.source, "the journal cannot be read");
        Vec::new()
    });
    for row in unfinished {
        if let Ok(held) = core.hold(&row.app, &row.id, &row.who) {
            tokio::spawn(drive(Arc::clone(core), row, held));
        }
    }
}

/// Drives a rollout to its end.
async fn drive(core: Arc<Core>, row: RolloutRow, held: Held) {
    let id = row.id.clone();
    let driver = Driver { core, row, pulled: BTreeMap::new() };
    if let Err(e) = driver.run().await {
        // Only the store can fail here. The rollout stays unfinished in the journal and is driven again when the agent starts with a store that works.
        tracing::error!(rollout = %id, error = %e, cause = %e.source, "a rollout cannot go on");
    }
    drop(held);
}

struct Driver {
    core: Arc<Core>,
    row: RolloutRow,
    /// Images this rollout pulled.
    pulled: BTreeMap<ImageRef, ImageId>,
}

impl Driver {
    async fn run(mut self) -> Result<(), StoreError> {
        let attempts = self.core.store.attempts(&self.row.id)?.len();
        if self.row.state == RolloutState::Undoing || attempts > ATTEMPTS && !self.row.committed {
            let failure = self.row.failure.clone().unwrap_or_else(died);
            return self.take_back(failure).await;
        }
        loop {
            match self.attempt().await? {
                End::Again => {}
                End::Done => return self.end(RolloutState::Succeeded, None),
                // The release serves; something old could not be cleared away. The monitor's repair tries again.
                End::Failed(error) if self.row.committed => return self.end(RolloutState::Succeeded, Some(error.failure())),
                End::Failed(error) => return self.take_back(error.failure()).await,
            }
        }
    }

    /// Observes, plans, journals, executes.
    async fn attempt(&mut self) -> Result<End, StoreError> {
        let observed = match self.observe().await? {
            Ok(observed) => observed,
            Err(error) => return Ok(End::Failed(error.into())),
        };
        pin(&mut self.row.spec, &observed, &self.pulled);
        let plan = self.plan(&observed)?;
        let attempt = self.core.store.begin_attempt(&self.row.id, &plan)?;
        self.tell(&What::Planned { lines: plan.lines() });
        let pulls = matches!(plan.steps.first(), Some(Step::Pull { .. }));
        let steps = if pulls { 1 } else { plan.steps.len() };
        for (index, step) in plan.steps.iter().take(steps).enumerate() {
            self.core.store.begin_step(&self.row.id, attempt, false, index)?;
            match self.told(&plan, index, false, self.executor().step(step)).await {
                Ok(pulled) => self.pulled.extend(pulled),
                Err(error) => return Ok(End::Failed(error)),
            }
            self.core.store.finish_step(&self.row.id, attempt, false, index)?;
            if *step == Step::Commit {
                self.row.committed = true;
            }
        }
        if pulls {
            pin(&mut self.row.spec, &observed, &self.pulled);
            self.core.store.put_spec(&self.row.id, &self.row.spec)?;
            return Ok(End::Again);
        }
        Ok(End::Done)
    }

    /// What exists. Before the first step an engine that does not answer is a failure; after it there is something to finish or undo, and it is waited for.
    async fn observe(&self) -> Result<Result<Observed, RuntimeError>, StoreError> {
        let half_done = !self.core.store.attempts(&self.row.id)?.is_empty();
        let until = Instant::now() + PATIENCE;
        loop {
            match self.core.observe(&self.row.spec).await {
                Err(RuntimeError::Unreachable { .. }) if half_done && Instant::now() < until => sleep(Duration::from_secs(1)).await,
                result => return Ok(result),
            }
        }
    }

    fn plan(&self, observed: &Observed) -> Result<Plan, StoreError> {
        let app = self.core.store.app(&self.row.app)?;
        let serving = app.as_ref().map(|a| a.serving.clone()).unwrap_or_default();
        let previous = app.as_ref().map(|a| self.core.current_spec(a)).transpose()?.flatten();
        let mode = match (self.row.committed, self.row.kind) {
            (true, _) => Mode::Retire,
            (false, Kind::Repair) => Mode::Repair,
            (false, Kind::Release | Kind::Down { .. }) => Mode::Release,
        };
        let input = Input {
            spec: &self.row.spec,
            previous: previous.as_ref(),
            observed,
            serving: &serving,
            before: &self.row.before,
            release: self.row.release,
            mode,
        };
        Ok(match self.row.kind {
            Kind::Down { volumes } => plan_down(&input, volumes),
            Kind::Release | Kind::Repair => plan(&input, &self.core.policy),
        })
    }

    /// Undoes what was begun in any attempt and ends the rollout.
    async fn take_back(&mut self, failure: Failure) -> Result<(), StoreError> {
        let attempts = self.core.store.attempts(&self.row.id)?;
        let undone = self.core.store.undone(&self.row.id)?;
        self.core.store.put_state(&self.row.id, RolloutState::Undoing, Some(&failure))?;
        let last = attempts.last().map_or(0, |a| a.number);
        let begun: Vec<Step> = attempts.into_iter().flat_map(|a| a.plan.steps.into_iter().take(a.begun)).collect();
        let all = Plan {
            app: self.row.app.clone(),
            release: self.row.release,
            revision: self.row.spec.revision(),
            before: self.row.before.clone(),
            steps: begun,
            notes: Vec::new(),
        };
        let back = undo(&all, all.steps.len());
        let mut whole = true;
        for (index, step) in back.steps.iter().enumerate().skip(undone) {
            self.core.store.begin_step(&self.row.id, last, true, index)?;
            // A step of the way back that fails does not stop the others: the more of the old release is back, the better.
            whole &= self.told(&back, index, true, self.executor().step(step)).await.is_ok();
            self.core.store.finish_step(&self.row.id, last, true, index)?;
        }
        let state = if whole { RolloutState::RolledBack } else { RolloutState::Failed };
        self.end(state, Some(failure))
    }

    fn executor(&self) -> Executor<'_> {
        Executor { core: &self.core, row: &self.row, spec: &self.row.spec }
    }

    /// Does a step and tells of it.
    async fn told<T>(
        &self,
        plan: &Plan,
        index: usize,
        undo: bool,
        step: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let of = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        let this = &plan.steps[index];
        self.tell(&What::StepStarted { index: number, of, undo, line: this.line(), services: this.services().into_iter().collect() });
        let started = tokio::time::Instant::now();
        let result = step.await;
        match &result {
            Ok(_) => {
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.tell(&What::StepDone { index: number, undo, took_ms });
                if *this == Step::Commit && !matches!(self.row.kind, Kind::Down { .. }) {
                    self.tell(&What::Released { release: self.row.release });
                    self.core.certs_nudge.notify_one();
                }
            }
            Err(error) => self.tell(&What::StepFailed { index: number, undo, failure: error.failure() }),
        }
        result
    }

    fn end(&self, state: RolloutState, failure: Option<Failure>) -> Result<(), StoreError> {
        self.core.store.put_state(&self.row.id, state, failure.as_ref())?;
        self.tell(&What::RolloutEnded { state, failure, took_ms: now_ms().saturating_sub(self.row.started_ms) });
        Ok(())
    }

    fn tell(&self, what: &What) {
        self.core.tell(&self.row.app, Some(&self.row.id), None, what);
    }
}

/// What is said of a rollout that brought the agent down again and again.
fn died() -> Failure {
    Failure {
        code: "gave-up".into(),
        message: "the agent died during every attempt of this rollout".into(),
        causes: Vec::new(),
        hints: vec!["its log is logs/agent.log in Landfall's home".into()],
        log: Vec::new(),
    }
}

/// Writes into a spec which content its images stand for, as far as that is known: what was pulled, else what the server has, unless the policy is to ask the
/// registry before every release.
pub(crate) fn pin(spec: &mut Spec, observed: &Observed, pulled: &BTreeMap<ImageRef, ImageId>) {
    for service in spec.services.values_mut() {
        if let Program::Image { reference, pinned: pinned @ None, pull } = &mut service.template.program {
            let here = observed.images.get(reference).filter(|_| *pull != PullPolicy::Always);
            *pinned = pulled.get(reference).or(here).cloned();
        }
    }
}
