//! How slowly a client may send a body.
//!
//! Silence has a limit, and so has dripping: a byte now and then would hold a connection of the application for hours. What counts is only the
//! time spent waiting for the client, so an application that reads slowly does not make its clients look slow. A body that comes for as long
//! as the client has something to say (HTTP/2 without a length: gRPC, a streaming fetch) is held to the limit on silence alone.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Without a byte.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// Waiting that is not counted against anyone.
const GRACE: Duration = Duration::from_secs(30);
/// Bytes that must have come for each second of waiting after that.
const LEAST: u64 = 500;

/// Follows one body.
pub(crate) struct Pace {
    /// Made at the first wait, so a body that arrives at once costs none.
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
    waited: Duration,
    received: u64,
    /// How long the client may be silent, if the body may take as long as it wants.
    streams: Option<Duration>,
}

impl Pace {
    /// `streams` if the body may take as long as it wants: how long it may be silent.
    pub(crate) fn new(streams: Option<Duration>) -> Self {
        Self { timer: None, since: None, waited: Duration::ZERO, received: 0, streams }
    }

    /// The wait is over.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// Ready when the present wait has lasted too long.
    pub(crate) fn poll_exceeded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let deadline = tokio::time::Instant::from_std(now + self.patience());
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(deadline),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
            }
        }
        self.timer.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(cx))
    }

    /// The present wait may last so much longer, and counts against nobody.
    pub(crate) fn extend(&mut self, by: Duration) {
        self.timer = Some(Box::pin(tokio::time::sleep(by)));
    }

    /// How long the client may be silent now.
    fn patience(&self) -> Duration {
        let earned = GRACE + Duration::from_secs(self.received / LEAST);
        self.streams.unwrap_or_else(|| earned.saturating_sub(self.waited).min(SILENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, received: u64, streams: bool) -> u64 {
        let waited = Duration::from_secs(seconds);
        Pace { waited, received, ..Pace::new(streams.then_some(SILENCE)) }.patience().as_secs()
    }

    #[test]
    fn who_drips_is_not_waited_for() {
        assert_eq!(after(0, 0, false), 30);
        assert_eq!(after(29, 29, false), 1, "a byte a second");
        assert_eq!(after(31, 31, false), 0);
        assert_eq!(after(100, 40_000, false), 10, "400 bytes a second");
        assert_eq!(after(100, 100_000, false), 60, "a slow line is no attack");
        assert_eq!(after(1000, 10, true), 60);
    }

    #[test]
    fn only_waiting_counts() {
        let mut pace = Pace::new(None);
        pace.received(10);
        assert_eq!((pace.waited, pace.received), (Duration::ZERO, 10));
        pace.since = Instant::now().checked_sub(Duration::from_secs(5));
        pace.received(10);
        assert!(pace.waited >= Duration::from_secs(5) && pace.received == 20 && pace.since.is_none());
    }
}
