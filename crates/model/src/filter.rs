//! What is done to a route's requests and answers on their way: the words of the file, checked, as the proxy gets them.
//!
//! A filter that is absent does nothing; what is done without being asked for (the headers every answer gets) is the proxy's own. Header names
//! and values are types because one line break in them would be a second header (CWE-113).

use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

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

/// The name of a header the file may set, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderKey(String);

/// What frames a message or ends at one hop is the proxy's business (RFC 9110 §7.6.1).
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-encoding",
];

impl HeaderKey {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderKey {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let lower = text.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let good = !lower.is_empty() && lower.len() <= 128 && lower.bytes().all(token);
        if good && !RESERVED.contains(&lower.as_str()) {
            return Ok(Self(lower));
        }
        Err(NameError::new(
            "header that can be set",
            text,
            "letters, digits and `-`; none of those that frame a message, such as `Content-Length`",
        ))
    }
}

/// The value of a header: visible ASCII, blanks and tabs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderText(String);

impl HeaderText {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HeaderText {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.len() <= 8000 && text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::new("header value", text, "one line of at most 8000 ASCII characters"))
    }
}

macro_rules! text {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(text: $type) -> String {
                text.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text!(HeaderKey);
text!(HeaderText);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_header_can_become_two_or_reframe_a_message() {
        assert_eq!("X-Frame-Options".parse::<HeaderKey>().unwrap().as_str(), "x-frame-options");
        for bad in ["", "a b", "a:b", "a\r\nb", "é", "Content-Length", "transfer-encoding", "connection"] {
            assert!(bad.parse::<HeaderKey>().is_err(), "{bad:?}");
        }
        assert_eq!(" default-src 'self' ".parse::<HeaderText>().unwrap().as_str(), "default-src 'self'");
        for bad in ["a\r\nset-cookie: x=y", "a\nb", "\0", "é"] {
            assert!(bad.parse::<HeaderText>().is_err(), "{bad:?}");
        }
    }

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
