//! What systemd is told (sd_notify(3)): that we are ready, and then, as often as it wants to hear it, that we live.
//!
//! Everything of the agent, and of the supervisor, runs on one thread: what keeps these words from being said keeps everything from being done. Without a
//! service manager there is nobody to tell.

use sd_notify::NotifyState;

/// Says that we are ready, and goes on saying that we live. Ends when nobody wants to hear it.
pub async fn tell_service_manager() {
    tell(NotifyState::Ready);
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval(limit / 3);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told how we are");
    }
}
