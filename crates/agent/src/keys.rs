//! Public keys that sign tokens, by where they are: an `https` URL, or a file of the user's.
//!
//! The proxy never fetches anything: it gets keys as text in its table. So whoever puts a table together asks here what is known, which is answered at
//! once, and what is asked for is fetched by a background task. The last good answer is kept, on disk too: a provider that is down, or answers with
//! an error page, changes nothing. What the answer says goes to the proxy alone; no message shows it.

use crate::certs::{client_config, make_private_dir, read_text, write_private};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use landfall_model::digest::digest;
use landfall_model::filter::{Filters, JwtKeys};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Bytes of an answer or a file.
const MAX_TEXT: usize = 64 * 1024;
/// For one question and its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two questions that went well. A provider that changes its keys publishes the new ones before it uses them.
const FRESH: Duration = Duration::from_secs(300);
/// After one that did not, doubled up to `FRESH`.
const AGAIN: Duration = Duration::from_secs(5);
/// What nobody has asked for so long is forgotten.
const WANTED: Duration = Duration::from_secs(600);
/// Places at the same time; beyond, nothing new is fetched.
const MAX_PLACES: usize = 200;

/// Everything known of keys.
pub(crate) struct KeySets {
    dir: PathBuf,
    /// File of authorities in place of the system's.
    roots: Option<PathBuf>,
    places: Mutex<BTreeMap<String, Place>>,
    /// Somebody asked for what is not there.
    missing: Notify,
}

struct Place {
    text: Option<String>,
    asked: Instant,
    due: Instant,
    failures: u32,
}

impl KeySets {
    pub(crate) fn open(dir: PathBuf, roots: Option<PathBuf>) -> Self {
        Self { dir, roots, places: Mutex::default(), missing: Notify::new() }
    }

    /// Puts into a route's filters the keys they are checked with, as far as they are known.
    pub(crate) fn complete(&self, mut filters: Filters) -> Filters {
        if let Some(JwtKeys::Public { from, text }) = filters.jwt.as_mut().map(|jwt| &mut jwt.keys) {
            *text = self.text(from);
        }
        filters
    }

    fn text(&self, from: &str) -> Option<String> {
        let now = Instant::now();
        let known = {
            let mut places = self.places();
            if let Some(place) = places.get_mut(from) {
                place.asked = now;
                place.text.clone()
            } else if places.len() < MAX_PLACES {
                let text = read_text(&self.file(from), MAX_TEXT as u64).ok().filter(|text| is_keys(text));
                places.insert(from.to_owned(), Place { text: text.clone(), asked: now, due: now, failures: 0 });
                self.missing.notify_one();
                text
            } else {
                return None;
            }
        };
        if is_url(from) {
            return known;
        }
        let read = read_text(Path::new(from), MAX_TEXT as u64).map_err(|e| e.to_string());
        match read.and_then(|text| if is_keys(&text) { Ok(text) } else { Err("it is no set of keys".to_owned()) }) {
            Ok(text) => {
                if known.as_ref() != Some(&text) {
                    self.keep(from, text.clone());
                }
                Some(text)
            }
            Err(error) => {
                self.failed(from, &error);
                known
            }
        }
    }

    /// Tells it once: a file is looked at every second.
    fn failed(&self, from: &str, error: &str) {
        if let Some(place) = self.places().get_mut(from) {
            if place.failures == 0 {
                tracing::warn!(from, error, "keys of tokens cannot be read; the last good ones stay");
            }
            place.due = Instant::now() + (AGAIN * 2u32.pow(place.failures.min(8))).min(FRESH);
            place.failures = place.failures.saturating_add(1);
        }
    }

    /// Waits until something is asked for that is not there.
    pub(crate) async fn missing(&self) {
        self.missing.notified().await;
    }

    /// Fetches what is due, one after the other.
    pub(crate) async fn refresh(&self) {
        let now = Instant::now();
        let due: Vec<String> = {
            let mut places = self.places();
            places.retain(|_, place| now.duration_since(place.asked) < WANTED);
            places.iter().filter(|(from, place)| is_url(from) && place.due <= now).map(|(from, _)| from.clone()).collect()
        };
        for from in due {
            match fetch(&from, self.roots.as_deref()).await {
                Ok(text) => self.keep(&from, text),
                Err(error) => self.failed(&from, &error),
            }
        }
    }

    fn keep(&self, from: &str, text: String) {
        let written = make_private_dir(&self.dir).and_then(|()| write_private(&self.file(from), text.as_bytes()));
        if let Err(error) = written {
            tracing::error!(%error, "keys of tokens cannot be kept for the next start");
        }
        if let Some(place) = self.places().get_mut(from) {
            place.text = Some(text);
            place.due = Instant::now() + FRESH;
            place.failures = 0;
        }
    }

    fn file(&self, from: &str) -> PathBuf {
        self.dir.join(format!("{}.keys", digest(&from)))
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_url(from: &str) -> bool {
    from.starts_with("https://")
}

/// Keys of some kind. Which of them can be used is the proxy's business; a page that says "not found" is none.
fn is_keys(text: &str) -> bool {
    let set = |text| serde_json::from_str::<Value>(text).is_ok_and(|v| v["keys"].as_array().is_some_and(|keys| !keys.is_empty()));
    text.trim_start().starts_with("-----BEGIN ") || set(text)
}

/// One question. Nothing is followed elsewhere.
async fn fetch(from: &str, roots: Option<&Path>) -> Result<String, String> {
    let uri: http::Uri = from.parse().map_err(|e: http::uri::InvalidUri| e.to_string())?;
    let tls = client_config(roots)?;
    let connector = HttpsConnectorBuilder::new().with_tls_config((*tls).clone()).https_only().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let exchange = async {
        let response = client.get(uri).await.map_err(|e| e.to_string())?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_TEXT).collect().await.map_err(|e| e.to_string())?.to_bytes();
        String::from_utf8(body.to_vec()).map_err(|e| e.to_string())
    };
    let text = tokio::time::timeout(LIMIT, exchange).await.map_err(|_| "it does not answer in time".to_owned())??;
    if is_keys(&text) { Ok(text) } else { Err("its answer is no set of keys".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str = r#"{"keys":[{"kty":"RSA"}]}"#;

    #[test]
    fn what_was_good_stays_until_there_is_better_and_across_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("set.json");
        let from = file.display().to_string();
        let sets = || KeySets::open(dir.path().join("keys"), None);
        let first = sets();
        assert_eq!(first.text(&from), None);
        std::fs::write(&file, SET).unwrap();
        assert_eq!(first.text(&from).as_deref(), Some(SET));
        for bad in ["", "<html>not found</html>", r#"{"keys":[]}"#, &"x".repeat(MAX_TEXT + 1)] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(first.text(&from).as_deref(), Some(SET));
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(sets().text(&from).as_deref(), Some(SET), "an agent that starts anew knows it too");
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_reached_is_asked_again_later_and_not_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let sets = KeySets::open(dir.path().join("keys"), None);
        let from = "https://127.0.0.1:1/jwks";
        assert_eq!(sets.text(from), None);
        sets.missing().await;
        sets.refresh().await;
        let places = sets.places();
        let place = places.get(from).unwrap();
        assert_eq!((place.failures, place.text.is_none()), (1, true));
        assert!(place.due > Instant::now());
    }
}
