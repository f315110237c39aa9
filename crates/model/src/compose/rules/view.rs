//! What the rules see: the services that take part, each with its image, variables, ports, mounts and routes taken from the resolved tree, and
//! what is known from outside.
//!
//! It reads leniently. Whatever has the wrong shape was complained about before, and is not there for a rule.

use super::super::node::{Entry, Node, Scalar, Value};
use super::super::report::{Place, Report};
use super::super::{Files, Input, duration, path, size, words};
use super::Facts;
use super::dockerfile::{Dockerfile, Dockerfiles};
use super::engine::{self, Engine};
use std::collections::{BTreeMap, BTreeSet};

/// A resolved project, as rules see it.
pub(super) struct View<'a> {
    pub(super) root: &'a Node,
    /// `x-landfall` at the top.
    pub(super) landfall: Option<&'a Node>,
    pub(super) services: Vec<Service<'a>>,
    pub(super) process: bool,
    pub(super) project_dir: &'a str,
    pub(super) facts: &'a Facts,
    pub(super) files: &'a dyn Files,
    pub(super) report: &'a Report,
    pub(super) missing_dockerfiles: &'a [(String, Place, String)],
    /// Files named by `env_file`, absolute.
    pub(super) env_files: &'a [(String, Place)],
    dockerfiles: &'a Dockerfiles,
    by_name: BTreeMap<&'a str, usize>,
}

/// A service.
pub(super) struct Service<'a> {
    pub(super) name: &'a str,
    /// Of its name.
    pub(super) place: Place,
    pub(super) node: &'a Node,
    pub(super) image: Option<Image<'a>>,
    pub(super) dockerfile: Option<&'a Dockerfile>,
    /// The database or queue it is.
    pub(super) engine: Option<&'static Engine>,
    pub(super) vars: Vec<Var<'a>>,
    pub(super) ports: Vec<Port<'a>>,
    pub(super) mounts: Vec<Mount<'a>>,
    pub(super) depends: Vec<Depends<'a>>,
    pub(super) routes: Vec<Route<'a>>,
    /// `entrypoint` and `command` as words.
    pub(super) command: Vec<Word<'a>>,
    /// `x-landfall` of the service.
    pub(super) landfall: Option<&'a Node>,
    pub(super) networks: BTreeSet<&'a str>,
    /// It runs to its end.
    pub(super) job: bool,
}

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

impl<'a> View<'a> {
    pub(super) fn new(
        input: &Input<'a>,
        (facts, env_files): (&'a Facts, &'a [(String, Place)]),
        root: &'a Node,
        (dockerfiles, report): (&'a Dockerfiles, &'a Report),
    ) -> Self {
        let landfall = root.get("x-landfall");
        let entries = root.get("services").map(Node::entries).unwrap_or_default();
        let awaited: BTreeSet<&str> = entries
            .iter()
            .flat_map(|e| e.value.get("depends_on").map(Node::entries).unwrap_or_default())
            .filter(|d| text(&d.value, "condition") == "service_completed_successfully")
            .map(|d| d.key.as_str())
            .collect();
        let services: Vec<Service<'a>> = entries.iter().map(|e| Service::read(e, dockerfiles, report, &awaited)).collect();
        Self {
            root,
            landfall,
            by_name: services.iter().enumerate().map(|(i, s)| (s.name, i)).collect(),
            services,
            process: landfall.is_some_and(|n| text(n, "runtime") == "process"),
            project_dir: input.project_dir,
            facts,
            files: input.reader,
            report,
            missing_dockerfiles: &dockerfiles.missing,
            env_files,
            dockerfiles,
        }
    }

