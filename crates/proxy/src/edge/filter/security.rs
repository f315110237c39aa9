//! Headers of every answer: a few that protect browsers by default, and what the route's file says.
//!
//! A default never replaces what the application says itself; what the file says replaces both. HSTS (RFC 6797) is sent over HTTPS only and
//! never for names of this machine: pinned to `localhost`, it would break every other program a developer runs there.

use http::HeaderMap;
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
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
            // Browsers that know `frame-ancestors` obey it alone; to others the older header would say something else.
            if *name == X_FRAME_OPTIONS && self.says_who_frames(headers) {
                continue;
            }
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

impl Headers {
    /// The policy that the client gets says who may show the page in a frame (CSP 3 §6.4.2). The file's own policy replaces the application's.
    fn says_who_frames(&self, headers: &HeaderMap) -> bool {
        match self.set.iter().find(|(name, _)| *name == CONTENT_SECURITY_POLICY) {
            Some((_, policy)) => has_frame_ancestors(policy),
            None => headers.get_all(CONTENT_SECURITY_POLICY).iter().any(has_frame_ancestors),
        }
    }
}

fn has_frame_ancestors(policy: &HeaderValue) -> bool {
    let directives = policy.as_bytes().split(|byte| matches!(byte, b';' | b','));
    directives.map(<[u8]>::trim_ascii).any(|directive| {
        let name = directive.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"frame-ancestors")
    })
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
    fn who_may_frame_a_page_is_said_once() {
        let framed = |app: &[&'static str], file: Option<&str>| {
            let mut asked = Filters::default();
            if let Some(file) = file {
                let policy = serde_json::from_value(serde_json::json!({ "content-security-policy": file })).unwrap();
                asked.headers = policy;
            }
            let mut headers = HeaderMap::new();
            for policy in app {
                headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            }
            Headers::new(&asked).apply(&mut headers, false);
            headers.contains_key(X_FRAME_OPTIONS)
        };
        assert!(framed(&[], None) && framed(&["default-src 'self'"], None) && framed(&["default-src frame-ancestors"], None));
        assert!(!framed(&["frame-ancestors https://cloud.test"], None));
        assert!(!framed(&["default-src 'self'", "script-src x; Frame-Ancestors\t'none'"], None));
        assert!(!framed(&[], Some("frame-ancestors 'self'")));
        assert!(framed(&["frame-ancestors 'none'"], Some("default-src 'self'")), "the file's policy replaces the application's");
    }

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
