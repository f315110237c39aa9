//! Protocols other than WebSocket that a route may switch a connection to (RFC 9110 §7.8).

use super::is_token;
use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The name of such a protocol without its version, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpgradeName(String);

/// WebSockets are carried anyway, frame by frame. The others offer HTTP once more, around every rule about requests.
const RESERVED: [&str; 5] = ["websocket", "h2c", "h2", "http", "tls"];
const LONGEST: usize = 64;

impl UpgradeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UpgradeName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let lower = text.to_ascii_lowercase();
        if is_token(&lower) && lower.len() <= LONGEST && !RESERVED.contains(&lower.as_str()) {
            return Ok(Self(lower));
        }
        let wanted = "the name of one protocol, without a version; not `websocket`, which always passes, nor HTTP or TLS in another form";
        Err(NameError::new("protocol to switch to", text, wanted))
    }
}

text!(UpgradeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_in_disguise_is_no_protocol_to_switch_to() {
        let name = |text: &str| text.parse::<UpgradeName>().ok().map(String::from);
        assert_eq!(name("TCP").as_deref(), Some("tcp"));
        assert_eq!(name("SPDY-3.1").as_deref(), Some("spdy-3.1"));
        for bad in ["", "websocket", "WebSocket", "h2c", "H2", "http", "TLS", "a b", "a/1", "a,b", "é", "a\r\nb", &"a".repeat(65)] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