    pub(super) fn service(&self, name: &str) -> Option<&Service<'a>> {
        self.by_name.get(name).and_then(|i| self.services.get(*i))
    }

    /// True when requests from outside reach the app through Landfall's proxy.
    pub(super) fn is_routed(&self) -> bool {
        self.services.iter().any(|s| !s.routes.is_empty())
    }

    /// True when the contract says this of the variable, and so checks it.
    pub(super) fn in_contract(&self, name: &str, key: &str) -> bool {
        let rule = self.landfall.and_then(|l| l.get("env")).and_then(|e| e.get(name));
        rule.and_then(|r| r.get(key)).and_then(Node::scalar).is_some_and(|s| s.text != "false")
    }

    /// Compose files of the project, in the report.
    pub(super) fn compose_files(&self) -> impl Iterator<Item = u16> {
        let dockerfiles = self.dockerfiles.ids();
        self.report.shown_files().into_iter().filter(move |f| !dockerfiles.contains(f))
    }

    /// A host path as the file would write it.
    pub(super) fn relative<'p>(&self, host_path: &'p str) -> &'p str {
        host_path.strip_prefix(self.project_dir).filter(|r| r.starts_with('/')).map_or(host_path, |r| r.trim_start_matches('/'))
    }
}

impl<'a> Service<'a> {
    fn read(entry: &'a Entry, dockerfiles: &'a Dockerfiles, report: &Report, awaited: &BTreeSet<&str>) -> Self {
        let node = &entry.value;
        let list = |key: &str| node.get(key).map(Node::items).unwrap_or_default();
        let landfall = node.get("x-landfall");
        let image = node.get("image").and_then(|n| Some((n.scalar()?, n.place))).map(|(s, place)| Image::parse(s, place));
        let dockerfile = dockerfiles.of(&entry.key);
        let mut mounts: Vec<Mount<'a>> = list("volumes").iter().filter_map(Mount::read).collect();
        mounts.extend(one_or_more(node.get("tmpfs")).map(Mount::of_tmpfs));
        let built = dockerfile.map(|d| base_name(split_reference(&d.base).0));
        let named = |base: &str| engine::of_image(base);
        let engine = match &image {
            Some(image) if node.get("build").is_none() => named(image.base),
            _ => built.and_then(named),
        };
        let engine = engine.or_else(|| mounts.iter().find_map(|m| engine::of_mount(m.target)));
        let restart = text(node, "restart");
        Self {
            name: &entry.key,
            place: entry.key_place,
            node,
            image,
            dockerfile,
            engine,
            vars: variables(node.get("environment"), report),
            ports: list("ports").iter().filter_map(Port::read).collect(),
            mounts,
            depends: node.get("depends_on").map(|n| n.entries().iter().map(Depends::read).collect()).unwrap_or_default(),
            routes: one_or_more(landfall.and_then(|l| l.get("routes"))).filter_map(Route::read).collect(),
            command: ["entrypoint", "command"].iter().flat_map(|k| command(node.get(k))).collect(),
            landfall,
            networks: node.get("networks").map(|n| n.entries().iter().map(|e| e.key.as_str()).collect()).unwrap_or_default(),
            job: restart == "no" || awaited.contains(entry.key.as_str()),
        }
    }

