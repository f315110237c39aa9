//! Which pages of other origins may call a route (Fetch Standard, "CORS protocol").

use super::HeaderKey;
use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::str::FromStr;

/// What is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// Whose pages.
    pub origins: BTreeSet<CorsOrigin>,
    /// Methods beyond those that need no asking.
    pub methods: BTreeSet<String>,
    /// Request headers; whatever is asked for when empty.
    pub headers: BTreeSet<HeaderKey>,
    /// Response headers a page may read.
    pub expose: BTreeSet<HeaderKey>,
    /// Cookies may be sent along.
    pub credentials: bool,
    /// How long a browser may remember the permission, seconds.
    pub max_age_s: u64,
}

/// `https://app.example.com`, `https://*.example.com`, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorsOrigin(String);

impl CorsOrigin {
    /// Every origin.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// True if it covers the origin a browser names.
    pub fn covers(&self, origin: &str) -> bool {
        match self.0.split_once("://*.") {
            // What the star stands for is labels of a host: no port, user or path can hide in it.
            Some((scheme, domain)) => origin
                .strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix("://"))
                .and_then(|host| host.strip_suffix(domain))
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| {
                    !labels.is_empty() && labels.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
                }),
            None => self.is_any() || self.0 == origin,
        }
    }
}

impl FromStr for CorsOrigin {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let lower = text.to_ascii_lowercase();
        let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
        let (name, port) = host.map_or(("", None), |h| h.split_once(':').map_or((h, None), |(name, port)| (name, Some(port))));
        let name = name.strip_prefix("*.").unwrap_or(name);
        let good_name =
            !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        let good_port = port.is_none_or(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|p| p > 0));
        if lower == "*" || (good_name && good_port) {
            return Ok(Self(lower));
        }
        Err(NameError::new("origin", text, "`https://app.example.com`, `https://*.example.com` or `*`; no path"))
    }
}

text!(CorsOrigin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_labels_and_nothing_else() {
        let covers = |rule: &str, origin: &str| rule.parse::<CorsOrigin>().unwrap().covers(origin);
        assert!(covers("https://app.example.com", "https://app.example.com"));
        assert!(covers("HTTPS://App.example.com:8443", "https://app.example.com:8443"));
        assert!(!covers("https://app.example.com", "http://app.example.com"));
        assert!(!covers("https://app.example.com", "https://app.example.com.evil.example"));
        assert!(covers("https://*.example.com", "https://a.b.example.com"));
        for evil in
            ["https://example.com", "https://evilexample.com", "https://evil.example/.example.com", "https://x:1@a.example.com", "null"]
        {
            assert!(!covers("https://*.example.com", evil), "{evil}");
        }
        assert!(covers("*", "null"));
        for bad in ["", "app.example.com", "https://", "https://a/", "https://a:0", "https://a:x", "ftp://a", "https://*", "https://a b"] {
            assert!(bad.parse::<CorsOrigin>().is_err(), "{bad}");
        }
    }
}
