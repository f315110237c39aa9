//! A server's address as users write it: `ssh://[user@]host[:port]`, where the host may be a name of the user's ssh_config.
//!
//! Its parts become arguments of the `ssh` program, and `ssh` puts them into commands of the user's configuration (`%h`, `%r` in a ProxyCommand are given to
//! a shell). So the grammar is narrower than a URL's: nothing begins with `-`, nothing is percent-encoded, and no character means anything to a shell.

use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Longest name of a host (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;
/// Longest name of a user: Linux allows 32, directories of companies more.
const MAX_USER: usize = 64;

/// Where a server is reached over SSH.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerAddress {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl ServerAddress {
    /// Who to be there; what the user's ssh_config says when absent.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The same place as somebody else.
    #[must_use]
    pub fn as_user(&self, user: &'static str) -> Self {
        Self { user: Some(user.to_owned()), ..self.clone() }
    }

    /// A name, an alias of the user's ssh_config, or an address (one of IPv6 without brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Of its sshd; what the user's ssh_config says when absent.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for ServerAddress {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |want| NameError::new("server", text, want);
        let rest = text.strip_prefix("ssh://").ok_or_else(|| wrong("an address such as `ssh://deploy@tutor.example.com`"))?;
        let (user, place) = match rest.split_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| !is_word(user, MAX_USER)) {
            return Err(wrong("the user is letters, digits, `.`, `_` and `-`, not beginning with `-` or `.`; no password belongs here"));
        }
        let (host, port) = match place.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed.split_once(']').ok_or_else(|| wrong("an IPv6 address stands between `[` and `]`"))?;
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err(wrong("an IPv6 address stands between `[` and `]`"));
                }
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return Err(wrong("after the host comes `:` and a port, or nothing")),
                }
            }
            None => {
                let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
                if !is_word(host, MAX_HOST) {
                    return Err(wrong(
                        "the host is letters, digits, `.`, `_` and `-`, not beginning with `-` or `.`, and nothing follows it but `:` and a port",
                    ));
                }
                (host, port)
            }
        };
        let port = port.map(|port| number(port).ok_or_else(|| wrong("the port is a number from 1 to 65535"))).transpose()?;
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port })
    }
}

/// What may stand for a user or a host.
fn is_word(text: &str, max: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= max
        && bytes.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Digits alone: `parse` would take `+22` too.
fn number(text: &str) -> Option<u16> {
    let digits = text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ServerAddress> for String {
    fn from(address: ServerAddress) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (Option<String>, String, Option<u16>) {
        let ServerAddress { user, host, port } = text.parse().unwrap();
        (user, host, port)
    }

    #[test]
    fn addresses_have_a_host_and_maybe_more() {
        assert_eq!(parts("ssh://alias"), (None, "alias".into(), None));
        assert_eq!(parts("ssh://deploy@tutor.example.com"), (Some("deploy".into()), "tutor.example.com".into(), None));
        assert_eq!(parts("ssh://a.b-c_d@203.0.113.7:2222"), (Some("a.b-c_d".into()), "203.0.113.7".into(), Some(2222)));
        assert_eq!(parts("ssh://root@[2001:db8::1]:22"), (Some("root".into()), "2001:db8::1".into(), Some(22)));
        assert_eq!(parts("ssh://[::1]"), (None, "::1".into(), None));
    }

    #[test]
    fn nothing_gets_in_that_ssh_or_a_shell_reads_otherwise() {
        for bad in [
            "",
            "ssh://",
            "tutor",
            "http://tutor",
            "SSH://tutor",
            "ssh:/tutor",
            "ssh://-oProxyCommand=x@h",
            "ssh://-oProxyCommand=x",
            "ssh://a@-v",
            "ssh://-l@h",
            "ssh://a b@h",
            "ssh://a@h ",
            " ssh://a@h",
            "ssh://a@h\n",
            "ssh://a\n@h",
            "ssh://a@h\0",
            "ssh://%68@h",
            "ssh://a@%h",
            "ssh://a@h%0a",
            "ssh://a@$(id)",
            "ssh://$(id)@h",
            "ssh://a@`id`",
            "ssh://a;id@h",
            "ssh://a@h;id",
            "ssh://a@h|id",
            "ssh://a@h&",
            "ssh://a@h/path",
            "ssh://a@h?x",
            "ssh://a@h#x",
            "ssh://a:secret@h",
            "ssh://a@b@h",
            "ssh://a@h:",
            "ssh://a@h:0",
            "ssh://a@h:65536",
            "ssh://a@h:+22",
            "ssh://a@h:022",
            "ssh://a@h:22:22",
            "ssh://a@h:-1",
            "ssh://a@",
            "ssh://@h",
            "ssh://.@h",
            "ssh://a@..",
            "ssh://a@../h",
            "ssh://a@[::1",
            "ssh://a@::1",
            "ssh://a@[h]",
            "ssh://a@[::1]x",
            "ssh://a@[fe80::1%eth0]",
            "ssh://a@h\u{202e}",
            "ssh://ä@h",
            "ssh://a@hä",
            "ssh://a@'h'",
            "ssh://a@\"h\"",
            "ssh://a@h\\",
            "ssh://a@{h,-v}",
            "ssh://a@h*",
            "ssh://a@~",
            "ssh://a@!h",
            "ssh://a=b@h",
            "ssh://a@h=b",
            "ssh://a,b@h",
        ] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad:?} was taken");
        }
        assert!(format!("ssh://{}", "h".repeat(254)).parse::<ServerAddress>().is_err());
        assert!(format!("ssh://{}@h", "u".repeat(65)).parse::<ServerAddress>().is_err());
        let shown = "ssh://a\u{1b}[2J@h".parse::<ServerAddress>().unwrap_err().to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_taken_is_written_back_as_it_was(text in "ssh://(\\PC{0,12}@)?\\PC{0,20}(:[0-9+-]{0,6})?") {
            if let Ok(address) = text.parse::<ServerAddress>() {
                prop_assert_eq!(address.to_string(), text);
                let safe = |part: &str| !part.starts_with('-') && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b));
                prop_assert!(safe(address.host()) && address.user().is_none_or(safe));
            }
        }
    }
}
