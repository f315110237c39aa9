//! Tells the supervisor that the proxy lives. That means every thread of it: a worker that is stuck holds connections that nobody else serves, so
//! then this is silent, and the supervisor puts a new proxy in the place of the whole.

use super::Control;
use crate::edge::watch::SWEEP;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// What is known of one worker's life.
struct Pulse {
    beats: u32,
    since: Instant,
    told: bool,
}

impl Control {
    /// Tells it four times as often as need be, for ever. Nothing is told when nobody watches.
    pub(crate) async fn tell_alive(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        // A worker counts its beats with every sweep; half of the limit is left for the supervisor to hear of it.
        let patience = (limit / 2).max(SWEEP * 2);
        let mut pulses: Vec<Pulse> = self.shared.counters.iter().map(|_| Pulse { beats: 0, since: Instant::now(), told: false }).collect();
        loop {
            let mut alive = true;
            for (index, (pulse, counters)) in pulses.iter_mut().zip(&self.shared.counters).enumerate() {
                alive &= pulse.feel(index, counters.beats.load(Relaxed), patience);
            }
            if alive {
                self.notifier.alive();
            }
            tokio::time::sleep(limit / 4).await;
        }
    }
}

impl Pulse {
    /// Whether the worker has moved within `patience`. One that has not is worth one line.
    fn feel(&mut self, index: usize, beats: u32, patience: Duration) -> bool {
        if beats != self.beats {
            *self = Pulse { beats, since: Instant::now(), told: false };
        }
        let alive = self.since.elapsed() <= patience;
        if !alive && !self.told {
            self.told = true;
            tracing::error!(worker = index, "a worker is stuck; the supervisor is told nothing until it moves");
        }
        alive
    }
}
