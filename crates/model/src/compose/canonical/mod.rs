//! Short forms written out: after this stage there is one way to say each thing.
//!
//! It follows Compose in what each short form means and which are refused, because the resolved file must be the same. What the schema has
//! refused already is passed over in silence: those values keep the shape they have. Made nodes take the place of what they were made from.

mod mount;
mod port;
mod shape;

pub(crate) use shape::check as check_shapes;

use super::node::{Entry, Kind, Node, Value};
use super::reader::Field;
use super::report::{Place, Report};
use super::walk;
use std::collections::BTreeMap;

/// Writes every short form out.
pub(crate) fn transform(root: &mut Node, report: &mut Report) {
    port::write_out(root, report);
    walk::change(root, &["services", "*", "volumes", "*"], &mut |path, node| mount::write_out(path, node, report));
    walk::change(root, &["services", "*", "devices", "*"], &mut |path, node| device(path, node, report));
    for list in [&["services", "*", "secrets", "*"][..], &["services", "*", "configs", "*"], &["services", "*", "build", "secrets", "*"]] {
        walk::change(root, list, &mut |_, node| wrap(node, "source"));
    }
    walk::change(root, &["services", "*", "build"], &mut |_, node| wrap(node, "context"));
    walk::change(root, &["services", "*", "build", "additional_contexts"], &mut |path, node| contexts(path, node, report));
    walk::change(root, &["services", "*", "build", "ssh"], &mut |path, node| ssh(path, node, report));
    walk::change(root, &["services", "*", "extends"], &mut |_, node| wrap(node, "service"));
    walk::change(root, &["services", "*", "depends_on"], &mut |_, node| depends_on(node));
    walk::change(root, &["services", "*", "env_file"], &mut |_, node| env_file(node));
    for key in ["dns", "label_file"] {
        walk::change(root, &["services", "*", key], &mut |_, node| one_as_list(node));
    }
    walk::change(root, &["services", "*", "gpus"], &mut |_, node| gpus(node));
    for key in ["networks", "models"] {
        walk::change(root, &["services", "*", key], &mut |_, node| names_as_mapping(node, |_| Vec::new()));
    }
    for limits in [&["services", "*", "ulimits", "*"][..], &["services", "*", "build", "ulimits", "*"]] {
        walk::change(root, limits, &mut |path, node| ulimit(path, node, report));
    }
    for kind in ["volumes", "networks", "secrets", "configs"] {
        walk::change(root, &[kind, "*"], &mut |path, node| external(path, node, report));
    }
}

/// Takes out what means nothing when it is empty: a blank DNS server.
pub(crate) fn omit_empty(root: &mut Node) {
    walk::change(root, &["services", "*", "dns"], &mut |_, node| {
        if let Some(items) = node.items_mut() {
            items.retain(|item| item.scalar().is_none_or(|s| !s.canonical().is_empty()));
        }
    });
}

/// An entry made by a stage.
pub(crate) fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_place: value.place, value }
}

fn placeholder(place: Place) -> Node {
    Node::made(place, Kind::Null, "")
}

/// `x` → `key: x`.
fn wrap(node: &mut Node, key: &str) {
    if node.scalar().is_some_and(|s| s.kind == Kind::Text) {
        let place = node.place;
        let inner = std::mem::replace(node, placeholder(place));
        *node = Node::map(place, vec![entry(key, inner)]);
    }
}

/// `x` → `[x]`.
fn one_as_list(node: &mut Node) {
    if node.scalar().is_some_and(|s| s.kind == Kind::Text) {
        let place = node.place;
        let inner = std::mem::replace(node, placeholder(place));
        *node = Node::list(place, vec![inner]);
    }
}

/// A mapping made of the elements of a list; of a name that is there twice the last counts. `None` leaves an element out.
fn mapping(list: &Node, mut one: impl FnMut(usize, &Node) -> Option<(String, Node)>) -> Node {
    let mut entries: Vec<Entry> = Vec::with_capacity(list.items().len());
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    for (index, item) in list.items().iter().enumerate() {
        let Some((key, value)) = one(index, item) else { continue };
        match at.get(&key).and_then(|i| entries.get_mut(*i)) {
            Some(earlier) => earlier.value = value,
            None => {
                at.insert(key.clone(), entries.len());
                entries.push(entry(&key, value));
            }
        }
    }
    Node::map(list.place, entries)
}

/// `[a, b]` → `{ a: …, b: … }`; an empty list of entries stands for no value.
fn names_as_mapping(node: &mut Node, entries: impl Fn(Place) -> Vec<Entry>) {
    if !node.items().is_empty() && node.items().iter().all(|item| item.scalar().is_some()) {
        *node = mapping(node, |_, item| {
            let inner = entries(item.place);
            let value = if inner.is_empty() { placeholder(item.place) } else { Node::map(item.place, inner) };
            Some((item.scalar()?.text.clone(), value))
        });
    } else if matches!(&node.value, Value::List(items) if items.is_empty()) {
        *node = Node::map(node.place, Vec::new());
    }
}

