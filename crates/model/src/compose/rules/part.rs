//! Parts of a service as rules see them: image, variables, ports, mounts, dependencies, routes, words of a command; and how they are read from nodes.

use super::super::node::{Entry, Node, Scalar, Value};
use super::super::report::{Place, Report};
use super::super::{duration, path, size, words};
use super::secret::{self, Secret};
use super::url::Url;

/// An image reference, taken apart.
pub(super) struct Image<'a> {
    pub(super) place: Place,
    /// The last element of the name: `postgres` of `docker.io/library/postgres:15`.
    pub(super) base: &'a str,
    /// Without tag and digest.
    pub(super) name: &'a str,
    pub(super) tag: &'a str,
    pub(super) digest: bool,
    /// A variable was put in.
    pub(super) substituted: bool,
}

/// A variable of a service's environment.
#[derive(Clone, Copy)]
pub(super) struct Var<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    /// Of the value; of the name when the value is empty.
    pub(super) place: Place,
    /// It stands in the Compose file as it is.
    pub(super) written: bool,
    /// The value as a URL.
    pub(super) url: Option<Url<'a>>,
    /// The secret in it.
    pub(super) secret: Option<Secret<'a>>,
}

/// A published port.
pub(super) struct Port<'a> {
    pub(super) place: Place,
    pub(super) target: u16,
    /// Empty when the engine chooses.
    pub(super) published: &'a str,
    pub(super) ip: &'a str,
    pub(super) udp: bool,
}

/// A mount.
pub(super) struct Mount<'a> {
    pub(super) place: Place,
    pub(super) kind: Kind,
    /// Volume name or absolute host path; empty when anonymous.
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) read_only: bool,
    pub(super) node: &'a Node,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Volume,
    Anonymous,
    Bind,
    Tmpfs,
}

/// A dependency.
pub(super) struct Depends<'a> {
    pub(super) place: Place,
    pub(super) name: &'a str,
    pub(super) condition: &'a str,
}

/// A route of `x-landfall`.
pub(super) struct Route<'a> {
    pub(super) place: Place,
    pub(super) path: &'a str,
    pub(super) node: &'a Node,
}

/// A word of a command.
#[derive(Debug, Clone)]
pub(super) struct Word<'a> {
    pub(super) text: std::borrow::Cow<'a, str>,
    pub(super) place: Place,
}

impl<'a> Image<'a> {
    pub(super) fn parse(scalar: &'a Scalar, place: Place) -> Self {
        let (name, tag, digest) = split_reference(&scalar.text);
        Self { place, base: base_name(name), name, tag, digest, substituted: scalar.substituted }
    }
}

impl Port<'_> {
    /// Reachable from the server itself only.
    pub(super) fn is_loopback(&self) -> bool {
        super::url::is_loopback(self.ip)
    }

    /// On every address of the server.
    pub(super) fn is_everywhere(&self) -> bool {
        matches!(self.ip, "" | "0.0.0.0" | "::" | "[::]" | "*")
    }

    /// True when it is published at this port of the host.
    pub(super) fn at_host(&self, port: u16) -> bool {
        let mut ends = self.published.splitn(2, '-').map(|p| p.parse::<u16>().ok());
        let first = ends.next().flatten();
        let last = ends.next().flatten().or(first);
        matches!((first, last), (Some(a), Some(b)) if (a..=b).contains(&port))
    }
}

impl<'a> Port<'a> {
    pub(super) fn read(node: &'a Node) -> Option<Self> {
        Some(Self {
            place: node.place,
            target: text(node, "target").parse().ok()?,
            published: text(node, "published"),
            ip: text(node, "host_ip"),
            udp: text(node, "protocol") == "udp",
        })
    }
}

impl<'a> Mount<'a> {
    pub(super) fn read(node: &'a Node) -> Option<Self> {
        let source = text(node, "source");
        let kind = match text(node, "type") {
            "volume" if source.is_empty() => Kind::Anonymous,
            "volume" => Kind::Volume,
            "bind" => Kind::Bind,
            "tmpfs" => Kind::Tmpfs,
            _ => return None,
        };
        Some(Self { place: node.place, kind, source, target: text(node, "target"), read_only: text(node, "read_only") == "true", node })
    }

    pub(super) fn of_tmpfs(node: &'a Node) -> Self {
        let whole = node.scalar().map_or("", |s| s.text.as_str());
        Self { place: node.place, kind: Kind::Tmpfs, source: "", target: whole.split(':').next().unwrap_or(""), read_only: false, node }
    }

