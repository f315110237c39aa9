//! What a route answers by itself, without an application: another address, or a fixed text.

use super::HeaderText;
use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// In place of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is somewhere else.
    Redirect(Redirect),
    /// Always the same.
    Respond(Respond),
}

/// Sends clients somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Where to.
    pub to: RedirectTarget,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// What follows the route's path is added to `to`.
    pub keep_rest: bool,
}

impl Redirect {
    /// Statuses that send a client to another address (RFC 9110 §15.4).
    pub const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Its content.
    pub body: String,
    /// What that is.
    pub content_type: HeaderText,
}

impl Respond {
    /// Most bytes of a body: what is longer belongs into a file.
    pub const MAX_BODY: usize = 8 * 1024;
}

/// A path of the same site, or an address with scheme and host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectTarget(String);

impl RedirectTarget {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// It stays at the host that was asked.
    pub fn is_path(&self) -> bool {
        self.0.starts_with('/')
    }

    /// Nothing can be added to it: it has a query or a fragment.
    pub fn is_closed(&self) -> bool {
        self.0.contains(['?', '#'])
    }
}

impl FromStr for RedirectTarget {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = text.len() <= 2000 && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'));
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let good = match rest {
            // A user or an odd character before the first slash would make another host of what looks like this one.
            Some(rest) => {
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
            }
            // `//host` is an address of another site.
            None => text.starts_with('/') && !text.starts_with("//"),
        };
        if plain && good {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::new("address to redirect to", text, "a path such as `/new`, or an address such as `https://www.example.com/new`"))
    }
}

text!(RedirectTarget);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_it_seems_to() {
        for good in ["/", "/new?a=b#c", "https://www.example.com", "http://10.0.0.1:8080/x", "https://[::1]/"] {
            assert!(good.parse::<RedirectTarget>().is_ok(), "{good}");
        }
        for bad in
            ["", "new", "//evil.example", "/\\evil.example", "https://", "https://a@evil.example", "javascript:x", "/a b", "/a\r\nb", "/é"]
        {
            assert!(bad.parse::<RedirectTarget>().is_err(), "{bad:?}");
        }
    }
}
