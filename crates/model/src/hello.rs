//! The first words between a command line and a server: who the server's Landfall is, and who asks.
//!
//! `landfall agent-stdio` begins with a [`Hello`], so that two versions that do not understand each other say so instead of failing somewhere later. Towards the agent it
//! begins each connection with the line of a [`Caller`]: what sshd knows of who is at the other end, which the kernel's credentials do not say.
//! Both are bounded, and what reads them never needs more than the bound.

use crate::name::AppName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Version of what follows the hello: streams of HTTP/2 (RFC 9113), each CONNECT (§8.5) one connection to the agent.
pub const PROTOCOL: u16 = 1;

/// How a hello begins. Its first byte is no text, so what a login script prints is never taken for one.
pub const MAGIC: [u8; 10] = *b"\x00LANDFALL\n";

/// Longest text after magic, protocol and length.
pub const MAX_HELLO: usize = 1024;

/// What the server's Landfall says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// [`PROTOCOL`] of the server.
    pub protocol: u16,
    /// Of its binary and of its API. A later version may say more.
    pub versions: Versions,
}

/// Which Landfall it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of the binary.
    pub version: String,
    /// [`crate::api::VERSION`].
    pub api: u32,
}

/// These bytes do not begin a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Something else was said.
    #[error("it does not begin as Landfall begins")]
    NotOurs,
    /// It says to be longer than any is.
    #[error("its first words are too long")]
    TooLong,
    /// Its text is not understood.
    #[error("its first words are not understood")]
    Text,
}

impl Hello {
    /// As it is sent: magic, protocol (2 bytes), length of the text (2 bytes, both the high one first), text.
    pub fn encode(&self) -> Vec<u8> {
        let mut versions = self.versions.clone();
        // A version is some dozen characters; one that is not is cut, not refused.
        versions.version = versions.version.chars().take(100).collect();
        let text = serde_json::to_vec(&versions).unwrap_or_default();
        let length = u16::try_from(text.len()).unwrap_or_default();
        [&MAGIC[..], &self.protocol.to_be_bytes(), &length.to_be_bytes(), &text].concat()
    }

    /// Reads one and says how many bytes it took; `None` when there is more to come.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, HelloError> {
        let shared = bytes.len().min(MAGIC.len());
        if bytes.get(..shared) != MAGIC.get(..shared) {
            return Err(HelloError::NotOurs);
        }
        let Some((head, rest)) = bytes.get(MAGIC.len()..).and_then(|rest| rest.split_first_chunk::<4>()) else { return Ok(None) };
        let [p1, p0, l1, l0] = *head;
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if length > MAX_HELLO {
            return Err(HelloError::TooLong);
        }
        let Some(text) = rest.get(..length) else { return Ok(None) };
        let versions = serde_json::from_slice(text).map_err(|_| HelloError::Text)?;
        Ok(Some((Self { protocol: u16::from_be_bytes([p1, p0]), versions }, MAGIC.len() + head.len() + length)))
    }
}

/// Longest line of a caller.
pub const MAX_CALLER: usize = 2048;

/// Most apps one key can be bound to.
pub const MAX_SCOPE: usize = 16;

/// How the line of a caller begins. No method of HTTP does.
const CALLER: &str = "landfall-caller ";

/// How that of one that is bound to apps begins. An agent that does not know of this turns it away instead of letting it do everything.
const SCOPED: &str = "landfall-caller-of ";

/// Who asks over SSH, as far as sshd tells. Whether it is true is a question of who says it: see `agent::api::peer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// `SHA256:…` of the key that was logged in with.
    pub key: Option<String>,
    /// Address of the client.
    pub from: Option<String>,
    /// The only apps it may ask about; absent for a key that is bound to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<BTreeSet<AppName>>,
}

impl Caller {
    /// The line a connection to the agent begins with, its end included.
    pub fn line(&self) -> String {
        let caller = Self { key: self.key.as_deref().map(clean), from: self.from.as_deref().map(clean), apps: self.apps.clone() };
        let begin = if caller.apps.is_some() { SCOPED } else { CALLER };
        format!("{begin}{}\n", serde_json::to_string(&caller).unwrap_or_default())
    }

