//! What the rules see: the services that take part, each with its image, variables, ports, mounts and routes taken from the resolved tree, and
//! what is known from outside.
//!
//! It reads leniently. Whatever has the wrong shape was complained about before, and is not there for a rule.

use super::super::node::{Entry, Node, Value};
use super::super::report::{Place, Report};
use super::super::{Files, Input};
use super::Facts;
use super::dockerfile::{Dockerfile, Dockerfiles};
use super::engine::{self, Engine};
pub(super) use super::part::{
    Depends, Image, Kind, Mount, Port, Route, Var, Word, base_name, bytes, millis, one_or_more, split_reference, text,
};
use super::part::{command, variables};
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
    /// Services another one depends on.
    pub(super) awaited: BTreeSet<&'a str>,
    /// Volumes of services that are backed up.
    pub(super) backed_up: BTreeSet<&'a str>,
    /// Names that are answered inside the app: services, their aliases, host and container names.
    pub(super) names: BTreeSet<&'a str>,
    /// The contract, by variable.
    contract: BTreeMap<&'a str, &'a Node>,
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
    by_variable: BTreeMap<&'a str, usize>,
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

impl<'a> View<'a> {
    pub(super) fn new(
        input: &Input<'a>,
        (facts, env_files): (&'a Facts, &'a [(String, Place)]),
        root: &'a Node,
        (dockerfiles, report): (&'a Dockerfiles, &'a Report),
    ) -> Self {
        let landfall = root.get("x-landfall");
        let entries = root.get("services").map(Node::entries).unwrap_or_default();
        let finished: BTreeSet<&str> = entries
            .iter()
            .flat_map(|e| e.value.get("depends_on").map(Node::entries).unwrap_or_default())
            .filter(|d| text(&d.value, "condition") == "service_completed_successfully")
            .map(|d| d.key.as_str())
            .collect();
        let services: Vec<Service<'a>> = entries.iter().map(|e| Service::read(e, dockerfiles, report, &finished)).collect();
        Self {
            root,
            landfall,
            by_name: services.iter().enumerate().map(|(i, s)| (s.name, i)).collect(),
            process: landfall.is_some_and(|n| text(n, "runtime") == "process"),
            project_dir: input.project_dir,
            facts,
            files: input.reader,
            report,
            missing_dockerfiles: &dockerfiles.missing,
            env_files,
            dockerfiles,
            awaited: entries.iter().flat_map(|e| keys(e.value.get("depends_on"))).collect(),
            backed_up: backed_up(&services),
            names: names(entries),
            services,
            contract: landfall
                .and_then(|l| l.get("env"))
                .map(Node::entries)
                .unwrap_or_default()
                .iter()
                .map(|e| (e.key.as_str(), &e.value))
                .collect(),
        }
    }

    pub(super) fn service(&self, name: &str) -> Option<&Service<'a>> {
        self.by_name.get(name).and_then(|i| self.services.get(*i))
    }

    /// True when there is a contract and it does not speak of the variable.
    pub(super) fn outside_contract(&self, name: &str) -> bool {
        !self.contract.is_empty() && !self.contract.contains_key(name)
    }

    /// True when requests from outside reach the app through Landfall's proxy.
    pub(super) fn is_routed(&self) -> bool {
        self.services.iter().any(|s| !s.routes.is_empty())
    }

    /// True when the contract says this of the variable, and so checks it.
    pub(super) fn in_contract(&self, name: &str, key: &str) -> bool {
        self.contract.get(name).and_then(|r| r.get(key)).and_then(Node::scalar).is_some_and(|s| s.text != "false")
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
        let image =
            node.get("image").and_then(|n| Some((n.scalar().filter(|s| !s.spoiled)?, n.place))).map(|(s, place)| Image::parse(s, place));
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
        let command: Vec<Word<'a>> = ["entrypoint", "command"].iter().flat_map(|k| command(node.get(k))).collect();
        let words: Vec<&str> = command.iter().map(|w| w.text.as_ref()).collect();
        let engine = engine.filter(|_| !engine::is_client(&words));
        let restart = text(node, "restart");
        let vars = variables(node.get("environment"), report);
        Self {
            name: &entry.key,
            place: entry.key_place,
            node,
            image,
            dockerfile,
            engine,
            by_variable: vars.iter().enumerate().map(|(i, v)| (v.name, i)).collect(),
            vars,
            ports: list("ports").iter().filter_map(Port::read).collect(),
            mounts,
            depends: node.get("depends_on").map(|n| n.entries().iter().map(Depends::read).collect()).unwrap_or_default(),
            routes: one_or_more(landfall.and_then(|l| l.get("routes"))).filter_map(Route::read).collect(),
            command,
            landfall,
            networks: node.get("networks").map(|n| n.entries().iter().map(|e| e.key.as_str()).collect()).unwrap_or_default(),
            job: restart == "no" || awaited.contains(entry.key.as_str()),
        }
    }

    pub(super) fn var(&self, name: &str) -> Option<Var<'a>> {
        self.by_variable.get(name).and_then(|i| self.vars.get(*i)).copied()
    }

    /// The proxy answers all of its routes, so nothing of it is run.
    pub(super) fn is_files_only(&self) -> bool {
        let own = |route: &Route<'_>| ["static", "respond", "redirect"].iter().any(|key| route.node.get(key).is_some());
        !self.routes.is_empty() && self.routes.iter().all(own)
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

    /// It has a backup of its own.
    pub(super) fn has_backup(&self) -> bool {
        self.landfall.and_then(|l| l.get("backup")).is_some_and(|n| !n.is_null())
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
        self.routes.iter().any(Route::is_forwarded) || self.ports.iter().any(|p| !p.is_loopback())
    }
}

fn keys(node: Option<&Node>) -> impl Iterator<Item = &str> {
    node.map(Node::entries).unwrap_or_default().iter().map(|e| e.key.as_str())
}

fn backed_up<'a>(services: &[Service<'a>]) -> BTreeSet<&'a str> {
    services.iter().filter(|s| s.has_backup()).flat_map(|s| s.mounts.iter().map(|m| m.source)).filter(|s| !s.is_empty()).collect()
}

fn names(services: &[Entry]) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = services.iter().map(|e| e.key.as_str()).collect();
    names.extend(services.iter().flat_map(|e| ["hostname", "container_name"].map(|key| text(&e.value, key))).filter(|n| !n.is_empty()));
    for network in services.iter().flat_map(|e| e.value.get("networks").map(Node::entries).unwrap_or_default()) {
        let aliases = network.value.get("aliases").map(Node::items).unwrap_or_default();
        names.extend(aliases.iter().filter_map(|n| Some(n.scalar()?.text.as_str())));
    }
    names
}
