//! What a site shows and whom it lets in while it is closed. Each worker has its own copy.

use crate::edge::guess::{Caller, Guessed};
use crate::edge::refusal::Refusal;
use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderName};
use landfall_model::front::{Front, Maintenance};
use std::collections::BTreeMap;

/// Says the key of somebody who may come in. It ends at the proxy.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-maintenance-key");
const KEY_COOKIE: &str = "maintenance_key";
/// Longer ones are nobody's.
const MAX_KEY: usize = 1000;

/// One site as a worker knows it.
#[derive(Debug)]
pub(crate) struct LocalSite {
    /// Whose.
    pub(crate) app: String,
    pages: BTreeMap<u16, Bytes>,
    maintenance: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    asked: Maintenance,
    page: Option<Bytes>,
}

impl LocalSite {
    pub(crate) fn new(app: &str, front: &Front) -> Self {
        let copy = |page: &String| Bytes::copy_from_slice(page.as_bytes());
        Self {
            app: app.to_owned(),
            pages: front.error_pages.iter().map(|page| (page.status, copy(&page.html))).collect(),
            maintenance: front.maintenance.as_ref().map(|asked| Closed { page: asked.page.as_ref().map(copy), asked: asked.clone() }),
        }
    }

    /// The page for a refusal, if the app has one.
    pub(crate) fn page(&self, refusal: Refusal, status: u16) -> Option<Bytes> {
        let closed = self.maintenance.as_ref().filter(|_| matches!(refusal, Refusal::Maintenance { .. }));
        closed.and_then(|closed| closed.page.as_ref()).or_else(|| self.pages.get(&status)).cloned()
    }

    /// Refuses who may not come in while the app is closed.
    pub(crate) fn admit(&self, caller: Caller<'_>, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let Some(Closed { asked, .. }) = &self.maintenance else { return Ok(()) };
        let admitted = if asked.allow.iter().any(|network| network.contains(caller.client)) {
            Ok(())
        } else {
            self.admit_by_key(caller, asked, headers)
        };
        headers.remove(KEY_HEADER);
        admitted
    }

    fn admit_by_key(&self, caller: Caller<'_>, asked: &Maintenance, headers: &HeaderMap) -> Result<(), Refusal> {
        let closed = Refusal::Maintenance { retry_after: asked.retry_after_s };
        let given = given_keys(headers);
        let Some(key) = asked.key.as_ref().filter(|_| !given.is_empty()) else { return Err(closed) };
        let attempt = caller.attempt(&self.app, Guessed::Key);
        if let Some(retry_after) = attempt.wait() {
            return Err(Refusal::Guessing { retry_after });
        }
        if given.iter().any(|given| given.len() <= MAX_KEY && key.is(&Maintenance::key(given))) {
            return Ok(());
        }
        given.iter().for_each(|_| attempt.failed());
        Err(closed)
    }
}

/// The keys somebody shows.
fn given_keys(headers: &HeaderMap) -> Vec<&str> {
    let header = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok());
    let crumbs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let cookies = crumbs.filter_map(|crumb| crumb.trim().split_once('=')).filter(|(name, _)| *name == KEY_COOKIE).map(|(_, value)| value);
    header.into_iter().chain(cookies.take(2)).collect()
}
