//! What may stand only once in a list: a later element takes the place of the earlier one with the same name, target or port.

use crate::compose::node::{Kind, Node, Scalar, Value};
use crate::compose::report::Report;
use crate::compose::yaml::shorten;
use std::collections::BTreeMap;

/// What two elements of a list have in common when one replaces the other.
#[derive(Clone, Copy)]
enum Index {
    /// The name before `=`.
    Name,
    Port,
    Expose,
    EnvFile,
    /// Of a volume.
    Target,
    /// Of a device.
    Device,
    /// Of a secret or config; those without are mounted here.
    Mount(&'static str),
}

fn index(path: &[String]) -> Option<Index> {
    let mut parts = [""; 6];
    for (slot, part) in parts.iter_mut().zip(path) {
        *slot = part;
    }
    match parts.get(..path.len()).unwrap_or_default() {
        ["services", _, rest @ ..] => Some(match rest {
            [
                "annotations" | "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "environment" | "labels" | "links" | "profiles",
            ]
            | ["sysctls" | "tmpfs"]
            | ["build", "args" | "additional_contexts" | "platform" | "tags" | "labels"]
            | ["deploy", "labels"]
            | ["networks", _, "aliases" | "link_local_ips"] => Index::Name,
            ["ports"] => Index::Port,
            ["expose"] => Index::Expose,
            ["env_file"] => Index::EnvFile,
            ["volumes"] => Index::Target,
            ["devices"] => Index::Device,
            ["configs"] => Index::Mount(""),
            ["secrets"] => Index::Mount("/run/secrets"),
            _ => return None,
        }),
        ["networks", _, "labels"] | ["networks", _, "ipam", "options"] => Some(Index::Name),
        _ => None,
    }
}

/// Takes out of every list of the file what a later element of it replaces.
pub(crate) fn enforce(root: &mut Node, report: &mut Report) {
    walk(root, &mut Vec::new(), report);
}

fn walk(node: &mut Node, path: &mut Vec<String>, report: &mut Report) {
    match &mut node.value {
        Value::Map(entries) => {
            // Nothing with a rule lies deeper.
            if path.len() >= 5 || path.last().is_some_and(|key| path.len() == 1 && key.starts_with("x-")) {
                return;
            }
            for entry in entries {
                path.push(entry.key.clone());
                walk(&mut entry.value, path, report);
                path.pop();
            }
        }
        Value::List(items) => {
            let Some(index) = index(path) else { return };
            let mut slots: BTreeMap<String, usize> = BTreeMap::new();
            let mut kept: Vec<Node> = Vec::with_capacity(items.len());
            for (number, item) in std::mem::take(items).into_iter().enumerate() {
                match key(&item, index) {
                    Ok(key) => match slots.get(&key).and_then(|slot| kept.get_mut(*slot)) {
                        Some(slot) => *slot = item,
                        None => {
                            slots.insert(key, kept.len());
                            kept.push(item);
                        }
                    },
                    Err((code, wants, hint)) => {
                        let message = format!("`{}[{number}]` {wants}", shorten(&path.join(".")));
                        report.error(code, item.place, message).hint(hint);
                        kept.push(item);
                    }
                }
            }
            *items = kept;
        }
        Value::Scalar(_) => {}
    }
}

/// Code, what the element lacks, what to do.
type Refused = (&'static str, &'static str, &'static str);

fn key(item: &Node, index: Index) -> Result<String, Refused> {
    let scalar = item.scalar();
    let text = scalar.filter(|s| s.kind == Kind::Text).map(|s| s.text.as_str());
    let whole = scalar.filter(|s| s.kind == Kind::Int).map(Scalar::canonical);
    let is_map = matches!(item.value, Value::Map(_));
    let inner = |key: &str| item.get(key).and_then(Node::scalar).filter(|s| s.kind == Kind::Text).map(|s| s.text.clone());
    match index {
        Index::Name => match text {
            Some(text) => Ok(text.split('=').next().unwrap_or(text).to_owned()),
            None => Err(("wrong-type", "must be a string", "put it in quotes")),
        },
        Index::Expose => match (text, whole) {
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(whole)) => Ok(whole),
            _ => Err(("wrong-type", "must be a port", "write `8080` or `8080/udp`")),
        },
        Index::EnvFile if is_map => inner("path").ok_or(("missing-key", "needs `path`", "write `{ path: file.env }`")),
        Index::Target | Index::Device if is_map => {
            inner("target").ok_or(("missing-key", "needs `target`", "`target` is the path in the container"))
        }
        Index::Mount(dir) => match text {
            Some(text) => Ok(format!("{dir}/{text}")),
            None if is_map && item.get("target").is_some() => {
                inner("target").ok_or(("wrong-type", "must have a path as its `target`", "write `target: name`"))
            }
            None if is_map => Ok(format!("{dir}/{}", item.get("source").map(written).unwrap_or_default())),
            None => Err(("wrong-type", "must be a name or a mapping", "write the name alone")),
        },
        Index::Port if is_map => {
            let part = |key: &str, bare: &str| item.get(key).map_or_else(|| bare.to_owned(), written);
            match item.get("target") {
                Some(target) => Ok(format!(
                    "{}:{}:{}/{}",
                    part("host_ip", "0.0.0.0"),
                    part("published", "-"),
                    target.scalar().map(Scalar::canonical).unwrap_or_default(),
                    part("protocol", "tcp")
                )),
                None => Err(("missing-key", "needs `target`", "`target` is the port in the container")),
            }
        }
        Index::Target => Ok(text.map(target_of).unwrap_or_default()),
        Index::Device => Ok(text.map(|t| t.split(':').nth(1).unwrap_or(t).to_owned()).unwrap_or_default()),
        Index::Port => Ok(text.map(str::to_owned).or(whole).unwrap_or_default()),
        Index::EnvFile => Ok(text.unwrap_or_default().to_owned()),
    }
}

/// A scalar so that a number and the text of it are told apart.
fn written(node: &Node) -> String {
    node.scalar().map_or_else(String::new, |s| if s.kind == Kind::Text { s.text.clone() } else { format!("={}", s.canonical()) })
}

/// Where a short form mounts: the second part, or the only one. A drive letter's colon parts nothing.
fn target_of(short: &str) -> String {
    let mut parts: Vec<String> = vec![String::new()];
    for c in short.chars() {
        let drive = parts.last().is_some_and(|p| p.chars().count() == 1 && p.chars().all(char::is_alphabetic));
        match parts.last_mut() {
            Some(last) if c != ':' || drive => last.push(c),
            _ => parts.push(String::new()),
        }
    }
    let second = if short.chars().count() > 2 { 1 } else { 0 };
    parts.get(second).or(parts.first()).cloned().unwrap_or_default()
}
