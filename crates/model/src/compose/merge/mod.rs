//! Several files, documents and extended services of one app become one tree: later ones win.
//!
//! The rules are those of Compose, with its exceptions by path: mappings merge key by key, lists are joined, scalars are replaced and a mapping or
//! list gives way to nothing else. `command`, `entrypoint` and `healthcheck.test` are replaced; `environment`, `labels` and the like become lists
//! of `name=value`, of which `unicity` keeps the last; networks merge by name, pools of addresses by subnet, `logging` only when the driver is the
//! same. `x-` keys merge like others, but for `x-landfall`, whose lists are replaced. Places stay those of the file each value came from.

mod address;
mod unicity;

pub(crate) use unicity::enforce as enforce_unicity;

use super::node::{Entry, Kind, Node, Value};
use super::report::Report;
use super::yaml::shorten;

/// Puts `over` on top of `base`: two whole files.
pub(crate) fn merge(base: Node, over: Node, report: &mut Report) -> Node {
    let mut merger = Merger { path: Vec::new(), report };
    merger.maps(base, over)
}

/// Puts a service on top of the one it extends.
pub(crate) fn extend(base: Node, over: Node, report: &mut Report) -> Node {
    let mut merger = Merger { path: vec!["services".into(), "*".into()], report };
    merger.node(base, over)
}

/// How the values of a path are merged.
#[derive(Clone, Copy)]
enum Rule {
    Plain,
    Replace,
    /// Both as lists of `name=value`.
    Listed,
    /// The same, without what is there already.
    ListedOnce,
    /// Both as mappings from name to this.
    Named(Bare),
    Build,
    Logging,
    Addresses,
}

/// What an element of a list means where a mapping is wanted.
#[derive(Clone, Copy)]
enum Bare {
    Nothing,
    Started,
}

fn rule(path: &[String]) -> Rule {
    let mut parts = [""; 6];
    for (slot, part) in parts.iter_mut().zip(path) {
        *slot = part;
    }
    match parts.get(..path.len()).unwrap_or_default() {
        ["services", _, rest @ ..] => match rest {
            ["command" | "entrypoint"] | ["healthcheck", "test"] | ["ulimits", _] => Rule::Replace,
            [
                "annotations" | "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "environment" | "labels" | "sysctls"
                | "tmpfs",
            ]
            | ["build", "args" | "additional_contexts" | "labels"]
            | ["deploy", "labels"] => Rule::Listed,
            ["extra_hosts"] | ["build", "extra_hosts"] => Rule::ListedOnce,
            ["depends_on"] => Rule::Named(Bare::Started),
            ["networks" | "models"] => Rule::Named(Bare::Nothing),
            ["build"] => Rule::Build,
            ["logging"] => Rule::Logging,
            _ => Rule::Plain,
        },
        ["networks" | "volumes", _, "labels"] => Rule::Listed,
        ["networks", _, "ipam", "config"] => Rule::Addresses,
        _ => Rule::Plain,
    }
}

struct Merger<'r> {
    path: Vec<String>,
    report: &'r mut Report,
}