    pub(super) fn var(&self, name: &str) -> Option<Var<'a>> {
        self.vars.iter().find(|v| v.name == name).copied()
    }

    /// A variable that is there and not empty.
    pub(super) fn set(&self, name: &str) -> bool {
        self.var(name).is_some_and(|v| !v.text.is_empty())
    }

    pub(super) fn is(&self, id: engine::Id) -> bool {
        self.engine.is_some_and(|e| e.id == id)
    }

    /// The database it is, if losing its data is a loss.
    pub(super) fn database(&self) -> Option<&'static Engine> {
        self.engine.filter(|e| e.durable)
    }

    /// The name of the image it runs or is built from, and its tag; empty when not known.
    pub(super) fn base_image(&self) -> (&'a str, &'a str) {
        match (&self.image, self.dockerfile) {
            (_, Some(file)) => {
                let (name, tag, _) = split_reference(&file.base);
                (base_name(name), tag)
            }
            (Some(image), None) if self.node.get("build").is_none() => (image.base, image.tag),
            _ => ("", ""),
        }
    }

    /// The node at a path of keys.
    pub(super) fn at(&self, keys: &[&str]) -> Option<&'a Node> {
        keys.iter().try_fold(self.node, |node, key| node.get(key))
    }

    /// The key at a path, with its place.
    pub(super) fn entry(&self, keys: &[&str]) -> Option<&'a Entry> {
        let (last, head) = keys.split_last()?;
        head.iter().try_fold(self.node, |node, key| node.get(key))?.entry(last)
    }

    /// Its memory limit in bytes.
    pub(super) fn memory(&self) -> Option<(u64, Place)> {
        self.at(&["deploy", "resources", "limits", "memory"]).or(self.node.get("mem_limit")).and_then(bytes)
    }

    /// The words of its command as one text, for phrases.
    pub(super) fn command_text(&self) -> String {
        let words: Vec<&str> = self.command.iter().map(|w| w.text.as_ref()).collect();
        words.join(" ")
    }

    /// Where its command is, or its name.
    pub(super) fn command_place(&self) -> Place {
        self.entry(&["command"])
            .or(self.entry(&["entrypoint"]))
            .map_or(self.place, |e| if e.value.is_null() { e.key_place } else { e.value.place })
    }

    /// What its health check runs, as one text; from the file, else from the Dockerfile.
    pub(super) fn health_test(&self) -> Option<(String, Place)> {
        if let Some(test) = self.at(&["healthcheck", "test"]) {
            let words: Vec<&str> = match &test.value {
                Value::Scalar(s) => vec![s.text.as_str()],
                _ => test.items().iter().filter_map(|n| Some(n.scalar()?.text.as_str())).collect(),
            };
            return Some((words.join(" "), test.place)).filter(|(t, _)| t != "NONE" && !t.is_empty());
        }
        let line = self.dockerfile?.last("HEALTHCHECK")?;
        Some((line.text.clone(), line.place)).filter(|(t, _)| !t.eq_ignore_ascii_case("NONE"))
    }

    /// True when requests from outside come to it: by a route, or by a port of the host.
    pub(super) fn is_public(&self) -> bool {
        !self.routes.is_empty() || self.ports.iter().any(|p| !p.is_loopback())
    }
}

impl<'a> Image<'a> {
    fn parse(scalar: &'a Scalar, place: Place) -> Self {
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
    fn read(node: &'a Node) -> Option<Self> {
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
    fn read(node: &'a Node) -> Option<Self> {
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

    fn of_tmpfs(node: &'a Node) -> Self {
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
    fn read(entry: &'a Entry) -> Self {
        let place = entry.value.get("condition").map_or(entry.key_place, |n| n.place);
        Self { place, name: &entry.key, condition: text(&entry.value, "condition") }
    }
}

impl<'a> Route<'a> {
    fn read(node: &'a Node) -> Option<Self> {
        let path = node.scalar().map(|s| s.text.as_str()).or_else(|| Some(text(node, "path")).filter(|p| !p.is_empty()))?;
        Some(Self { place: node.get("path").map_or(node.place, |n| n.place), path, node })
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

fn command(node: Option<&Node>) -> Vec<Word<'_>> {
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

fn variables<'a>(node: Option<&'a Node>, report: &Report) -> Vec<Var<'a>> {
    let Some(node) = node else { return Vec::new() };
    let of = |name: &'a str, scalar: &'a Scalar, text: &'a str, place: Place, key_place: Place| {
        let raw = report.raw(place).trim();
        let bare = raw.trim_matches(['"', '\'']);
        let pair = format!("={text}");
        let there = raw == text || bare == text || raw.ends_with(&pair) || bare.ends_with(&pair);
        let written = !scalar.substituted && report.is_shown(place.file) && there;
        Var { name, text, place: if text.is_empty() { key_place } else { place }, written }
    };
    match &node.value {
        Value::Map(entries) => {
            entries.iter().filter_map(|e| e.value.scalar().map(|s| of(&e.key, s, &s.text, e.value.place, e.key_place))).collect()
        }
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
