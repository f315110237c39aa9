//! Every value that stands at a path such as `services.*.ports.*`, whatever the names on the way.
//!
//! The stages that make a file canonical are rules about such places, and a rule should read as one. `*` is any key of a mapping or any element
//! of a list. The callback is told the path as a person writes it, for complaints.

use super::node::{Node, Value};
use super::yaml::shorten;
use std::fmt::Write as _;

/// Calls `change` for every value at `pattern`.
pub(crate) fn change(root: &mut Node, pattern: &[&str], change: &mut dyn FnMut(&str, &mut Node)) {
    step_mut(root, pattern, &mut String::new(), change);
}

/// Likewise, only to look.
pub(crate) fn visit<'a>(root: &'a Node, pattern: &[&str], visit: &mut dyn FnMut(&str, &'a Node)) {
    step(root, pattern, &mut String::new(), visit);
}

fn step_mut(node: &mut Node, pattern: &[&str], path: &mut String, change: &mut dyn FnMut(&str, &mut Node)) {
    let Some((first, rest)) = pattern.split_first() else { return change(path, node) };
    let length = path.len();
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries.iter_mut().filter(|e| *first == "*" || e.key == *first) {
                push_key(path, &entry.key);
                step_mut(&mut entry.value, rest, path, change);
                path.truncate(length);
            }
        }
        Value::List(items) if *first == "*" => {
            for (index, item) in items.iter_mut().enumerate() {
                push_index(path, index);
                step_mut(item, rest, path, change);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn step<'a>(node: &'a Node, pattern: &[&str], path: &mut String, visit: &mut dyn FnMut(&str, &'a Node)) {
    let Some((first, rest)) = pattern.split_first() else { return visit(path, node) };
    let length = path.len();
    match &node.value {
        Value::Map(entries) => {
            for entry in entries.iter().filter(|e| *first == "*" || e.key == *first) {
                push_key(path, &entry.key);
                step(&entry.value, rest, path, visit);
                path.truncate(length);
            }
        }
        Value::List(items) if *first == "*" => {
            for (index, item) in items.iter().enumerate() {
                push_index(path, index);
                step(item, rest, path, visit);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Lengthens a path by a key.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&shorten(key));
}

/// Lengthens a path by the index of a list.
pub(crate) fn push_index(path: &mut String, index: usize) {
    // Writing to a string cannot fail.
    let _ = write!(path, "[{index}]");
}
