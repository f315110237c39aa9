//! What only the whole resolved file can contradict: references to things that are not there, keys that exclude each other, circles.
//!
//! These are Compose's own refusals; each service that is enabled is checked. Compose stops at the first, this goes on to the last.

mod cycle;

use super::node::{Entry, Kind, Node, Scalar, Value};
use super::reader::Field;
use super::report::{Place, Report};
use super::size;
use super::suggest::did_you_mean;
use super::typed::number::{int, single};
use super::validate::is_true;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the enabled services of a normalized tree, and sets `deploy.replicas` where `scale` says how many. `disabled` are the services of
/// profiles that were not chosen.
pub(crate) fn check(root: &mut Node, disabled: &[Entry], report: &mut Report) {
    let process = root.get("x-landfall").and_then(|l| text(l, "runtime")) == Some("process");
    let names =
        |kind: &str| -> BTreeSet<String> { root.get(kind).map(Node::entries).unwrap_or_default().iter().map(|e| e.key.clone()).collect() };
    let known = Known {
        networks: names("networks"),
        volumes: names("volumes"),
        secrets: names("secrets"),
        configs: names("configs"),
        models: names("models"),
        services: root.get("services").map(Node::entries).unwrap_or_default().iter().map(|e| (e.key.as_str(), &e.value)).collect(),
        disabled: disabled.iter().map(|e| (e.key.as_str(), &e.value)).collect(),
    };
    for entry in root.get("services").map(Node::entries).unwrap_or_default() {
        let service = Service { entry, node: &entry.value, known: &known };
        service.program(process, report);
        service.health(report);
        service.networks(report);
        service.models(report);
        service.dependencies(report);
        service.mounts(report);
        service.targets(report);
        service.amounts(report);
        service.watch(report);
    }
    container_names(root, report);
    for secret in root.get("secrets").map(Node::entries).unwrap_or_default() {
        let held = ["file", "environment"].iter().any(|key| text(&secret.value, key).is_some_and(|t| !t.is_empty()));
        if !held && !is_true(secret.value.get("external")) {
            report.error("missing-key", secret.key_place, format!("`secrets.{}` needs `file` or `environment`", secret.key));
        }
    }
    cycle::check(root, report);
    for service in root.get_mut("services").and_then(Node::entries_mut).into_iter().flatten() {
        if let Some(scale) = service.value.get("scale").filter(|s| !s.is_null()).cloned()
            && let Some(deploy) = service.value.get_mut("deploy").filter(|d| !d.is_null())
        {
            deploy.set("replicas", scale);
        }
    }
}

/// No two containers can have one name.
fn container_names(root: &Node, report: &mut Report) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for service in root.get("services").map(Node::entries).unwrap_or_default() {
        let Some((place, name)) = filled(&service.value, "container_name").zip(text(&service.value, "container_name")) else { continue };
        if let Some(other) = taken.insert(name, &service.key) {
            let message = format!("`{}` and `{other}` have one `container_name`", service.key);
            report.error("contradiction", place, message).hint("leave `container_name` out");
        }
    }
}

/// What can be referred to.
struct Known<'a> {
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    secrets: BTreeSet<String>,
    configs: BTreeSet<String>,
    models: BTreeSet<String>,
    services: BTreeMap<&'a str, &'a Node>,
    disabled: BTreeMap<&'a str, &'a Node>,
}

struct Service<'a> {
    entry: &'a Entry,
    node: &'a Node,
    known: &'a Known<'a>,
}

