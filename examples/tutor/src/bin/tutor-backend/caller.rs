//! `call URL`: fifty calls a second to another service by its name, each with its own resolution and connection, and
//! `GET /counts` (also as `/caller/counts`) that tells how they ended.
//!
//! Calls start on a fixed schedule, whether the ones before have ended or not, so that a slow neighbour is seen as many late
//! calls and not as few good ones.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between the starts of two calls.
const EVERY: Duration = Duration::from_millis(20);

/// Calls under way at most; one more is counted as failed instead of being made.
const IN_FLIGHT: usize = 400;

/// How the calls ended.
#[derive(Debug, Default, Clone, Serialize)]
struct Counts {
    /// Answered 2xx, completely.
    ok: u64,
    /// By kind.
    failed: BTreeMap<String, u64>,
    /// The `ok` ones by the version that answered.
    versions: BTreeMap<String, u64>,
    /// The longest of them, milliseconds.
    slowest_ms: u64,
}

/// Shared by the calls and the page that shows them.
#[derive(Clone, Default)]
struct Calls {
    counts: Arc<Mutex<Counts>>,
    under_way: Arc<AtomicUsize>,
}

/// Calls until the program is asked to stop.
pub(crate) async fn run(url: &str) -> tutor::Ended {
    let calls = Calls::default();
    tokio::spawn(keep_calling(url.into(), calls.clone()));
    tutor::serve::serve("caller", crate::PORT, |_| {
        Router::new()
            .route("/counts", get(counts))
            .route("/caller", get(counts))
            .route("/caller/counts", get(counts))
            .route("/health", get(async || "ok\n"))
            .with_state(calls)
    })
    .await
}

async fn counts(State(calls): State<Calls>) -> Json<Counts> {
    Json(calls.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

async fn keep_calling(url: Arc<str>, calls: Calls) {
    let mut clock = tokio::time::interval(EVERY);
    loop {
        clock.tick().await;
        if calls.under_way.load(Ordering::Relaxed) >= IN_FLIGHT {
            calls.failed("overload".into());
            continue;
        }
        calls.under_way.fetch_add(1, Ordering::Relaxed);
        let (url, calls) = (Arc::clone(&url), calls.clone());
        tokio::spawn(async move {
            calls.call(&url).await;
            calls.under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Calls {
    async fn call(&self, url: &str) {
        let begun = Instant::now();
        match tutor::client::get(url).await {
            Ok(answer) => {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                counts.ok += 1;
                counts.slowest_ms = counts.slowest_ms.max(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
                *counts.versions.entry(answer.version).or_default() += 1;
            }
            Err(e) => {
                tutor::log(format_args!("{e}"));
                self.failed(e.kind());
            }
        }
    }

    fn failed(&self, kind: String) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).failed.entry(kind).or_default() += 1;
    }
}
