//! A disk that gets full at a chosen write of the store, for one write or until there is room again.

use landfall_agent::BeforeWrite;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the store begins to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// The how-manieth write since the rollout was accepted, counted from 1.
    pub write: usize,
    /// Every write from there on, until room is made. False: this one alone.
    pub lasting: bool,
}

/// A disk of one server.
#[derive(Default)]
pub(crate) struct Disk {
    full: Mutex<Option<Full>>,
    writes: AtomicUsize,
    refused: AtomicBool,
}

impl Disk {
    /// What the store asks before it writes.
    pub(crate) fn gate(self: &Arc<Self>) -> BeforeWrite {
        let disk = Arc::clone(self);
        Arc::new(move || disk.write())
    }

    /// Counts from here.
    pub(crate) fn fill(&self, full: Full) {
        self.writes.store(0, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = Some(full);
    }

    /// Nothing is refused any more.
    pub(crate) fn make_room(&self) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A write was refused since `fill`.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn write(&self) -> std::io::Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let full = *self.full.lock().unwrap_or_else(PoisonError::into_inner);
        match full {
            Some(full) if number == full.write || full.lasting && number > full.write => {
                self.refused.store(true, Ordering::Relaxed);
                Err(Error::new(ErrorKind::StorageFull, "database or disk is full"))
            }
            _ => Ok(()),
        }
    }
}
