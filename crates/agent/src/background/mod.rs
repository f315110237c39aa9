//! Background tasks: no input, idempotent, never twice at once, on a period.
//!
//! A task looks at what is and brings it nearer to what the store says. Each is one file with one function; adding one is a line in `drive`.

mod monitor;

use crate::core::Core;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the monitor looks.
const MONITOR: Duration = Duration::from_secs(1);

/// Runs the tasks for as long as the agent runs.
pub(crate) async fn drive(core: Arc<Core>) {
    let mut monitor = monitor::Monitor::new(core);
    let mut tick = interval(MONITOR);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        monitor.activate().await;
    }
}
