//! The support table against the official schema of Compose: a key in only one of them fails.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::compose::support_table;
use serde_json::Value;
use std::collections::BTreeSet;

const SCHEMA: &str = include_str!("../src/compose/schema/compose-spec.json");

struct Walk<'a> {
    schema: &'a Value,
    found: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    /// Adds every key that a node of the schema lets a file have at `path`. `within` are the references on the way, for the schema may name itself.
    fn node(&mut self, node: &'a Value, path: &str, within: &[&'a str]) {
        if let Some(target) = node.get("$ref").and_then(Value::as_str) {
            if within.contains(&target) {
                return;
            }
            let definition = self.schema.pointer(target.trim_start_matches('#')).unwrap();
            return self.node(definition, path, &[within, &[target]].concat());
        }
        for branches in ["oneOf", "anyOf", "allOf"] {
            for branch in node.get(branches).and_then(Value::as_array).into_iter().flatten() {
                self.node(branch, path, within);
            }
        }
        for (key, value) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.found.insert(path.clone());
            self.node(value, &path, within);
        }
        for (pattern, value) in node.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            if !pattern.starts_with("^x-") {
                self.node(value, &format!("{path}.*"), within);
            }
        }
        if let Some(any) = node.get("additionalProperties").filter(|n| n.is_object()) {
            self.node(any, &format!("{path}.*"), within);
        }
        if let Some(items) = node.get("items").filter(|n| n.is_object()) {
            self.node(items, &format!("{path}[]"), within);
        }
    }
}

#[test]
fn every_key_of_the_schema_has_one_row_and_every_row_a_key() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut walk = Walk { schema: &schema, found: BTreeSet::new() };
    walk.node(&schema, "", &[]);
    assert!(walk.found.len() > 300, "the schema was not walked: {}", walk.found.len());
    let table = support_table();
    let rows: BTreeSet<String> = table.iter().map(|row| row.path.clone()).collect();
    assert_eq!(rows.len(), table.len(), "a key has two rows");
    let (without_row, without_key): (Vec<_>, Vec<_>) = (walk.found.difference(&rows).collect(), rows.difference(&walk.found).collect());
    assert!(without_row.is_empty() && without_key.is_empty(), "keys without a row: {without_row:#?}\nrows without a key: {without_key:#?}");
}

#[test]
fn a_reason_is_given_for_everything_that_is_not_simply_done() {
    for row in support_table() {
        for support in [row.docker, row.process] {
            if let Some(reason) = support.reason() {
                assert!(reason.len() > 10 && !reason.ends_with('.') && reason == reason.trim(), "{}: {reason:?}", row.path);
            }
        }
    }
}
