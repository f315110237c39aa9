//! Waiting for a store that fails, and saying so.
//!
//! The app stays held meanwhile, so nothing newer can come between. The wait itself has no end, because nothing else can be done for the app either;
//! what has an end is the hope: after it the rollout is given up, and undone as soon as that can be written down.

use crate::core::Core;
use crate::error::{LoginError, SecretError, StepError, StoreError};
use landfall_model::api::Failure;
use landfall_model::name::{AppName, RolloutId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// First pause before the store is tried again; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Between two lines to those who wait.
const SAY: Duration = Duration::from_secs(10);
/// A rollout that fails so often though the store can be written is given up too: it is the journal that cannot be read.
const FAILURES: u32 = 8;

/// The store's part of a failed step, which is waited for; or the whole, which fails the rollout.
pub(super) fn of_the_store(error: StepError) -> Result<StoreError, StepError> {
    match error {
        StepError::Store(e) | StepError::Secret(SecretError::Store(e)) | StepError::Login(LoginError::Store(e)) => Ok(e),
        other => Err(other),
    }
}

/// The patience with the store of one rollout.
pub(super) struct Patience {
    core: Arc<Core>,
    app: AppName,
    id: RolloutId,
    pause: Duration,
    failures: u32,
    /// Why it was given up.
    pub(super) given_up: Option<Failure>,
}

impl Patience {
    pub(super) fn new(core: &Arc<Core>, app: &AppName, id: &RolloutId) -> Self {
        let given_up = core.stalls.was_given_up(id).then(|| failure(app, "before the agent was started again", Vec::new()));
        Self { core: Arc::clone(core), app: app.clone(), id: id.clone(), pause: FIRST_PAUSE, failures: 0, given_up }
    }

    /// Returns when the store can be written again.
    pub(super) async fn wait(&mut self, error: StoreError) {
        tracing::error!(rollout = %self.id, %error, cause = %error.source, "the store failed; it is tried again");
        let since = Instant::now();
        let mut said = None;
        let mut error = error;
        self.failures += 1;
        loop {
            let line = format!("waiting: {error}: {}; it is tried again. Is the disk full? `df -h` tells", error.source);
            let over = since.elapsed() >= self.core.store_patience || self.failures >= FAILURES;
            if over && self.given_up.is_none() {
                let seconds = since.elapsed().as_secs();
                let causes = vec![error.to_string(), error.source.to_string()];
                let failure = failure(&self.app, &format!("for {seconds} s"), causes);
                tracing::error!(rollout = %self.id, "the rollout is given up; it is undone as soon as the store can be written");
                self.given_up = Some(failure.clone());
                self.core.stalls.say(&self.id, format!("given up: {error}: {}", error.source), Some(failure));
                self.core.store.wake();
            } else if self.given_up.is_none() && said.is_none_or(|at: Instant| at.elapsed() >= SAY) {
                self.core.stalls.say(&self.id, line, None);
                self.core.store.wake();
                said = Some(Instant::now());
            }
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LAST_PAUSE);
            match self.core.store.touch(&self.id) {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
    }

    /// Nothing more can be read of it: it can only be ended.
    pub(super) fn is_over(&self) -> bool {
        self.failures > 2 * FAILURES
    }
}

fn failure(app: &AppName, how_long: &str, causes: Vec<String>) -> Failure {
    Failure {
        code: "store-failed".into(),
        message: format!("the rollout of {app} is given up: the agent's store could not be written {how_long}"),
        causes,
        hints: vec![
            "make room on the disk of Landfall's home: `df -h` tells which one is full".into(),
            format!("what it began is undone as soon as the store can be written; until then {app} takes no other rollout"),
        ],
        log: Vec::new(),
    }
}
