//! Headers the file may set.

use super::is_token;
use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

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
        if is_token(&lower) && lower.len() <= 128 && !RESERVED.contains(&lower.as_str()) {
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
}
