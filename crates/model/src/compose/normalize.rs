//! The implicit made explicit: the default network, the names of what is created, and the dependencies that other keys imply.

use super::canonical::entry;
use super::node::{Entry, Kind, Node, Value};
use super::report::{Place, Report};
use super::validate::is_true;
use super::walk;
use super::{path, reader::Field};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of things an app creates, whose names begin with its own.
const CREATED: [&str; 4] = ["networks", "volumes", "configs", "secrets"];

/// Keys by which a container joins a namespace of another service's.
const NAMESPACES: [&str; 5] = ["network_mode", "ipc", "pid", "uts", "cgroup"];

/// Normalizes a canonical tree of the app called `name`. `env` are the variables that names without a value take theirs from.
pub(crate) fn normalize(root: &mut Node, name: &str, env: &BTreeMap<String, String>, report: &mut Report) {
    default_network(root);
    walk::change(root, &["services", "*"], &mut |path, service| {
        if let Some(policy) = service.get_mut("pull_policy").filter(|p| p.scalar().is_some_and(|s| s.text == "if_not_present")) {
            *policy = policy.piece(Kind::Text, "missing");
        }
        if let Some(build) = service.get_mut("build").filter(|b| matches!(b.value, Value::Map(_))) {
            normalize_build(build, env);
        }
        if let Some(environment) = service.get_mut("environment") {
            from_environment(environment, env, true);
        }
        implied_dependencies(path, service, report);
    });
    walk::change(root, &["services", "*", "volumes", "*", "target"], &mut |_, target| {
        if let Value::Scalar(s) = &mut target.value {
            s.text = path::clean(&s.text);
        }
    });
    for kind in CREATED {
        walk::change(root, &[kind], &mut |_, all| {
            all.entries_mut().into_iter().flatten().for_each(|entry| own_name(entry, name));
        });
    }
}

fn default_network(root: &mut Node) {
    let (mut used, mut place) = (false, root.place);
    walk::change(root, &["services", "*"], &mut |_, service| {
        if service.get("network_mode").is_some() || service.get("provider").is_some() || !matches!(service.value, Value::Map(_)) {
            return;
        }
        let names = service.get("networks").map(Node::entries).unwrap_or_default();
        if names.is_empty() {
            let none = Node::made(service.place, Kind::Null, "");
            service.set("networks", Node::map(service.place, vec![entry("default", none)]));
        } else if names.iter().all(|e| e.key != "default") {
            return;
        }
        if !used {
            place = service.place;
        }
        used = true;
    });
    if !used || root.get("networks").is_some_and(|n| n.get("default").is_some()) {
        return;
    }
    if root.get("networks").is_none() {
        root.set("networks", Node::map(place, Vec::new()));
    }
    if let Some(networks) = root.get_mut("networks") {
        networks.set("default", Node::made(place, Kind::Null, ""));
    }
}

fn normalize_build(build: &mut Node, env: &BTreeMap<String, String>) {
    let place = build.place;
    let absent = |build: &Node, key: &str| build.get(key).is_none_or(Node::is_null);
    if absent(build, "context") {
        build.set("context", Node::text(place, "."));
    }
    if absent(build, "dockerfile") && absent(build, "dockerfile_inline") {
        build.set("dockerfile", Node::text(place, "Dockerfile"));
    }
    if let Some(args) = build.get_mut("args") {
        from_environment(args, env, false);
    }
}

/// Gives names without a value the value they have outside. `keep`: those that have none there stay, without one.
fn from_environment(node: &mut Node, env: &BTreeMap<String, String>, keep: bool) {
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries.iter_mut().filter(|e| e.value.is_null()) {
                if let Some(value) = env.get(&entry.key) {
                    entry.value = substituted(entry.key_place, value.clone());
                }
            }
            entries.retain(|e| keep || !e.value.is_null());
        }
        Value::List(items) => items.retain_mut(|item| {
            let Some(name) = item.scalar().filter(|s| !s.text.contains('=')).map(|s| s.text.clone()) else { return true };
            match env.get(&name) {
                Some(value) => *item = substituted(item.place, format!("{name}={value}")),
                None => return keep,
            }
            true
        }),
        Value::Scalar(_) => {}
    }
}

/// A text that came from a variable, so that no message shows it.
fn substituted(place: Place, text: String) -> Node {
    let mut node = Node::text(place, text);
    if let Value::Scalar(s) = &mut node.value {
        s.substituted = true;
    }
    node
}

