//! Names, parsed once: whoever holds one of these types holds a checked value.
//!
//! Every name a user can write becomes a container name, a path element, a DNS label or an argument somewhere. Peers that
//! passed such text on unchecked had it run as a command (`field/reliability.md` §2 A, B), so the constructors here are the only
//! way in, and each says what it wants when it refuses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a piece of text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: {want}")]
pub struct NameError {
    /// What it should have been: "service name", "domain", …
    pub kind: &'static str,
    /// The offending text, shortened and with control characters made visible.
    pub text: String,
    /// The rule, in words.
    pub want: &'static str,
}

impl NameError {
    /// Refuses a text, whoever checks it.
    pub fn new(kind: &'static str, text: &str, want: &'static str) -> Self {
        let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
        if text.chars().count() > 60 {
            shown.push('…');
        }
        Self { kind, text: shown, want }
    }
}

/// Makes a string newtype whose only constructor is a check.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $want:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The checked text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(NameError::new($kind, text, $want)) }
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A non-empty text of at most `max` bytes whose first byte is one of `first` and whose others are one of `rest`.
fn of(text: &str, max: usize, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty() && bytes.len() <= max && first(bytes[0]) && bytes[1..].iter().all(|b| rest(*b))
}

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

name!(
    /// An app: one Compose project on one server. The Compose rule for project names.
    AppName, "app name", "lower-case letters, digits, `-` and `_`, starting with a letter or digit, at most 40",
    |t| of(t, 40, lower_or_digit, |b| lower_or_digit(b) || b == b'-' || b == b'_')
);
name!(
    /// An entry of `services:`. The Compose rule, bounded so that `<app>-<service>-<release>-<n>` fits a container name.
    ServiceName, "service name", "letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 60",
    |t| of(t, 60, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);
name!(
    /// An entry of `volumes:`.
    VolumeName, "volume name", "letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 100",
    |t| of(t, 100, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);
name!(
    /// An entry of `networks:`.
    NetworkName, "network name", "letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 100",
    |t| of(t, 100, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);
name!(
    /// The name of an environment variable: what POSIX shells accept, and `.` and `-`, which programs such as Elasticsearch read.
    EnvKey, "variable name", "letters, digits, `_`, `.` and `-`, starting with a letter or `_`, at most 200",
    |t| of(t, 200, |b| b.is_ascii_alphabetic() || b == b'_', |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
);
name!(
    /// A network interface of this machine: what the kernel takes for one, and `/sys/class/net` for a file.
    InterfaceName, "interface name", "1 to 15 bytes without `/`, `:` and white space, neither `.` nor `..`",
    |t| of(t, 15, |b| b.is_ascii_graphic(), |b| b.is_ascii_graphic()) && !t.contains(['/', ':']) && t != "." && t != ".."
);
name!(
    /// A secret of one app: a variable of its contract, or an entry of `secrets:`.
    SecretName, "secret name", "letters, digits, `_`, `.` and `-`, starting with a letter, digit or `_`, at most 100",
    |t| of(t, 100, |b| b.is_ascii_alphanumeric() || b == b'_', |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
);
name!(
    /// A named variant of an app. On a server the app is `<app>-<environment>`, so it keeps to what an app's name may hold.
    EnvironmentName, "environment name", "lower-case letters, digits and `-`, starting with a letter, at most 20",
    |t| of(t, 20, |b| b.is_ascii_lowercase(), |b| lower_or_digit(b) || b == b'-')
);
name!(
    /// A DNS name in lower case without trailing dot (RFC 1035 §2.3.1, RFC 1123 §2.1); punycode for international names.
    Domain, "domain", "labels of lower-case letters, digits and `-` joined by dots, at most 253",
    |t| t.len() <= 253 && !t.is_empty() && t.split('.').all(|l| {
        of(l, 63, lower_or_digit, |b| lower_or_digit(b) || b == b'-') && !l.ends_with('-')
    }) && !t.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()))
);
name!(
    /// What a certificate is for: a domain, or `*.` and a domain for every name one label below it (RFC 9525 §6.3).
    CertificateName, "certificate name", "a domain, or `*.` and a domain",
    |t| t.strip_prefix("*.").unwrap_or(t).parse::<Domain>().is_ok() && t.len() <= 253
);

impl CertificateName {
    /// It begins with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The domain without `*.`.
    pub fn suffix(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }

    /// A certificate for this name is good for `host`.
    pub fn covers(&self, host: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(suffix) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
            None => self.0 == host,
        }
    }
}

impl From<&Domain> for CertificateName {
    fn from(domain: &Domain) -> Self {
        Self(domain.0.clone())
    }
}

name!(
    /// A route's path prefix: starts with `/`, no query, no dot segments, no percent-encoding, nothing to be decoded twice.
    RoutePath, "route path", "a path that starts with `/` and has no `?`, `#`, `%`, `//`, `.` or `..` segments, at most 400",
    |t| t.len() <= 400 && t.starts_with('/') && !t.contains("//")
        && t.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'%' | b'\\' | b'"' | b'<' | b'>'))
        && !t.split('/').any(|s| s == "." || s == "..")
);
name!(
    /// The paths a route is for: a prefix, or after `=` this one path and nothing below it.
    PathMatch, "route path",
    "a path that starts with `/`, or with `=/` for that path alone, and has no `?`, `#`, `%`, `//`, `.` or `..` segments, at most 400",
    |t| t.strip_prefix('=').unwrap_or(t).parse::<RoutePath>().is_ok()
);

