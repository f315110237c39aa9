//! Letting withdrawn replicas finish what they hold.

use super::execute::Executor;
use landfall_model::control::ProxyStatus;
use landfall_model::plan::Drained;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at what is held.
const LOOK: Duration = Duration::from_millis(50);
/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(5);
/// Within which the proxy closes what is left, so that clients do not all come back at once.
const JITTER: Duration = Duration::from_millis(1000);
/// How long it gets for that beyond the jitter.
const CLOSING: Duration = Duration::from_millis(1500);

/// Waits until the proxy holds nothing of these replicas, each at most to its limit, and lets it close the rest politely. Never fails: a proxy that
/// does not answer is asked again until the limit, because what it holds is not known.
pub(super) async fn drain(executor: &Executor<'_>, replicas: &[Drained]) {
    let started = Instant::now();
    let linger = replicas.iter().map(|d| d.linger_ms).max().unwrap_or(0);
    let mut left: Vec<&Drained> = replicas.iter().collect();
    let mut told = started;
    while !left.is_empty() {
        let status = executor.core.table.proxy().status().await.ok();
        left.retain(|d| status.as_ref().is_none_or(|s| held(executor, s, d).0 > 0));
        let (over, waiting): (Vec<&Drained>, Vec<&Drained>) =
            left.iter().partition(|d| started.elapsed() >= Duration::from_millis(d.limit_ms));
        if !over.is_empty() {
            close(executor, &over).await;
        }
        left = waiting;
        if told.elapsed() >= TELL && !left.is_empty() {
            told = Instant::now();
            left.iter().for_each(|d| tell(executor, &status.clone().unwrap_or_default(), d, started));
        }
        if !left.is_empty() {
            sleep(LOOK).await;
        }
    }
    // What a proxy that was just replaced still carries is in nobody's status.
    let lingers = (started + Duration::from_millis(linger)).saturating_duration_since(Instant::now());
    let limit = Duration::from_millis(replicas.iter().map(|d| d.limit_ms).max().unwrap_or(0)).saturating_sub(started.elapsed());
    sleep(lingers.max(executor.core.table.proxy().replaced_one_carries().min(limit))).await;
}

async fn close(executor: &Executor<'_>, over: &[&Drained]) {
    let endpoints = over.iter().map(|d| endpoint(executor, d)).collect();
    let jitter = u64::try_from(JITTER.as_millis()).unwrap_or(0);
    if executor.core.table.proxy().close(endpoints, jitter).await.is_err() {
        return;
    }
    let until = Instant::now() + JITTER + CLOSING;
    while Instant::now() < until {
        let status = executor.core.table.proxy().status().await.unwrap_or_default();
        if over.iter().all(|d| held(executor, &status, d).0 == 0) {
            return;
        }
        sleep(LOOK).await;
    }
}

fn tell(executor: &Executor<'_>, status: &ProxyStatus, drained: &Drained, started: Instant) {
    let (_, requests, streams) = held(executor, status, drained);
    let left = Duration::from_millis(drained.limit_ms).saturating_sub(started.elapsed()).as_secs();
    executor.progress(None, format!("{} still has {requests} requests and {streams} streams, {left} s left", drained.id));
}

/// All, requests, streams.
fn held(executor: &Executor<'_>, status: &ProxyStatus, drained: &Drained) -> (u64, u64, u64) {
    let endpoint = status.endpoints.get(&endpoint(executor, drained)).copied().unwrap_or_default();
    (endpoint.requests + endpoint.streams, endpoint.requests, endpoint.streams)
}

fn endpoint(executor: &Executor<'_>, drained: &Drained) -> String {
    format!("{}/{}", executor.spec.app, drained.id)
}
