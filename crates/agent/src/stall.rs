//! What followers of a rollout must hear although nothing can be stored: that the store itself fails.
//!
//! Everything else that is told is stored first. This lives in memory, and beside it one empty file for each rollout that was given up: a full disk
//! has no room for a byte, but most have a name left, and an agent that starts again must not take up what its caller was told is over.

use landfall_model::api::Failure;
use landfall_model::name::RolloutId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// How one rollout waits.
#[derive(Debug, Clone)]
pub(crate) struct Stall {
    /// Counts what was said: who has heard less hears the line.
    pub(crate) said: u64,
    /// Why it waits, and what helps.
    pub(crate) line: String,
    /// It is given up, and is undone as soon as the store can be written.
    pub(crate) failure: Option<Failure>,
}

/// Rollouts that wait for the store.
pub(crate) struct Stalls {
    waiting: Mutex<BTreeMap<RolloutId, Stall>>,
    /// Directory of the empty files.
    dir: PathBuf,
}

impl Stalls {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { waiting: Mutex::default(), dir }
    }

    /// How a rollout waits, if it does.
    pub(crate) fn of(&self, id: &RolloutId) -> Option<Stall> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Says why a rollout waits. With a failure it is given up.
    pub(crate) fn say(&self, id: &RolloutId, line: String, failure: Option<Failure>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let said = waiting.get(id).map_or(0, |s| s.said) + 1;
        if failure.is_some()
            && let Err(error) = std::fs::write(self.dir.join(id.as_str()), [])
        {
            tracing::warn!(rollout = %id, %error, "that this rollout is given up cannot be noted: an agent that starts again goes on with it");
        }
        waiting.insert(id.clone(), Stall { said, line, failure });
    }

    /// An earlier agent gave it up.
    pub(crate) fn was_given_up(&self, id: &RolloutId) -> bool {
        self.dir.join(id.as_str()).exists()
    }

    /// It has ended.
    pub(crate) fn clear(&self, id: &RolloutId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Err(error) = std::fs::remove_file(self.dir.join(id.as_str()))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(rollout = %id, %error, "the note that this rollout was given up cannot be deleted");
        }
    }
}
