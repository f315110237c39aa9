//! Remembers once an hour how full the disks are, so that it can be said when they will be full.

use crate::core::Core;
use landfall_model::survey::DiskSample;

/// Between two samples, though the agent was started again.
const APART_MS: u64 = 30 * 60 * 1000;
/// How long they are kept.
const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// One look.
pub(super) async fn activate(core: &Core) {
    let now_ms = core.clock.now_ms();
    // A clock that was put back must not stop it for good.
    let recent = core.store.last_disks().is_ok_and(|last| last.is_some_and(|last| last <= now_ms && now_ms - last < APART_MS));
    if recent {
        return;
    }
    let sample = |disk: crate::disk::Disk| DiskSample { at_ms: now_ms, mount: disk.mount, used: disk.used, inodes: disk.inodes_used };
    // A disk that does not answer must not keep the agent's one thread.
    let Ok(Ok(disks)) = tokio::task::spawn_blocking(crate::disk::disks).await else {
        return tracing::warn!("the disks cannot be looked at");
    };
    let samples: Vec<DiskSample> = disks.into_iter().map(sample).collect();
    if let Err(error) = core.store.put_disks(&samples, now_ms.saturating_sub(KEPT_MS)) {
        tracing::warn!(%error, "how full the disks are is not remembered");
    }
}
