//! Rollouts: from a request to its end, whatever happens on the way.
//!
//! `begin` writes the rollout down and starts driving it. `drive` observes, plans, journals the plan and executes it step by step; after pulling
//! images it plans again with what the images are. When a step fails, what was begun is undone by a plan of its own. A rollout that a dead agent
//! left behind is driven again from what exists: forward if it was not being undone, because every step bears being begun twice.

mod drain;
mod execute;
mod gate;
mod hint;
mod launch;
mod partial;
mod patience;
mod probe;
mod recover;
mod shared;
mod spoilt;
mod start;

pub(crate) use launch::one_off;
pub(crate) use recover::recover;
pub(crate) use start::{begin, plan_only, repair};

use crate::clock::now_ms;
use crate::core::{Core, Held};
use crate::error::{StepError, StoreError};
use crate::store::{Kind, RolloutRow};
use crate::table::Part;
use execute::Executor;
use landfall_model::api::{Failure, RolloutState, What};
use landfall_model::name::{ImageId, ImageRef};
use landfall_model::observed::Observed;
use landfall_model::plan::{Input, Mode, Plan, Step, plan, plan_down, undo};
use landfall_model::spec::{Program, PullPolicy, Spec};
use landfall_runtime::RuntimeError;
use patience::{Patience, of_the_store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A rollout that brought the agent down so often is undone instead of being tried again.
const ATTEMPTS: usize = 8;

/// How long an engine that does not answer is waited for when a rollout is already half done: it is being restarted, or this server is.
const PATIENCE: Duration = Duration::from_secs(300);

/// How an attempt ended.
enum End {
    Done,
    /// Images were pulled: plan again.
    Again,
    /// A repair that a person's request ended: what it began is in the next plan as whatever else exists.
    MadeWay,
    Failed(StepError),
}

/// Drives a rollout to its end. A store that fails does not end it and does not free the app: it is read again and goes on when the store works,
/// or is undone when that took too long.
async fn drive(core: Arc<Core>, row: RolloutRow, held: Held) {
    let (app, id) = (row.app.clone(), row.id.clone());
    let mut patience = Patience::new(&core, &app, &id);
    let mut driver = Driver { core: Arc::clone(&core), row, pulled: BTreeMap::new(), make_way: held.make_way.clone() };
    while let Err(error) = driver.run(patience.given_up.as_ref()).await {
        patience.wait(error).await;
        // What is written is what counts: a write that was said to have failed may have been made.
        match core.store.rollout(&id) {
            Ok(Some(row)) if row.state.is_final() => break,
            Ok(Some(row)) => driver.row = row,
            Ok(None) => break,
            Err(error) => tracing::error!(rollout = %id, %error, cause = %error.source, "the journal cannot be read"),
        }
        if patience.is_over() && driver.end(RolloutState::Failed, patience.given_up.clone()).is_ok() {
            break;
        }
    }
    core.stalls.clear(&id);
    drop(held);
}

struct Driver {
    core: Arc<Core>,
    row: RolloutRow,
    /// Images this rollout pulled.
    pulled: BTreeMap<ImageRef, ImageId>,
    /// Cancelled when a repair is to make way for what a person wants.
    make_way: CancellationToken,
}

impl Driver {
    async fn run(&mut self, given_up: Option<&Failure>) -> Result<(), StoreError> {
        let attempts = self.core.store.attempts(&self.row.id)?.len();
        let hopeless = (attempts > ATTEMPTS || given_up.is_some()) && !self.row.committed;
        if self.row.state == RolloutState::Undoing || hopeless {
            let failure = self.row.failure.clone().or_else(|| given_up.cloned()).unwrap_or_else(died);
            return self.take_back(failure).await;
        }
        loop {
            match self.attempt().await? {
                End::Again => {}
                End::Done => return self.end(RolloutState::Succeeded, None),
                // The release serves; something old could not be cleared away. The monitor's repair tries again.
                End::Failed(error) if self.row.committed => return self.end(RolloutState::Succeeded, Some(error.failure())),
                End::MadeWay => return self.end(RolloutState::Failed, Some(made_way())),
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
            let Some(result) = self.unless_asked_away(step, self.told(&plan, index, false, self.executor().step(step))).await else {
                return Ok(End::MadeWay);
            };
            match result.map_err(of_the_store) {
                Ok(pulled) => self.pulled.extend(pulled),
                Err(Ok(store)) => return Err(store),
                Err(Err(error)) => {
                    // A release that was written down is made, whatever failed after that.
                    let written = *step == Step::Commit && self.core.store.rollout(&self.row.id)?.is_some_and(|row| row.committed);
                    self.row.committed |= written;
                    return Ok(End::Failed(error));
                }
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
    async fn take_back(&mut self, mut failure: Failure) -> Result<(), StoreError> {
        let attempts = self.core.store.attempts(&self.row.id)?;
        if self.row.state != RolloutState::Undoing {
            failure.hints.extend(spoilt::hints(&self.row.spec, &attempts));
        }
        let undone = self.core.store.undone(&self.row.id)?;
        self.core.store.put_state(&self.row.id, RolloutState::Undoing, Some(&failure))?;
        let last = attempts.last().map_or(0, |a| a.number);
        // A commit that was begun and not made, which is why this is undone, is no reason to leave the rest.
        let begun = attempts.iter().flat_map(|a| a.plan.steps.iter().take(a.begun));
        let begun: Vec<Step> = begun.filter(|step| **step != Step::Commit).cloned().collect();
        let mut all = Plan {
            app: self.row.app.clone(),
            release: self.row.release,
            revision: self.row.spec.revision(),
            before: self.row.before.clone(),
            steps: begun,
            notes: Vec::new(),
        };
        if self.row.kind == Kind::Repair {
            let serving = self.core.store.app(&self.row.app)?.map(|app| app.serving).unwrap_or_default();
            all = partial::but_for_the_repaired(all, &attempts, &serving);
        }
        let back = undo(&all, &self.row.spec, all.steps.len());
        let mut whole = true;
        for (index, step) in back.steps.iter().enumerate().skip(undone) {
            self.core.store.begin_step(&self.row.id, last, true, index)?;
            // A step of the way back that fails does not stop the others: the more of the old release is back, the better.
            let Some(result) = self.unless_asked_away(step, self.told(&back, index, true, self.executor().step(step))).await else {
                return self.end(RolloutState::Failed, Some(failure));
            };
            match result.map_err(of_the_store) {
                Err(Ok(store)) => return Err(store),
                result => whole &= result.is_ok(),
            }
            self.core.store.finish_step(&self.row.id, last, true, index)?;
        }
        self.leave_nothing().await?;
        let state = if whole { RolloutState::RolledBack } else { RolloutState::Failed };
        self.end(state, Some(failure))
    }

    /// What no step made and nobody asks for any more: files of sites, and the listeners and names of an app that never had a release.
    async fn leave_nothing(&self) -> Result<(), StoreError> {
        self.core.prune_folders(&self.row.app)?;
        let released = self.core.store.app(&self.row.app)?.is_some_and(|app| app.release.is_some());
        if !released && let Err(error) = self.core.table.swap(&self.row.app, Part::default()).await {
            tracing::warn!(app = %self.row.app, %error, "the proxy cannot be told that nothing is left of this app");
        }
        Ok(())
    }

    /// Does a step of a repair for as long as nobody wants the app for something else; it waits only where leaving it half done harms nothing.
    async fn unless_asked_away<T>(&self, step: &Step, doing: impl Future<Output = T>) -> Option<T> {
        let leaves = self.row.kind == Kind::Repair;
        let waits = matches!(step, Step::Pull { .. } | Step::Gate { .. } | Step::Drain { .. } | Step::Stop { .. });
        tokio::select! {
            biased;
            () = self.make_way.cancelled(), if leaves && (waits || self.make_way.is_cancelled()) => None,
            done = doing => Some(done),
        }
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
        self.core.store.end(&self.row, state, failure, now_ms().saturating_sub(self.row.started_ms))
    }

    fn tell(&self, what: &What) {
        self.core.tell(&self.row.app, Some(&self.row.id), None, what);
    }
}

/// What is said of a rollout that brought the agent down again and again.
fn died() -> Failure {
    Failure {
        code: "gave-up".into(),
        message: "every attempt of this rollout was cut off: the agent died, or its store failed".into(),
        causes: Vec::new(),
        hints: vec!["its log is logs/agent.log in Landfall's home".into()],
        log: Vec::new(),
    }
}

/// What is said of a repair that was in somebody's way.
fn made_way() -> Failure {
    Failure {
        code: "made-way".into(),
        message: "the repair was ended: somebody wanted something else of the app".into(),
        causes: Vec::new(),
        hints: Vec::new(),
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
        if let Program::Image { pinned: Some(image), .. } = &service.template.program
            && let Some(check) = observed.about.get(image).and_then(|about| about.health.as_ref())
        {
            service.gate_by_image(check);
        }
    }
}