impl PathMatch {
    /// Nothing below it is meant.
    pub fn is_exact(&self) -> bool {
        self.0.starts_with('=')
    }

    /// The path without `=`; a prefix has no `/` at its end.
    pub fn path(&self) -> &str {
        self.0.strip_prefix('=').unwrap_or_else(|| self.0.trim_end_matches('/'))
    }
}

name!(
    /// An image reference as the OCI distribution specification writes it: `[host[:port]/]path[:tag][@digest]`.
    ImageRef, "image reference", "`[registry/]name[:tag][@digest]` in lower case",
    image_reference
);
name!(
    /// Where images are kept, as it stands in their references: `ghcr.io`, `localhost:5000`, and `docker.io` for images without.
    RegistryHost, "registry", "a host with a dot or a port, such as `ghcr.io` or `localhost:5000`; `docker.io` is Docker Hub",
    |t| registry_host(t)
);

impl ImageRef {
    /// Where it is kept.
    pub fn registry(&self) -> RegistryHost {
        let host = self.0.split_once('/').map(|(host, _)| host.to_ascii_lowercase()).filter(|host| registry_host(host));
        // What is no host is a folder of Docker Hub (the reference grammar of Docker's distribution).
        RegistryHost(host.unwrap_or_else(|| "docker.io".to_owned()))
    }

    /// The same image by another tag; a digest, which says more than a tag, goes.
    pub fn with_tag(&self, tag: &ImageTag) -> ImageRef {
        let name = self.0.split('@').next().unwrap_or(&self.0);
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let end = name.get(last..).and_then(|n| n.find(':')).map_or(name.len(), |colon| last + colon);
        ImageRef(format!("{}:{tag}", name.get(..end).unwrap_or(name)))
    }

