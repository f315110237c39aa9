//! The resolved file as `docker compose config` prints it, byte for byte.
//!
//! Compose prints what its Go structures hold: keys in the order of the fields, sizes and durations as text, nothing that no enabled service uses.
//! Every `$` is doubled at the end, so that the output can be read as input again. `x-` keys inside are printed in YAML only, as Compose does.

mod hash;
mod json;
mod list;
mod yaml;

use super::canonical::entry;
use super::model::Model;
use super::node::{Node, Value};
use super::typed::decode;
use super::typed::out::{Language, Out};
use super::walk;
use std::cmp::Ordering;
use std::collections::BTreeSet;

pub(crate) use hash::hashes;
pub(crate) use list::{images, profiles, services, volumes};

/// As a value of JSON, equal to what `docker compose config --format json` prints.
pub(crate) fn json(model: &Model) -> serde_json::Value {
    json::value(&document(model, Language::Json))
}

/// The text of `docker compose config --format json`, in its order and with its escapes. It ends without a line break, as there.
pub(crate) fn json_text(model: &Model) -> String {
    json::text(&document(model, Language::Json)).replace('$', "$$")
}

/// The text of `docker compose config`.
pub(crate) fn yaml(model: &Model) -> String {
    yaml::text(&document(model, Language::Yaml)).replace('$', "$$")
}

/// Everything printed, in the order printed.
fn document(model: &Model, language: Language) -> Out {
    let Out::Map(mut keys) = decode::file(&used(&model.root), language) else { return Out::Map(Vec::new()) };
    keys.insert(0, ("name".to_owned(), Out::Text(model.name.clone())));
    if language == Language::Json {
        // At the top Compose hands a plain map to the encoder, which sorts it and prints `x-` keys too.
        keys.extend(
            model.root.entries().iter().filter(|e| e.key.starts_with("x-")).map(|e| (e.key.clone(), decode::any(&e.value, language))),
        );
        keys.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Out::Map(keys)
}

/// The tree without what no service uses, and without values that Compose holds but does not print.
fn used(root: &Node) -> Node {
    let mut root = root.clone();
    let services = root.get("services").cloned().unwrap_or_else(|| Node::map(root.place, Vec::new()));
    let mut names: [(&str, BTreeSet<String>); 5] =
        ["networks", "volumes", "secrets", "configs", "models"].map(|kind| (kind, BTreeSet::new()));
    let mut add = |kind: &str, name: &str| {
        names.iter_mut().filter(|(k, _)| *k == kind).for_each(|(_, set)| {
            set.insert(name.to_owned());
        });
    };
    for service in services.entries().iter().map(|e| &e.value) {
        for kind in ["networks", "models"] {
            service.get(kind).map(Node::entries).unwrap_or_default().iter().for_each(|e| add(kind, &e.key));
        }
    }
    for (pattern, kind) in
        [(&["*", "secrets", "*"][..], "secrets"), (&["*", "build", "secrets", "*"], "secrets"), (&["*", "configs", "*"], "configs")]
    {
        walk::visit(&services, pattern, &mut |_, mount| {
            if let Some(source) = mount.get("source").and_then(Node::scalar) {
                add(kind, &source.text);
            }
        });
    }
    walk::visit(&services, &["*", "volumes", "*"], &mut |_, mount| {
        let text = |key: &str| mount.get(key).and_then(Node::scalar).map_or("", |s| s.text.as_str());
        if text("type") == "volume" {
            add("volumes", text("source"));
        }
    });
    if let Value::Map(entries) = &mut root.value {
        for (kind, used) in &names {
            for all in entries.iter_mut().filter(|e| e.key == *kind) {
                if let Some(inner) = all.value.entries_mut() {
                    inner.retain(|e| used.contains(&e.key));
                }
            }
        }
        if entries.iter().all(|e| e.key != "services") {
            entries.push(entry("services", services));
        }
    }
    for kind in ["secrets", "configs"] {
        walk::change(&mut root, &[kind, "*"], &mut |_, object| {
            object.remove("x-#value");
            if object.get("environment").is_some() {
                object.remove("content");
            }
        });
    }
    root
}

/// The order in which Compose's YAML encoder puts keys: letters after everything else, runs of digits by their number.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let same = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y);
    let Some(((at, x), y)) = same else { return a.chars().count().cmp(&b.chars().count()) };
    let before = a.get(..at).unwrap_or("");
    let after_digit = before.ends_with(char::is_numeric);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => x.cmp(&y),
        // After digits a letter comes first (`a1b` before `a1_`), otherwise last.
        (true, false) if after_digit => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if after_digit => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            // A zero inside a longer number counts as a digit of it, not as a leading zero.
            let inside = (x == '0' || y == '0') && before.chars().rev().take_while(|c| c.is_numeric()).any(|c| c != '0');
            let number = |text: &str| {
                let run = text.get(at..).unwrap_or("").bytes().take_while(u8::is_ascii_digit);
                run.fold((u64::from(inside), 0usize), |(n, count), c| (n.wrapping_mul(10).wrapping_add(u64::from(c - b'0')), count + 1))
            };
            number(a).cmp(&number(b)).then(x.cmp(&y))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_the_encoder() {
        let mut keys = ["b", "a10", "a2", "A", "a_b", "ab", "a", "#x", "a1b", "a1_", "a01", "10", "9", "_"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(keys, ["#x", "_", "9", "10", "A", "a", "a_b", "a1b", "a1_", "a01", "a2", "a10", "ab", "b"]);
    }
}