    /// Reads the line without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let (text, scoped) = match line.strip_prefix(SCOPED) {
            Some(text) => (text, true),
            None => (line.strip_prefix(CALLER)?, false),
        };
        let caller: Self = serde_json::from_str(text).ok().filter(|caller: &Self| caller.apps.is_some() == scoped)?;
        Some(Self { key: caller.key.as_deref().map(clean), from: caller.from.as_deref().map(clean), apps: caller.apps })
    }
}

/// What of it may stand in an event: it ends up on terminals.
fn clean(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || ":./+=-_%".contains(*c)).take(100).collect()
}

/// `SSH key SHA256:… from 203.0.113.7`, to be put beside a user's name.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "SSH key {key}")?,
            None => f.write_str("SSH")?,
        }
        self.from.as_ref().map_or(Ok(()), |from| write!(f, " from {from}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hello_is_read_as_it_was_written_however_it_arrives(protocol: u16, version in "\\PC{0,120}", api: u32, after in any::<Vec<u8>>()) {
            let hello = Hello { protocol, versions: Versions { version: version.chars().take(100).collect(), api } };
            let mut bytes = hello.encode();
            let length = bytes.len();
            for cut in 0..length {
                prop_assert_eq!(Hello::decode(&bytes[..cut]), Ok(None));
            }
            bytes.extend(after);
            prop_assert_eq!(Hello::decode(&bytes), Ok(Some((hello, length))));
        }

        #[test]
        fn other_bytes_are_refused_or_waited_for_and_nothing_more(mut bytes in any::<Vec<u8>>(), ours: bool) {
            if ours {
                bytes.splice(..0, MAGIC);
            }
            if let Ok(Some((_, used))) = Hello::decode(&bytes) {
                prop_assert!(used <= bytes.len() && used <= MAGIC.len() + 4 + MAX_HELLO);
            }
        }

        #[test]
        fn a_caller_is_one_bounded_line(key in proptest::option::of("\\PC{0,300}"), from in proptest::option::of(".{0,300}")) {
            let line = Caller { key, from, apps: None }.line();
            prop_assert!(line.len() <= MAX_CALLER && line.trim_end_matches('\n').bytes().all(|b| b.is_ascii_graphic() || b == b' '));
            let read = Caller::parse(line.trim_end_matches('\n')).unwrap();
            prop_assert_eq!(read.line(), line);
        }
    }

    #[test]
    fn what_login_scripts_print_is_no_hello() {
        assert_eq!(Hello::decode(b"Welcome to Debian"), Err(HelloError::NotOurs));
        assert_eq!(Hello::decode(&[&MAGIC[..], &[0, 1, 255, 255]].concat()), Err(HelloError::TooLong));
        assert_eq!(Hello::decode(&[&MAGIC[..], &[0, 1, 0, 2], b"[]"].concat()), Err(HelloError::Text));
    }

    #[test]
    fn a_caller_is_told_in_words() {
        let caller = Caller { key: Some("SHA256:ab+/c".into()), from: Some("203.0.113.7".into()), apps: None };
        assert_eq!(caller.to_string(), "SSH key SHA256:ab+/c from 203.0.113.7");
        assert_eq!(Caller::default().to_string(), "SSH");
        assert_eq!(Caller::parse("GET / HTTP/1.1"), None);
    }

    #[test]
    fn a_scope_is_said_and_never_lost() {
        let longest = |n: usize| format!("{}{n:02}", "a".repeat(61)).parse::<AppName>();
        let apps: BTreeSet<AppName> = (0..MAX_SCOPE).filter_map(|n| longest(n).ok()).collect();
        let long = "x".repeat(300);
        let line = Caller { key: Some(long.clone()), from: Some(long), apps: Some(apps.clone()) }.line();
        assert!(line.len() <= MAX_CALLER, "{}", line.len());
        assert_eq!(Caller::parse(line.trim_end()).and_then(|caller| caller.apps), Some(apps));
        // One that knows no scopes knows no such beginning, and there is no scope without it.
        assert!(!line.starts_with(CALLER));
        for bad in ["landfall-caller-of {}", "landfall-caller {\"apps\":[\"a\"]}", "landfall-caller-of {\"apps\":[\"../x\"]}"] {
            assert_eq!(Caller::parse(bad), None, "{bad}");
        }
        assert_eq!(Caller::parse("landfall-caller-of {\"apps\":[]}").and_then(|caller| caller.apps), Some(BTreeSet::new()));
    }
}
