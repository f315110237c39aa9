//! What is done to a route's requests and answers on their way: the words of the file, checked, as the proxy gets them.
//!
//! A filter that is absent does nothing; what is done without being asked for (the headers every answer gets) is the proxy's own. Header names
//! and values are types because one line break in them would be a second header (CWE-113).

use crate::name::RoutePath;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Serialises a checked text as itself and checks it again when it is read.
macro_rules! text {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = crate::name::NameError;
            fn try_from(text: String) -> Result<Self, crate::name::NameError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(text: $type) -> String {
                text.0
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// A token of HTTP (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

mod answer;
mod cors;
mod guard;
mod header;
mod jwt;
mod network;
mod password;
mod upgrade;

pub use answer::{Answer, Files, FilesRoot, Redirect, RedirectTarget, Respond};
pub use cors::{Cors, CorsOrigin};
pub use header::{HeaderKey, HeaderText};
pub use jwt::{Jwt, JwtAlgorithm, JwtKeys, JwtSecret};
pub use network::Network;
pub use password::PasswordDigest;
pub use upgrade::UpgradeName;

/// Everything a route asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Headers of answers: set to a value, or, without one, left to the application even where the proxy has a default.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<HeaderKey, Option<HeaderText>>,
    /// Bytes of a request's body; more is refused (413).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
    /// How often one client may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Its name, if routes of one app that name it count together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// What the route's path is replaced by on the way to the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<RoutePath>,
    /// Paths with an encoded slash or backslash (`%2F`, `%5C`) go on to the application; otherwise they are refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub encoded_slashes: bool,
    /// Headers with `_` in their names that the application gets; all others are dropped.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub underscore_headers: BTreeSet<HeaderKey>,
    /// Protocols beside WebSocket that a connection may be switched to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub upgrade: BTreeSet<UpgradeName>,
    /// A browser's question before it calls from another origin goes on to the application without a login, which it cannot have.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preflight: bool,
    /// Which other origins' pages may call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Answers are never compressed by the proxy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uncompressed: bool,
    /// Only these clients, unless empty.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allow: BTreeSet<Network>,
    /// None of these clients.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub deny: BTreeSet<Network>,
    /// By user: only who knows a password of these, unless empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub basic_auth: BTreeMap<String, PasswordDigest>,
    /// Only who shows a token like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// What answers in place of the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

impl Filters {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A token bucket for each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// So many requests …
    pub requests: u32,
    /// … in so many milliseconds.
    pub per_ms: u64,
    /// So many more at once.
    pub burst: u32,
}

impl RateLimit {
    const MAX_REQUESTS: u32 = 1_000_000;

    /// `10/s`, `100/min`, `1000/hour`; the burst is as many as the rate's number.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once('/')?;
        let number = number.trim();
        let requests: u32 = number.parse().ok().filter(|n| (1..=Self::MAX_REQUESTS).contains(n) && !number.starts_with('+'))?;
        let per_ms = match unit.trim() {
            "s" | "sec" | "second" => 1000,
            "m" | "min" | "minute" => 60_000,
            "h" | "hour" => 3_600_000,
            "d" | "day" => 86_400_000,
            _ => return None,
        };
        Some(Self { requests, per_ms, burst: requests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_say_how_many_in_which_time() {
        let rate = |text| RateLimit::parse(text).map(|r| (r.requests, r.per_ms, r.burst));
        assert_eq!(rate("10/s"), Some((10, 1000, 10)));
        assert_eq!(rate("100/min"), Some((100, 60_000, 100)));
        assert_eq!(rate("1 / hour"), Some((1, 3_600_000, 1)));
        for bad in ["", "10", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "10/year", "2000000/s"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_asked_for_takes_no_room() {
        assert_eq!(serde_json::to_string(&Filters::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Filters>("{}").unwrap(), Filters::default());
        assert!(serde_json::from_str::<Filters>(r#"{"headers":{"a\r\nb":"c"}}"#).is_err(), "a stored table is checked again");
    }
}
