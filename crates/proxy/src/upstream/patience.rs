//! Ends a wait in which nothing happens.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A limit for silence. The timer is made at the first wait, so a body that arrives at once costs none.
pub(crate) struct IdleLimit {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    progressed: bool,
}

impl IdleLimit {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, progressed: false }
    }

    /// Without anything.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Something came; the next wait starts anew.
    pub(crate) fn progress(&mut self) {
        self.progressed = true;
    }

    /// The present wait may last so much longer.
    pub(crate) fn extend(&mut self, by: Duration) {
        self.timer = Some(Box::pin(sleep(by)));
    }

    /// Ready when the present wait has lasted too long.
    pub(crate) fn poll_exceeded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        if std::mem::take(&mut self.progressed) {
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        timer.as_mut().poll(cx)
    }
}
