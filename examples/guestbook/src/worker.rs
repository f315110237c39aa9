//! The worker: calls the api fifty times a second, each time on a new connection, and counts how the calls end; once a minute it
//! counts the guests.
//!
//! Calls start on a fixed schedule, whether the ones before have ended or not, so that a slow api is seen as many late calls and
//! not as few good ones. With `CALLS_FILE` set the counts are written there, whole, five times a second.

use crate::client;
use crate::store::{PATH, Store};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// Between the starts of two calls.
const EVERY: Duration = Duration::from_millis(20);

/// Calls under way at most; one more is counted as failed instead of being made.
const IN_FLIGHT: usize = 500;

/// How the calls ended.
#[derive(Debug, Default, Serialize)]
struct Calls {
    /// Answered 2xx, completely.
    ok: u64,
    /// By kind.
    failed: BTreeMap<String, u64>,
    /// The `ok` ones by the version that answered.
    versions: BTreeMap<String, u64>,
}

/// Runs until it is asked to stop; then finishes the calls under way and writes the counts a last time.
pub(crate) async fn run() -> crate::Ended {
    let api = std::env::var("LANDFALL_URL_API").map_err(|_| "LANDFALL_URL_API is not set")?;
    let file = std::env::var_os("CALLS_FILE").filter(|f| !f.is_empty()).map(PathBuf::from);
    crate::log(format_args!("worker calls {api}/api/version"));
    LocalSet::new().run_until(work(api.into(), file)).await;
    crate::log(format_args!("worker stopped"));
    Ok(())
}

async fn work(api: Rc<str>, file: Option<PathBuf>) {
    let calls = Rc::new(RefCell::new(Calls::default()));
    let mut under_way = JoinSet::new();
    let mut next = tokio::time::interval(EVERY);
    let mut write = tokio::time::interval(EVERY * 10);
    let mut count = tokio::time::interval(Duration::from_secs(60));
    let mut stop = std::pin::pin!(crate::serve::asked_to_stop());
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            _ = next.tick() => {
                if under_way.len() < IN_FLIGHT {
                    under_way.spawn_local(call(Rc::clone(&api), Rc::clone(&calls)));
                } else {
                    *calls.borrow_mut().failed.entry("overload".into()).or_default() += 1;
                }
            }
            _ = write.tick() => save(file.as_deref(), &calls.borrow()),
            // A slow disk must not delay the calls.
            _ = count.tick() => drop(tokio::task::spawn_blocking(statistics)),
        }
    }
    while under_way.join_next().await.is_some() {}
    save(file.as_deref(), &calls.borrow());
}

async fn call(api: Rc<str>, calls: Rc<RefCell<Calls>>) {
    let ended = client::get(&api, "/api/version").await;
    let mut calls = calls.borrow_mut();
    match ended {
        Ok(answer) => {
            calls.ok += 1;
            *calls.versions.entry(answer.version).or_default() += 1;
        }
        Err(e) => {
            crate::log(format_args!("guestbook: {e}"));
            *calls.failed.entry(e.kind()).or_default() += 1;
        }
    }
}

/// Writes beside and renames: a reader sees the old counts or the new ones, never half of them.
fn save(file: Option<&Path>, calls: &Calls) {
    let Some(file) = file else { return };
    let beside = file.with_extension("new");
    let written = serde_json::to_vec_pretty(calls)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(&beside, text))
        .and_then(|()| std::fs::rename(&beside, file));
    if let Err(e) = written {
        crate::log(format_args!("guestbook: cannot write {}: {e}", file.display()));
    }
}

fn statistics() {
    let counted = Store::open(Path::new(PATH)).and_then(|store| Ok(store.compute()?));
    match counted {
        Ok(s) => crate::log(format_args!("{} entries by {} guests", s.entries, s.guests)),
        Err(e) => crate::log(format_args!("guestbook: no statistics: {e}")),
    }
}