fn implied_dependencies(path: &str, service: &mut Node, report: &mut Report) {
    let mut implied: Vec<(String, Place, bool)> = Vec::new();
    let list = |key: &str| service.get(key).map(Node::items).unwrap_or_default();
    for link in list("links") {
        let Some(text) = link.scalar().map(|s| s.text.as_str()) else { continue };
        let name = match text.split_once(':') {
            Some((name, alias)) if !alias.contains(':') => name,
            _ => text,
        };
        implied.push((name.to_owned(), link.place, true));
    }
    for key in NAMESPACES {
        let Some(found) = service.entry(key) else { continue };
        if found.value.is_null() {
            let field = Field { node: &found.value, key_place: found.key_place, path: format!("{path}.{key}") };
            field.wrong_with(report, "a string", Some("give it a value, or leave the key out".to_owned()));
        } else if let Some(other) = found.value.scalar().and_then(|s| s.text.strip_prefix("service:")) {
            implied.push((other.to_owned(), found.value.place, true));
        }
    }
    for from in list("volumes_from") {
        let Some(text) = from.scalar().map(|s| s.text.as_str()).filter(|t| !t.starts_with("container:")) else { continue };
        implied.push((text.split(':').next().unwrap_or_default().to_owned(), from.place, false));
    }
    if implied.is_empty() {
        return;
    }
    if service.get("depends_on").is_none() {
        service.set("depends_on", Node::map(service.place, Vec::new()));
    }
    let Some(depends_on) = service.get_mut("depends_on").and_then(Node::entries_mut) else { return };
    let mut known: BTreeSet<String> = depends_on.iter().map(|e| e.key.clone()).collect();
    for (name, place, restart) in implied {
        if known.insert(name.clone()) {
            let truth = |value: bool| Node::made(place, Kind::Bool, if value { "true" } else { "false" });
            let entries = vec![
                entry("condition", Node::text(place, "service_started")),
                entry("restart", truth(restart)),
                entry("required", truth(true)),
            ];
            depends_on.push(entry(&name, Node::map(place, entries)));
        }
    }
}

/// What is created carries the app's name before its own; what exists already carries the name it is known by.
fn own_name(entry: &mut Entry, app: &str) {
    if entry.value.is_null() {
        entry.value = Node::map(entry.key_place, Vec::new());
    }
    if entry.value.get("name").is_none_or(Node::is_null) {
        let external = is_true(entry.value.get("external"));
        let name = if external { entry.key.clone() } else { format!("{app}_{}", entry.key) };
        let place = entry.key_place;
        entry.value.set("name", Node::text(place, name));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn normalized(text: &str) -> serde_json::Value {
        let mut report = Report::default();
        let file = report.add_file("f", text.to_owned(), true);
        let mut root = super::super::yaml::parse(text, file, &mut report).unwrap().remove(0).root;
        super::super::canonical::transform(&mut root, &mut report);
        normalize(&mut root, "app", &BTreeMap::from([("SET".to_owned(), "1".to_owned())]), &mut report);
        assert!(!report.failed());
        root.json()
    }

    #[test]
    fn what_is_implied_is_written_down() {
        let out = normalized("services: { a: { links: ['b:x', c], ipc: 'service:d', volumes_from: ['e:ro', 'container:f'] } }");
        let dependencies = out["services"]["a"]["depends_on"].as_object().unwrap();
        assert_eq!(dependencies.keys().map(String::as_str).collect::<Vec<_>>(), ["b", "c", "d", "e"]);
        assert_eq!((&dependencies["b"]["restart"], &dependencies["e"]["restart"]), (&true.into(), &false.into()));
        assert_eq!(out["networks"]["default"]["name"], "app_default");
    }

    #[test]
    fn names_and_values_come_from_where_compose_takes_them() {
        let out = normalized(
            "{ services: { a: { build: { args: { SET: , UNSET: } }, environment: [SET, UNSET, A=b], networks: [n] } },
               networks: { n: , old: { external: true } }, volumes: { v: { name: w } } }",
        );
        assert_eq!(out["services"]["a"]["build"].to_string(), r#"{"args":{"SET":"1"},"context":".","dockerfile":"Dockerfile"}"#);
        assert_eq!(out["services"]["a"]["environment"].to_string(), r#"["SET=1","UNSET","A=b"]"#);
        assert_eq!(out["networks"].to_string(), r#"{"n":{"name":"app_n"},"old":{"external":true,"name":"old"}}"#);
        assert_eq!(out["volumes"]["v"]["name"], "w");
    }
}
