//! Several files of one app (`-f a -f b`, or documents in one file) become one tree: later ones win.
//!
//! The rules of the Compose Specification (§ Merge): mappings merge key by key, scalars are replaced, lists are appended without repetition;
//! `command`, `entrypoint` and `healthcheck.test` are replaced; `environment`, `labels` and the like merge by name whichever syntax they are in;
//! `volumes` by their target. Lists under `x-landfall` are replaced, because a route or domain cannot be taken away otherwise. An empty value
//! changes nothing. Places stay those of the file each value came from.

use super::node::{Entry, Kind, Node, Scalar, Value};
use super::report::Report;
use std::collections::{BTreeMap, BTreeSet};

/// Puts `over` on top of `base`.
pub(crate) fn merge(base: Node, over: Node, report: &mut Report) -> Node {
    node(base, over, &mut Vec::new(), report)
}

/// How the value of a key is merged.
enum Rule {
    Replace,
    /// By name, in either syntax; a list's elements without `=` get this value.
    Named(Bare),
    ByTarget,
    Default,
}

/// What a bare list element `name` means as a mapping.
#[derive(Clone, Copy)]
enum Bare {
    Null,
    Started,
}

fn rule(path: &[String]) -> Rule {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => Rule::Replace,
        ["services", _, "environment" | "labels" | "annotations" | "sysctls" | "extra_hosts" | "networks"]
        | ["services", _, "build", "args" | "labels"] => Rule::Named(Bare::Null),
        ["services", _, "depends_on"] => Rule::Named(Bare::Started),
        ["services", _, "volumes"] => Rule::ByTarget,
        ["x-landfall", ..] | ["services", _, "x-landfall", ..] => Rule::Replace,
        _ => Rule::Default,
    }
}

fn node(base: Node, over: Node, path: &mut Vec<String>, report: &mut Report) -> Node {
    if over.is_null() {
        return base;
    }
    if base.is_null() {
        return over;
    }
    let rule = rule(path);
    match (base, over, rule) {
        (Node { value: Value::Map(a), .. }, Node { value: Value::Map(b), place }, _) => {
            Node { place, value: Value::Map(maps(a, b, path, report)) }
        }
        (_, over, Rule::Replace) => over,
        (a, b, Rule::Named(bare)) => {
            let place = b.place;
            let value = Value::Map(maps(named(a, bare), named(b, bare), path, report));
            Node { place, value }
        }
        (Node { value: Value::List(a), .. }, Node { value: Value::List(b), place }, rule) => {
            let list = if matches!(rule, Rule::ByTarget) { by_target(a, b) } else { appended(a, b) };
            Node { place, value: Value::List(list) }
        }
        (a, over, _) => {
            // `build: .` and the like: a short form may replace a long one, but a list never a mapping.
            let scalar = a.scalar().is_some() || over.scalar().is_some();
            if !scalar {
                let name = path.join(".");
                let message = format!("`{name}` is {} here and {} in an earlier file", over.describe(), a.describe());
                report.error("cannot-merge", over.place, message).hint("write it the same way in both files");
                return a;
            }
            over
        }
    }
}

fn maps(mut base: Vec<Entry>, over: Vec<Entry>, path: &mut Vec<String>, report: &mut Report) -> Vec<Entry> {
    let mut index: BTreeMap<String, usize> = base.iter().enumerate().map(|(i, e)| (e.key.clone(), i)).collect();
    for entry in over {
        let Some(existing) = index.get(&entry.key).and_then(|i| base.get_mut(*i)) else {
            index.insert(entry.key.clone(), base.len());
            base.push(entry);
            continue;
        };
        path.push(entry.key);
        let place = existing.value.place;
        let old = std::mem::replace(&mut existing.value, Node { place, value: Value::List(Vec::new()) });
        existing.value = node(old, entry.value, path, report);
        existing.key_place = entry.key_place;
        path.pop();
    }
    base
}

