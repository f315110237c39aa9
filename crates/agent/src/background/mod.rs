//! Background tasks: no input, idempotent, never twice at once, on a period.
//!
//! A task looks at what is and brings it nearer to what the store says. Each is one file with one function; adding one is a line in `drive`.

mod certs;
mod disk;
mod keys;
mod monitor;
mod prune;

pub(crate) use certs::wanted as wanted_certificates;

use crate::core::Core;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the monitor looks.
const MONITOR: Duration = Duration::from_secs(1);
/// How often certificates are looked after when nothing nudges.
const CERTS: Duration = Duration::from_secs(60);

/// How often keys of tokens are looked after when none are missing.
const KEYS: Duration = Duration::from_secs(5);

/// How often images are looked after when no release nudges.
const PRUNE: Duration = Duration::from_secs(3600);

/// How often it is remembered how full the disks are.
const DISK: Duration = Duration::from_secs(3600);

/// Runs the tasks for as long as the agent runs. Each has its own pace: an authority that is slow must not keep replicas from being put back.
pub(crate) async fn drive(core: Arc<Core>) {
    tokio::join!(monitor(Arc::clone(&core)), keys(Arc::clone(&core)), prune(Arc::clone(&core)), disk(Arc::clone(&core)), certs(core));
}

async fn monitor(core: Arc<Core>) {
    let mut monitor = monitor::Monitor::new(core);
    let mut tick = interval(MONITOR);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        monitor.activate().await;
    }
}

async fn certs(core: Arc<Core>) {
    let mut tick = interval(CERTS);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = core.certs_nudge.notified() => {}
        }
        certs::activate(&core).await;
    }
}

async fn keys(core: Arc<Core>) {
    let mut tick = interval(KEYS);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = core.table.keys().missing() => {}
        }
        keys::activate(&core).await;
    }
}

async fn prune(core: Arc<Core>) {
    let mut tick = interval(PRUNE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = core.prune_nudge.notified() => {}
        }
        prune::activate(&core).await;
    }
}

async fn disk(core: Arc<Core>) {
    let mut tick = interval(DISK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        disk::activate(&core).await;
    }
}