impl Service<'_> {
    fn name(&self) -> &str {
        &self.entry.key
    }

    fn program(&self, process: bool, report: &mut Report) {
        let Some(build) = self.node.get("build").filter(|b| !b.is_null()) else {
            // After another error the image may be missing only because its key was misspelt, which Landfall's own check can tell.
            let provided = self.node.get("provider").is_some();
            if !process && !provided && text(self.node, "image").is_none_or(str::is_empty) && !report.failed() {
                report.error("no-image", self.entry.key_place, format!("`{}` has no `image`", self.name())).hint("write `image: name:tag`");
            }
            return;
        };
        if let (Some(inline), Some(_)) = (filled(build, "dockerfile_inline"), text(build, "dockerfile").filter(|t| !t.is_empty())) {
            let message = format!("`services.{}.build` has both `dockerfile` and `dockerfile_inline`", self.name());
            report.error("contradiction", inline, message).hint("keep one of the two");
        }
        for context in build.get("additional_contexts").map(Node::entries).unwrap_or_default() {
            let Some(other) = context.value.scalar().and_then(|s| s.text.strip_prefix("service:")) else { continue };
            match self.known.services.get(other) {
                None => self.unknown("unknown-service", &context.value, ("takes a build context from the service", other), report),
                Some(service) if service.get("build").is_none() => {
                    let shown = report.written(context.value.place, other);
                    let message = format!("`{}` takes a build context from `{shown}`, which is not built", self.name());
                    report
                        .error("contradiction", context.value.place, message)
                        .hint("give that service a `build`, or name another context");
                }
                Some(_) => {}
            }
        }
        let platforms = build.get("platforms").map(Node::items).unwrap_or_default();
        if let Some(platform) = self.node.get("platform").filter(|_| !platforms.is_empty()) {
            let same = |p: &Node| p.scalar().map(|s| &s.text) == platform.scalar().map(|s| &s.text);
            if !platforms.iter().any(same) && filled(self.node, "platform").is_some() {
                report
                    .error("contradiction", platform.place, format!("`services.{}.build.platforms` lacks this `platform`", self.name()))
                    .hint("add it to the list");
            }
        }
    }

    fn health(&self, report: &mut Report) {
        let Some(first) = self.node.get("healthcheck").and_then(|h| h.get("test")).and_then(|t| t.items().first()) else { return };
        let fits = first.scalar().is_some_and(|s| matches!(s.text.as_str(), "CMD" | "CMD-SHELL" | "NONE") || s.spoiled);
        if !fits {
            let message = format!(
                "`services.{}.healthcheck.test` wants a string, or a list that begins with `CMD`, `CMD-SHELL` or `NONE`",
                self.name()
            );
            report.error("wrong-type", first.place, message);
        }
    }

    fn networks(&self, report: &mut Report) {
        let networks = self.node.get("networks").map(Node::entries).unwrap_or_default();
        if let (Some(mode), false) = (filled(self.node, "network_mode"), networks.is_empty()) {
            let message = format!("`{}` has both `network_mode` and `networks`", self.name());
            report.error("contradiction", mode, message).hint("keep one of the two");
        }
        for network in networks {
            if report.is_full() {
                return;
            }
            // Compose gathers `x-` keys under a name of its own, which is then no network.
            if !self.known.networks.contains(&network.key) || network.key.starts_with("x-") {
                let shown = report.written(network.key_place, &network.key);
                let message = format!("`{}` joins the network `{shown}`, which is not declared", self.name());
                let hint = did_you_mean(&network.key, self.known.networks.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("declare it: `networks: {{ {shown}: }}` at the top of the file"));
                report.error("unknown-network", network.key_place, message).hint(hint);
            }
        }
    }

    fn models(&self, report: &mut Report) {
        // Compose gathers `x-` keys under a name of its own, here and where models are declared.
        let own = |name: &str| name.starts_with("x-");
        let known = |name: &str| if own(name) { self.known.models.iter().any(|m| own(m)) } else { self.known.models.contains(name) };
        for model in self.node.get("models").map(Node::entries).unwrap_or_default() {
            if report.is_full() {
                return;
            }
            if !known(&model.key) {
                let shown = report.written(model.key_place, &model.key);
                let hint = did_you_mean(&model.key, self.known.models.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("declare it: `models: {{ {shown}: {{ model: … }} }}` at the top of the file"));
                let message = format!("`{}` uses the model `{shown}`, which is not declared", self.name());
                report.error("unknown-model", model.key_place, message).hint(hint);
            }
        }
    }

    fn dependencies(&self, report: &mut Report) {
        for dependency in self.node.get("depends_on").map(Node::entries).unwrap_or_default() {
            let other = dependency.key.as_str();
            if report.is_full() || self.known.services.contains_key(other) {
                continue;
            }
            let required = is_true(dependency.value.get("required"));
            match self.known.disabled.get(other) {
                Some(_) if !required => {}
                Some(disabled) => {
                    let items = disabled.get("profiles").map(Node::items).unwrap_or_default();
                    let profiles: Vec<&str> = items.iter().filter_map(|p| p.scalar().map(|s| s.text.as_str())).collect();
                    let shown = report.written(dependency.key_place, other);
                    let message =
                        format!("`{}` depends on `{shown}`, which takes part only in profile `{}`", self.name(), profiles.join("`, `"));
                    report.error("unknown-service", dependency.key_place, message).hint("choose that profile, or write `required: false`");
                }
                None => {
                    let near = did_you_mean(other, self.known.services.keys().copied());
                    let shown = report.written(dependency.key_place, other);
                    let message = format!("`{}` depends on `{shown}`, and there is no such service", self.name());
                    report.error("unknown-service", dependency.key_place, message).maybe_hint(near);
                }
            }
        }
    }

    fn mounts(&self, report: &mut Report) {
        for mount in self.node.get("volumes").map(Node::items).unwrap_or_default() {
            if report.is_full() {
                return;
            }
            let source = text(mount, "source").unwrap_or_default();
            if text(mount, "type") == Some("volume") && !source.is_empty() && !self.known.volumes.contains(source) {
                let shown = report.written(mount.place, source);
                let hint = did_you_mean(source, self.known.volumes.iter().map(String::as_str)).unwrap_or_else(|| {
                    format!("declare it: `volumes: {{ {shown}: }}` at the top of the file, or write `./{shown}` for a directory")
                });
                let message = format!("`{}` mounts the volume `{shown}`, which is not declared", self.name());
                report.error("unknown-volume", mount.place, message).hint(hint);
            }
        }
        let build = self.node.get("build").and_then(|b| b.get("secrets"));
        for (code, what, declared, used) in [
            ("unknown-secret", "secret", &self.known.secrets, self.node.get("secrets")),
            ("unknown-secret", "secret", &self.known.secrets, build),
            ("unknown-config", "config", &self.known.configs, self.node.get("configs")),
        ] {
            for mount in used.map(Node::items).unwrap_or_default() {
                if report.is_full() {
                    return;
                }
                let source = text(mount, "source").unwrap_or_default();
                if !declared.contains(source) && !spoiled(mount.get("source")) {
                    let shown = report.written(mount.place, source);
                    let message = format!("`{}` uses the {what} `{shown}`, which is not declared", self.name());
                    let near = did_you_mean(source, declared.iter().map(String::as_str));
                    let hint = near.unwrap_or_else(|| format!("declare it under `{what}s:` at the top of the file"));
                    report.error(code, mount.place, message).hint(hint);
                }
            }
        }
    }

    /// Two things cannot be mounted in one place.
    fn targets(&self, report: &mut Report) {
        let list = |key: &str| self.node.get(key).map(Node::items).unwrap_or_default();
        // One text may stand for a list of itself.
        let tmpfs = self
            .node
            .get("tmpfs")
            .filter(|t| t.scalar().is_some())
            .into_iter()
            .chain(list("tmpfs"))
            .filter_map(|t| Some((t.place, t.scalar()?.text.split(':').next()?)));
        let volumes = list("volumes").iter().filter_map(|v| Some((v.place, text(v, "target")?)));
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        for (place, target) in tmpfs.chain(volumes) {
            if !taken.insert(target) && !report.is_full() {
                let shown = report.written(place, target);
                let message = format!("`{}` mounts two things at `{shown}`", self.name());
                report.error("contradiction", place, message).hint("keep one of the two");
            }
        }
    }

    /// Two keys that say how much of something, one of them under `deploy`.
    fn amounts(&self, report: &mut Report) {
        let scale = self.node.get("scale").and_then(Node::scalar).and_then(int);
        let deploy = self.node.get("deploy").filter(|d| !d.is_null());
        let replicas = deploy.and_then(|d| d.get("replicas")).and_then(Node::scalar).and_then(int);
        for (path, node) in [("scale", self.node.get("scale")), ("deploy.replicas", deploy.and_then(|d| d.get("replicas")))] {
            if let Some(node) = node.filter(|n| n.scalar().and_then(int).is_some_and(|n| n < 0)) {
                let field = Field { node, key_place: node.place, path: format!("services.{}.{path}", self.name()) };
                field.wrong(report, "a whole number from 0");
            }
        }
        if let (Some(a), Some(b), Some(key)) = (scale, replicas, self.node.entry("scale"))
            && a != b
        {
            self.differ(key, "deploy.replicas", report);
        }
        let limits = deploy.and_then(|d| d.get("resources")).and_then(|r| r.get("limits")).filter(|l| !l.is_null());
        let reservations = deploy.and_then(|d| d.get("resources")).and_then(|r| r.get("reservations")).filter(|l| !l.is_null());
        let bytes = |s: &Scalar| if s.kind == Kind::Text { size::bytes(&s.text) } else { int(s).filter(|_| s.kind == Kind::Int) };
        let cores = |s: &Scalar| single(s).map(|f| i64::from(f.to_bits()));
        type Read<'r> = &'r dyn Fn(&Scalar) -> Option<i64>;
        for (key, group, name, inner, read) in [
            ("cpus", limits, "limits", "cpus", &cores as Read<'_>),
            ("mem_limit", limits, "limits", "memory", &bytes),
            ("mem_reservation", reservations, "reservations", "memory", &bytes),
            ("pids_limit", limits, "limits", "pids", &int),
        ] {
            let (Some(own), Some(group)) = (self.node.entry(key), group) else { continue };
            let amount = |node: Option<&Node>| node.and_then(Node::scalar).filter(|s| s.kind != Kind::Null).and_then(read).unwrap_or(0);
            let (a, b) = (amount(Some(&own.value)), amount(group.get(inner)));
            if a != 0 && a != b {
                self.differ(own, &format!("deploy.resources.{name}.{inner}"), report);
            }
        }
        let many = scale.or(replicas).filter(|n| *n > 1);
        if let (Some(n), Some(name)) = (many, filled(self.node, "container_name")) {
            let message = format!("`{}` has a `container_name` and {n} replicas, and no two containers can have one name", self.name());
            report.error("contradiction", name, message).hint("leave `container_name` out");
        }
    }

    fn differ(&self, key: &Entry, other: &str, report: &mut Report) {
        let message = format!("`services.{0}.{1}` and `services.{0}.{other}` differ", self.name(), key.key);
        report.error("contradiction", key.value.place, message).hint("keep one of them");
    }

    fn watch(&self, report: &mut Report) {
        let watched = self.node.get("develop").and_then(|d| d.get("watch")).map(Node::items).unwrap_or_default();
        for (index, trigger) in watched.iter().enumerate() {
            let needs = !matches!(text(trigger, "action"), Some("rebuild" | "restart"));
            if needs && text(trigger, "target").is_none_or(str::is_empty) {
                let message = format!("`services.{}.develop.watch[{index}]` needs `target`", self.name());
                report.error("missing-key", trigger.place, message).hint("`target` is where changed files go in the container");
            }
        }
    }

    fn unknown(&self, code: &str, node: &Node, (does, other): (&str, &str), report: &mut Report) {
        let near = did_you_mean(other, self.known.services.keys().copied());
        let shown = report.written(node.place, other);
        report.error(code, node.place, format!("`{}` {does} `{shown}`, and there is none", self.name())).maybe_hint(near);
    }
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Node::scalar).filter(|s| s.kind != Kind::Null).map(|s| s.text.as_str())
}

/// The place of a key's text, if it is not empty.
fn filled(node: &Node, key: &str) -> Option<Place> {
    let found = node.get(key)?;
    matches!(&found.value, Value::Scalar(s) if s.kind != Kind::Null && !s.text.is_empty() && !s.spoiled).then_some(found.place)
}

fn spoiled(node: Option<&Node>) -> bool {
    node.and_then(Node::scalar).is_some_and(|s| s.spoiled)
}

#[cfg(test)]
mod tests;