    /// True when the directory is inside what is mounted, or what is mounted is inside of it.
    pub(super) fn holds(&self, directory: &str) -> bool {
        let target = self.target.trim_end_matches('/');
        path::within(target, directory) || path::within(directory, target)
    }
}

impl<'a> Depends<'a> {
    pub(super) fn read(entry: &'a Entry) -> Self {
        let place = entry.value.get("condition").map_or(entry.key_place, |n| n.place);
        Self { place, name: &entry.key, condition: text(&entry.value, "condition") }
    }
}

impl<'a> Route<'a> {
    pub(super) fn read(node: &'a Node) -> Option<Self> {
        let path = node.scalar().map(|s| s.text.as_str()).or_else(|| Some(text(node, "path")).filter(|p| !p.is_empty()))?;
        Some(Self { place: node.get("path").map_or(node.place, |n| n.place), path, node })
    }

    /// The service answers, not the proxy by itself.
    pub(super) fn is_forwarded(&self) -> bool {
        ["redirect", "respond", "static"].iter().all(|key| self.node.get(key).is_none())
    }
}

/// The text of a key's scalar, or nothing.
pub(super) fn text<'a>(node: &'a Node, key: &str) -> &'a str {
    node.get(key).and_then(Node::scalar).map_or("", |s| s.text.as_str())
}

/// Bytes a node stands for.
pub(super) fn bytes(node: &Node) -> Option<(u64, Place)> {
    Some((size::parse(&node.scalar()?.text)?, node.place))
}

/// Milliseconds a node stands for.
pub(super) fn millis(node: Option<&Node>) -> Option<u64> {
    duration::parse(&node?.scalar()?.text)
}

/// The items of a list, or the one thing in its place.
pub(super) fn one_or_more(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    let (one, many) = match node {
        Some(node) if matches!(node.value, Value::List(_)) => (None, node.items()),
        Some(node) if !node.is_null() => (Some(node), &[][..]),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(many)
}

/// Name, tag and whether there is a digest.
pub(super) fn split_reference(reference: &str) -> (&str, &str, bool) {
    let (rest, digest) = reference.split_once('@').map_or((reference, false), |(r, _)| (r, true));
    let slash = rest.rfind('/').map_or(0, |i| i + 1);
    match rest[slash..].find(':') {
        Some(colon) => (&rest[..slash + colon], &rest[slash + colon + 1..], digest),
        None => (rest, "", digest),
    }
}

/// The last element of an image's name.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A command as words, whichever way it is written.
pub(super) fn command(node: Option<&Node>) -> Vec<Word<'_>> {
    let Some(node) = node else { return Vec::new() };
    match &node.value {
        Value::Scalar(s) => words::split(&s.text)
            .unwrap_or_default()
            .into_iter()
            .map(|w| Word { text: std::borrow::Cow::Owned(w), place: node.place })
            .collect(),
        _ => node
            .items()
            .iter()
            .filter_map(|n| Some(Word { text: std::borrow::Cow::Borrowed(n.scalar()?.text.as_str()), place: n.place }))
            .collect(),
    }
}

/// The variables of an environment.
pub(super) fn variables<'a>(node: Option<&'a Node>, report: &Report) -> Vec<Var<'a>> {
    let Some(node) = node else { return Vec::new() };
    let of = |name: &'a str, scalar: &'a Scalar, text: &'a str, place: Place, key_place: Place| {
        let raw = report.raw(place).trim();
        let bare = raw.trim_matches(['"', '\'']);
        let pair = format!("={text}");
        let there = raw == text || bare == text || raw.ends_with(&pair) || bare.ends_with(&pair);
        let written = !scalar.substituted && report.is_shown(place.file) && there;
        let url = Url::parse(text);
        Var { name, text, place: if text.is_empty() { key_place } else { place }, written, url, secret: secret::of(name, text, url) }
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .filter_map(|e| e.value.scalar().filter(|s| !s.spoiled).map(|s| of(&e.key, s, &s.text, e.value.place, e.key_place)))
            .collect(),
        _ => node
            .items()
            .iter()
            .filter_map(|n| n.scalar().and_then(|s| s.text.split_once('=').map(|(k, v)| of(k, s, v, n.place, n.place))))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        assert_eq!(split_reference("postgres"), ("postgres", "", false));
        assert_eq!(split_reference("host:5000/a/b:1.2"), ("host:5000/a/b", "1.2", false));
        assert_eq!(split_reference("a/b:1@sha256:00"), ("a/b", "1", true));
        assert_eq!(base_name("host:5000/a/b"), "b");
    }
}