impl Merger<'_> {
    fn node(&mut self, base: Node, over: Node) -> Node {
        match rule(&self.path) {
            Rule::Plain => self.plain(base, over),
            Rule::Replace => over,
            Rule::Listed => joined(listed(base), listed(over)),
            Rule::ListedOnce => {
                let base = listed(base);
                let mut over = listed(over);
                if let Some(items) = over.items_mut() {
                    items.retain(|item| !base.items().iter().any(|b| b.same(item)));
                }
                joined(base, over)
            }
            Rule::Named(bare) => {
                let (base, over) = (self.named(base, bare), self.named(over, bare));
                self.both(base, over)
            }
            Rule::Build => {
                let (base, over) = (short_build(base), short_build(over));
                self.both(base, over)
            }
            Rule::Logging => self.logging(base, over),
            Rule::Addresses => address::merge(self, base, over),
        }
    }

    fn plain(&mut self, base: Node, over: Node) -> Node {
        if over.is_null() {
            return base;
        }
        match (&base.value, &over.value) {
            (Value::Map(_), Value::Map(_)) => self.maps(base, over),
            (Value::List(_), Value::List(_)) => joined(base, over),
            (Value::Scalar(_), _) => over,
            _ => self.cannot(base, &over),
        }
    }

    /// Complains, and keeps what was there.
    fn cannot(&mut self, base: Node, over: &Node) -> Node {
        let name = shorten(&self.path.join("."));
        let message = format!("`{name}` is {} here and {} in an earlier file", over.describe(), base.describe());
        self.report.error("cannot-merge", over.place, message).hint("write it the same way in both files");
        base
    }

    /// Key by key. A key of both stands where the later one was written.
    fn maps(&mut self, mut base: Node, over: Node) -> Node {
        let place = over.place;
        let Value::Map(more) = over.value else { return base };
        let Value::Map(entries) = &mut base.value else { return base };
        let mut index: std::collections::BTreeMap<String, usize> = entries.iter().enumerate().map(|(i, e)| (e.key.clone(), i)).collect();
        for Entry { key, key_place, value } in more {
            let Some(entry) = index.get(&key).and_then(|i| entries.get_mut(*i)) else {
                index.insert(key.clone(), entries.len());
                entries.push(Entry { key, key_place, value });
                continue;
            };
            entry.key_place = key_place;
            let old = std::mem::replace(&mut entry.value, Node::made(place, Kind::Null, ""));
            self.path.push(key);
            entry.value = match self.path.last().map(String::as_str) {
                Some("x-landfall") => self.landfall(old, value),
                _ => self.node(old, value),
            };
            self.path.pop();
        }
        base.place = place;
        base
    }

    /// Mappings key by key, everything else replaced: a route or a domain could not be taken away otherwise.
    fn landfall(&mut self, base: Node, over: Node) -> Node {
        match (&base.value, &over.value) {
            _ if over.is_null() => base,
            (Value::Map(_), Value::Map(_)) => {
                let Value::Map(more) = over.value else { return base };
                let mut out = base;
                out.place = over.place;
                for Entry { key, key_place, value } in more {
                    let value = match out.remove(&key) {
                        Some(old) => self.landfall(old.value, value),
                        None => value,
                    };
                    if let Some(entries) = out.entries_mut() {
                        entries.push(Entry { key, key_place, value });
                    }
                }
                out
            }
            _ => over,
        }
    }

    /// Two mappings, of which Compose cannot bear the first to be missing when there is anything to put into it.
    fn both(&mut self, base: Option<Node>, over: Option<Node>) -> Node {
        let nothing = |node: &Node| Node::made(node.place, Kind::Null, "");
        match (base, over) {
            (Some(base), Some(over)) if base.is_null() && !over.entries().is_empty() => self.cannot(base, &over),
            (Some(base), Some(over)) if over.is_null() || base.is_null() => {
                let place = over.place;
                Node { place, ..base }
            }
            (Some(base), Some(over)) => self.maps(base, over),
            (Some(node), None) | (None, Some(node)) => nothing(&node),
            (None, None) => Node::made(super::report::Place::default(), Kind::Null, ""),
        }
    }

    /// A list of names as a mapping; `None` after a complaint. What is neither is nothing.
    fn named(&mut self, node: Node, bare: Bare) -> Option<Node> {
        let items = match node.value {
            Value::Map(_) => return Some(node),
            Value::List(items) => items,
            Value::Scalar(_) => return Some(Node::made(node.place, Kind::Null, "")),
        };
        let mut out = Node::map(node.place, Vec::new());
        for item in items {
            let Some(name) = item.scalar().filter(|s| s.kind == Kind::Text).map(|s| s.text.clone()) else {
                let message = format!("an element of `{}` must be a name, found {}", shorten(&self.path.join(".")), item.describe());
                self.report.error("wrong-type", item.place, message).hint("write the name alone");
                return None;
            };
            let place = item.place;
            let value = match bare {
                Bare::Nothing => Node::made(place, Kind::Null, ""),
                Bare::Started => {
                    let mut value = Node::map(place, Vec::new());
                    value.set("condition", Node::text(place, "service_started"));
                    value.set("required", Node::made(place, Kind::Bool, "true"));
                    value
                }
            };
            out.set(&name, value);
        }
        Some(out)
    }

    /// Options of one driver mean nothing to another.
    fn logging(&mut self, base: Node, over: Node) -> Node {
        if !matches!((&base.value, &over.value), (Value::Map(_), Value::Map(_))) {
            return self.cannot(base, &over);
        }
        match (base.get("driver"), over.get("driver")) {
            (Some(a), Some(b)) if !a.same(b) => over,
            _ => self.maps(base, over),
        }
    }
}

fn joined(mut base: Node, over: Node) -> Node {
    base.place = over.place;
    if let (Some(items), Value::List(more)) = (base.items_mut(), over.value) {
        items.extend(more);
    }
    base
}

/// `name=value` for each entry of a mapping, in the order of names; a text alone is a list of itself.
fn listed(node: Node) -> Node {
    let place = node.place;
    let items = match node.value {
        Value::List(items) => items,
        Value::Map(entries) => {
            let mut items: Vec<(String, Node)> = entries.into_iter().flat_map(pairs).collect();
            items.sort_by(|a, b| a.0.cmp(&b.0));
            items.into_iter().map(|(_, node)| node).collect()
        }
        Value::Scalar(ref s) if s.kind == Kind::Text => vec![node],
        Value::Scalar(_) => Vec::new(),
    };
    Node::list(place, items)
}

fn pairs(entry: Entry) -> Vec<(String, Node)> {
    let Entry { key, key_place, value } = entry;
    let pair = |node: &Node| {
        let text = format!("{key}={}", node.scalar().map(super::node::Scalar::canonical).unwrap_or_default());
        let place = super::report::Place { start: key_place.start, line: key_place.line, column: key_place.column, ..node.place };
        let whole = if place.file == key_place.file && place.end >= place.start { place } else { node.place };
        let mut made = node.piece(Kind::Text, text.clone());
        made.place = whole;
        (text, made)
    };
    match &value.value {
        Value::List(items) => items.iter().map(pair).collect(),
        Value::Scalar(s) if s.kind == Kind::Null => vec![(key.clone(), Node::text(key_place, key))],
        _ => vec![pair(&value)],
    }
}

/// `build: .` in full.
fn short_build(node: Node) -> Option<Node> {
    Some(match &node.value {
        Value::Map(_) => node,
        Value::Scalar(s) if s.kind == Kind::Text => {
            let mut build = Node::map(node.place, Vec::new());
            build.set("context", node);
            build
        }
        _ => Node::made(node.place, Kind::Null, ""),
    })
}
