//! Headers of every answer: a few that protect browsers by default, and what the route's file says.
//!
//! A default never replaces what the application says itself; what the file says replaces both. HSTS (RFC 6797) is sent over HTTPS only and
//! never for names of this machine: pinned to `localhost`, it would break every other program a developer runs there.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use landfall_model::filter::Filters;

const DEFAULTS: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];
/// A year, without subdomains: those may be somebody else's.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What one route's answers get.
#[derive(Debug)]
pub(crate) struct Headers {
    defaults: Vec<(HeaderName, HeaderValue)>,
    set: Vec<(HeaderName, HeaderValue)>,
    hsts: bool,
}

impl Headers {
    pub(crate) fn new(asked: &Filters) -> Self {
        let speaks_of = |name: &HeaderName| asked.headers.keys().any(|key| key.as_str() == name.as_str());
        let set = asked.headers.iter().filter_map(|(key, value)| {
            // The model's types allow nothing else than these two parse.
            let name = HeaderName::from_bytes(key.as_str().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.as_ref()?.as_str()).ok()?))
        });
        Self {
            defaults: DEFAULTS.into_iter().filter(|(name, _)| !speaks_of(name)).collect(),
            set: set.collect(),
            hsts: !speaks_of(&STRICT_TRANSPORT_SECURITY),
        }
    }

    /// How many it may add.
    pub(crate) fn count(&self) -> usize {
        self.defaults.len() + self.set.len() + 1
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap, secure: bool) {
        for (name, value) in &self.defaults {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if secure && self.hsts {
            hsts(headers);
        }
        for (name, value) in &self.set {
            if secure || *name != STRICT_TRANSPORT_SECURITY {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Tells the client to come by HTTPS only, unless the answer says something about that.
pub(crate) fn hsts(headers: &mut HeaderMap) {
    headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(HSTS);
}

/// True for a name that others can own too: no address, nothing under `localhost`, no single label.
pub(crate) fn is_public(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.len() < host.len() && last != "localhost" && last.bytes().any(|b| b.is_ascii_alphabetic()) && !host.starts_with('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_never_pinned() {
        for (host, public) in [
            ("shop.example", true),
            ("a.b.example.com", true),
            ("localhost", false),
            ("shop.localhost", false),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("[::ffff:1.2.3.4]", false),
            ("server", false),
            ("", false),
        ] {
            assert_eq!(is_public(host), public, "{host}");
        }
    }
}