fn depends_on(node: &mut Node) {
    let defaults = |place: Place| {
        vec![entry("condition", Node::text(place, "service_started")), entry("required", Node::made(place, Kind::Bool, "true"))]
    };
    names_as_mapping(node, defaults);
    for dependency in node.entries_mut().into_iter().flatten().map(|e| &mut e.value) {
        for default in defaults(dependency.place) {
            if dependency.get(&default.key).is_none() {
                dependency.set(&default.key, default.value);
            }
        }
    }
}

fn env_file(node: &mut Node) {
    one_as_list(node);
    for item in node.items_mut().into_iter().flatten() {
        wrap(item, "path");
        if item.get("required").is_none() {
            let required = Node::made(item.place, Kind::Bool, "true");
            item.set("required", required);
        }
    }
}

fn gpus(node: &mut Node) {
    if let Some(all) = node.scalar().filter(|s| s.kind == Kind::Text) {
        let count = node.piece(Kind::Text, all.text.clone());
        *node = Node::list(node.place, vec![Node::map(node.place, vec![entry("count", count)])]);
    }
}

fn device(path: &str, node: &mut Node, report: &mut Report) {
    let Some(text) = node.scalar().filter(|s| s.kind == Kind::Text && !s.spoiled).map(|s| s.text.clone()) else { return };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => return wrong(path, node, "a device such as `/dev/ttyUSB0` or `/dev/ttyUSB0:/dev/tty:rw`", report),
    };
    let target = if target.is_empty() { source } else { target };
    let part = |key: &str, value: &str| entry(key, node.piece(Kind::Text, value));
    *node = Node::map(node.place, vec![part("source", source), part("target", target), part("permissions", permissions)]);
}

fn contexts(path: &str, node: &mut Node, report: &mut Report) {
    if !matches!(node.value, Value::List(_)) {
        return;
    }
    *node = mapping(node, |index, item| {
        let text = item.scalar().filter(|s| !s.spoiled)?;
        let Some((name, context)) = text.text.split_once('=') else {
            wrong(&format!("{path}[{index}]"), item, "a context such as `name=./directory`", report);
            return None;
        };
        Some((name.to_owned(), item.piece(Kind::Text, context)))
    });
}

fn ssh(path: &str, node: &mut Node, report: &mut Report) {
    if !matches!(node.value, Value::List(_)) {
        return;
    }
    *node = mapping(node, |index, item| {
        let text = item.scalar().filter(|s| !s.spoiled)?;
        match text.text.split_once('=') {
            Some((id, key)) => Some((id.to_owned(), item.piece(Kind::Text, key))),
            None if text.text == "default" => Some(("default".to_owned(), placeholder(item.place))),
            None => {
                wrong(&format!("{path}[{index}]"), item, "`default` or a key such as `id=./file`", report);
                None
            }
        }
    });
}

fn ulimit(path: &str, node: &Node, report: &mut Report) {
    // Numbers in quotes have become numbers when variables were put in.
    if node.scalar().is_some_and(|s| s.kind != Kind::Int) {
        wrong(path, node, "a whole number, or a mapping of `soft` and `hard`", report);
    }
}

/// The old way to name what exists already, `external: { name: x }`.
fn external(path: &str, node: &mut Node, report: &mut Report) {
    if !matches!(node.value, Value::Map(_)) {
        if !node.is_null() {
            wrong(path, node, "a mapping (`key: value`)", report);
        }
        return;
    }
    let Some(old) = node.get("external").filter(|e| matches!(e.value, Value::Map(_))) else { return };
    let (place, inner) = (old.place, old.get("name").cloned());
    let own = node.get("name").cloned();
    node.set("external", Node::made(place, Kind::Bool, "true"));
    let Some(inner) = inner else { return };
    report
        .warning("obsolete-key", inner.place, format!("`{path}.external.name` is obsolete"))
        .hint("write `external: true`, and `name` beside it");
    match own {
        None => node.set("name", inner),
        Some(own) if own.scalar().map(|s| &s.text) != inner.scalar().map(|s| &s.text) => {
            report.error("contradiction", own.place, format!("`{path}` has two names: `name` and `external.name`")).hint("keep `name`");
        }
        Some(_) => {}
    }
}

/// Complains that a value is not what was wanted.
pub(super) fn wrong(path: &str, node: &Node, wanted: &str, report: &mut Report) {
    Field { node, key_place: node.place, path: path.to_owned() }.wrong(report, wanted);
}

#[cfg(test)]
mod tests;