/// A list of `NAME` and `NAME=value` as the mapping it means.
fn named(node: Node, bare: Bare) -> Vec<Entry> {
    let items = match node.value {
        Value::Map(entries) => return entries,
        Value::List(items) => items,
        Value::Scalar(_) => vec![node],
    };
    let text = |text: &str, kind, of: &Node| Node {
        place: of.place,
        value: Value::Scalar(Scalar {
            text: text.to_owned(),
            kind,
            substituted: of.scalar().is_some_and(|s| s.substituted),
            spoiled: of.scalar().is_some_and(|s| s.spoiled),
        }),
    };
    let entry = |item: &Node| {
        let whole = item.scalar()?.text.clone();
        let (key, value) = match (whole.split_once('='), bare) {
            (Some((key, value)), Bare::Null) => (key.to_owned(), text(value, Kind::Text, item)),
            (None, Bare::Null) => (whole, text("", Kind::Null, item)),
            (_, Bare::Started) => {
                let condition = Entry { key: "condition".into(), key_place: item.place, value: text("service_started", Kind::Text, item) };
                (whole, Node { place: item.place, value: Value::Map(vec![condition]) })
            }
        };
        Some(Entry { key, key_place: item.place, value })
    };
    // Names given twice in a list: the last counts.
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut order = Vec::new();
    for entry in items.iter().filter_map(entry) {
        if !entries.contains_key(&entry.key) {
            order.push(entry.key.clone());
        }
        entries.insert(entry.key.clone(), entry);
    }
    order.iter().filter_map(|key| entries.remove(key)).collect()
}

fn appended(base: Vec<Node>, over: Vec<Node>) -> Vec<Node> {
    let mut seen = BTreeSet::new();
    base.into_iter().chain(over).filter(|n| n.scalar().is_none_or(|s| seen.insert(s.text.clone()))).collect()
}

fn by_target(base: Vec<Node>, over: Vec<Node>) -> Vec<Node> {
    let target = |n: &Node| match &n.value {
        Value::Scalar(s) => s.text.split(':').nth(1).or(s.text.split(':').next()).map(str::to_owned),
        _ => n.get("target").and_then(|t| t.scalar()).map(|s| s.text.clone()),
    };
    let mut out = base;
    let mut index: BTreeMap<String, usize> = out.iter().enumerate().filter_map(|(i, n)| Some((target(n)?, i))).collect();
    for item in over {
        match target(&item) {
            Some(key) if index.contains_key(&key) => {
                if let Some(slot) = index.get(&key).and_then(|i| out.get_mut(*i)) {
                    *slot = item;
                }
            }
            key => {
                if let Some(key) = key {
                    index.insert(key, out.len());
                }
                out.push(item);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, over: &str) -> String {
        let mut report = Report::default();
        let mut read = |name: &str, text: &str| {
            let file = report.add_file(name, text.to_owned(), true);
            super::super::yaml::parse(text, file, &mut report).unwrap().remove(0)
        };
        let (a, b) = (read("a", base), read("b", over));
        let out = merge(a, b, &mut report);
        assert!(!report.failed());
        out.json().to_string()
    }

    #[test]
    fn later_files_win_as_the_specification_says() {
        let service = |text: &str| format!("services: {{ a: {text} }}");
        for (base, over, want) in [
            ("{ image: a, init: true }", "{ image: b }", r#"{"image":"b","init":true}"#),
            ("{ command: [a, b] }", "{ command: [c] }", r#"{"command":["c"]}"#),
            ("{ ports: ['1:1'] }", "{ ports: ['2:2', '1:1'] }", r#"{"ports":["1:1","2:2"]}"#),
            ("{ environment: [A=1, B=2] }", "{ environment: { B: x, C: } }", r#"{"environment":{"A":"1","B":"x","C":null}}"#),
            ("{ volumes: ['a:/x', 'b:/y'] }", "{ volumes: ['c:/x:ro'] }", r#"{"volumes":["c:/x:ro","b:/y"]}"#),
            (
                "{ depends_on: [b] }",
                "{ depends_on: { b: { condition: service_healthy } } }",
                r#"{"depends_on":{"b":{"condition":"service_healthy"}}}"#,
            ),
            (
                "{ x-landfall: { routes: [/a] } }",
                "{ x-landfall: { routes: [/b], port: 1 } }",
                r#"{"x-landfall":{"port":1,"routes":["/b"]}}"#,
            ),
            ("{ image: a }", "{ image: }", r#"{"image":"a"}"#),
        ] {
            assert_eq!(merged(&service(base), &service(over)), format!(r#"{{"services":{{"a":{want}}}}}"#));
        }
    }
}
