//! The only place of this crate that reads the wall clock. Durations are measured with tokio's monotonic clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells what time it is to whatever waits for days, so that a test need not.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> u64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        now_ms()
    }
}

/// Milliseconds since 1970 UTC; 0 for a clock set before that.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