    /// With the tag that is meant when none is written.
    pub fn complete(&self) -> ImageRef {
        let last = self.0.rsplit('/').next().unwrap_or(&self.0);
        if last.contains([':', '@']) { self.clone() } else { ImageRef(format!("{}:latest", self.0)) }
    }
}
name!(
    /// The tag of an image.
    ImageTag, "image tag", "letters, digits, `_`, `.` and `-`, starting with a letter, digit or `_`, at most 128",
    image_tag
);
name!(
    /// What the engine calls an image's content: `sha256:` and 64 hexadecimal digits, in lower case, as the OCI has it: one digest is one name.
    ImageId, "image id", "`sha256:` and 64 hexadecimal digits in lower case",
    |t| t.strip_prefix("sha256:").is_some_and(|h| h.len() == 64 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
);
name!(
    /// A replica or job of one app, made by the planner: `<service>-<release>-<n>` or `<service>-<release>-<job>`.
    ReplicaId, "replica id", "letters, digits, `.`, `_` and `-`, at most 90",
    |t| of(t, 90, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);
name!(
    /// One run of a plan on one server; decided by the client so that asking twice is the same as asking once.
    RolloutId, "rollout id", "lower-case letters, digits and `-`, at most 40",
    |t| of(t, 40, lower_or_digit, |b| lower_or_digit(b) || b == b'-')
);

/// The OCI distribution specification's grammar for a reference, checked by hand.
fn image_reference(text: &str) -> bool {
    if text.is_empty() || text.len() > 400 {
        return false;
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|d| d.parse::<ImageId>().is_err()) {
        return false;
    }
    let name_start = rest.rfind('/').map_or(0, |i| i + 1);
    let (path, tag) = match rest[name_start..].split_once(':') {
        Some((last, tag)) => (&rest[..name_start + last.len()], Some(tag)),
        None => (rest, None),
    };
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if tag.is_some_and(|t| !image_tag(t)) {
        return false;
    }
    path.split('/').enumerate().all(|(i, part)| {
        if i == 0 && path.contains('/') && is_host(part) {
            return host_and_port(part);
        }
        of(part, 200, lower_or_digit, |b| lower_or_digit(b) || matches!(b, b'.' | b'_' | b'-')) && part.bytes().last().is_some_and(word)
    })
}

fn image_tag(text: &str) -> bool {
    of(text, 128, |b| b.is_ascii_alphanumeric() || b == b'_', |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The first part of a reference is a host and no folder.
fn is_host(part: &str) -> bool {
    part.contains('.') || part.contains(':') || part == "localhost"
}

fn host_and_port(part: &str) -> bool {
    let (name, port) = part.split_once(':').unwrap_or((part, "1"));
    let named = name.parse::<std::net::IpAddr>().is_ok() || name.to_ascii_lowercase().parse::<Domain>().is_ok();
    named && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn registry_host(text: &str) -> bool {
    text.len() <= 260 && is_host(text) && host_and_port(text) && !text.bytes().any(|b| b.is_ascii_uppercase())
}

/// The number of a release of one app, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseNumber(pub u64);

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_become_options_commands_or_paths_are_refused() {
        for hostile in ["", "-v", "$(id)", "a;b", "a b", "../x", "a/b", "a\nb", "a\0b", "é", "\u{202e}x", ".hidden"] {
            assert!(hostile.parse::<AppName>().is_err(), "{hostile:?}");
            assert!(hostile.parse::<ServiceName>().is_err(), "{hostile:?}");
            assert!(hostile.parse::<VolumeName>().is_err(), "{hostile:?}");
            assert!(hostile.parse::<ReplicaId>().is_err(), "{hostile:?}");
            assert!(hostile.parse::<Domain>().is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn image_references_follow_the_oci_grammar() {
        for good in [
            "postgres",
            "postgres:15",
            "ghcr.io/acme/tutor-backend:main",
            "localhost:5000/a/b:1.0-x",
            "127.0.0.1:5000/a",
            "a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert!(good.parse::<ImageRef>().is_ok(), "{good}");
        }
        for bad in ["", "Postgres", "a:", ":15", "a b", "x;y", "a@sha256:12", "a/../b", "-a", "a:$(id)", "a//b", "1.1.1.1:\0/a", "a.b:+1/a"]
        {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert!(digest.parse::<ImageId>().is_ok() && format!("a/b@{digest}").parse::<ImageRef>().is_ok());
        let capitals = digest.replace('a', "A");
        assert!(capitals.parse::<ImageId>().is_err() && format!("a/b@{capitals}").parse::<ImageRef>().is_err());
    }

    #[test]
    fn an_image_says_where_it_is_kept_and_takes_another_tag() {
        let digest = format!("ghcr.io/a/b:1@sha256:{}", "0".repeat(64));
        for (image, registry, tagged) in [
            ("postgres", "docker.io", "postgres:next"),
            ("acme/app:1", "docker.io", "acme/app:next"),
            ("localhost:5000/app", "localhost:5000", "localhost:5000/app:next"),
            (digest.as_str(), "ghcr.io", "ghcr.io/a/b:next"),
        ] {
            let image: ImageRef = image.parse().unwrap();
            assert_eq!(image.registry().as_str(), registry);
            assert_eq!(image.with_tag(&"next".parse().unwrap()).as_str(), tagged);
        }
        for hostile in ["", "-x.y", "https://ghcr.io", "ghcr.io/a", "a b.c", "$(id).io", "ghcr", "ghcr.io:99999", "x.y\n"] {
            assert!(hostile.parse::<RegistryHost>().is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn route_paths_need_no_second_decoding() {
        for good in ["/", "/api", "/a/b.c", "/api/"] {
            assert!(good.parse::<RoutePath>().is_ok(), "{good}");
        }
        for bad in ["", "api", "/a/../b", "/%2e", "/a?b", "//a", "/a b"] {
            assert!(bad.parse::<RoutePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let name: CertificateName = "*.example.org".parse().unwrap();
        assert!(
            name.covers("a.example.org") && !name.covers("example.org") && !name.covers("a.b.example.org") && !name.covers(".example.org")
        );
        assert!("*".parse::<CertificateName>().is_err() && "*.*.org".parse::<CertificateName>().is_err());
    }

    #[test]
    fn an_address_is_no_domain() {
        assert!("10.0.0.1".parse::<Domain>().is_err());
        assert!("tutor.example.com".parse::<Domain>().is_ok());
        assert!("a-.example.com".parse::<Domain>().is_err());
    }
}
