//! What a short form may look like at all, for files that are only extended: Compose holds them against no schema, but refuses what it cannot write
//! out, in services that nobody extends too.

use super::super::node::{Kind, Node, Value};
use super::super::reader::Field;
use super::super::report::Report;
use super::super::walk;

/// Where, what is good there, and the words for it.
type Rule = (&'static [&'static str], fn(&Node) -> bool, &'static str);

const RULES: [Rule; 19] = [
    (&["services", "*", "build"], |n| is_text(n) || is_map(n), "a string or a mapping"),
    (
        &["services", "*", "build", "additional_contexts"],
        |n| is_map(n) && each(n, is_text) || is_list(n),
        "a list, or a mapping to strings",
    ),
    (&["services", "*", "build", "secrets", "*"], |n| is_text(n) || is_map(n), "a string or a mapping"),
    (&["services", "*", "build", "ssh"], |n| is_map(n) || is_list(n) && each(n, is_text), "a mapping or a list of strings"),
    (&["services", "*", "build", "ulimits", "*"], |n| !is_list(n), "a whole number or a mapping"),
    (&["services", "*", "configs", "*"], |n| is_text(n) || is_map(n), "a string or a mapping"),
    (&["services", "*", "depends_on"], |n| is_map(n) && each(n, is_map) || is_list(n) && each(n, is_text), "a list of names, or a mapping"),
    (&["services", "*", "devices", "*"], |n| is_text(n) || is_map(n), "a string or a mapping"),
    (&["services", "*", "env_file"], |n| is_text(n) || is_list(n), "a string or a list"),
    (&["services", "*", "extends"], |n| is_text(n) || is_map(n), "a string or a mapping"),
    (&["services", "*", "gpus"], |n| is_text(n) || is_list(n), "`all` or a list"),
    (&["services", "*", "label_file", "*"], |n| is_text(n) || is_list(n), "a string"),
    (&["services", "*", "models"], |n| !is_list(n) || each(n, is_text), "a list of names, or a mapping"),
    (&["services", "*", "networks"], |n| !is_list(n) || each(n, is_text), "a list of names, or a mapping"),
    (&["services", "*", "ports"], is_list, "a list"),
    (&["services", "*", "ports", "*"], |n| !is_list(n), "a port or a mapping"),
    (&["services", "*", "secrets", "*"], |n| is_text(n) || is_map(n), "a string or a mapping"),
    (&["services", "*", "ulimits", "*"], |n| !is_list(n), "a whole number or a mapping"),
    (&["services", "*", "volumes", "*"], |n| is_text(n) || is_map(n), "a string or a mapping"),
];

/// Complains about what cannot be written out. `root` was held against no schema.
pub(crate) fn check(root: &Node, report: &mut Report) {
    for (pattern, fits, wanted) in RULES {
        walk::visit(root, pattern, &mut |path, node| {
            if !fits(node) && !report.is_full() {
                Field { node, key_place: node.place, path: path.to_owned() }.wrong(report, wanted);
            }
        });
    }
}

fn is_text(node: &Node) -> bool {
    node.scalar().is_some_and(|s| s.kind == Kind::Text || s.spoiled)
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

fn is_list(node: &Node) -> bool {
    matches!(node.value, Value::List(_))
}

/// Whether all elements, or all values that are not under a key of the user's own, are good.
fn each(node: &Node, good: fn(&Node) -> bool) -> bool {
    node.items().iter().all(good) && node.entries().iter().filter(|e| !e.key.starts_with("x-")).all(|e| good(&e.value))
}
