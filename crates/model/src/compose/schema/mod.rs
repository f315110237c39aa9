//! The official JSON Schema of the Compose Specification, applied to the tree.
//!
//! Compose checks each file against this document, so whatever it accepts and refuses here is what Compose accepts and refuses. The document is
//! vendored as data; a small interpreter reads it. A boolean answer alone would help nobody: where something does not fit, [`complain`] finds the
//! deepest place that explains it and says so once. Every value is visited a bounded number of times, because the document is not recursive.

mod complain;
mod document;

use super::node::{Kind, Node, Scalar, Value};
use super::report::{Place, Report};
use super::typed::number::go_float;
pub(crate) use document::Schema;
use document::Type;
use std::collections::{BTreeMap, BTreeSet};

/// The document, as Compose ships it.
pub const DOCUMENT: &str = include_str!("compose-spec.json");

/// Deepest `$ref` chain followed. The document has none deeper than two; a broken one must not hang.
const MAX_REFERENCES: usize = 8;

/// The document, read: once for all files of a project.
pub(crate) fn read(report: &mut Report) -> Option<Schema> {
    match serde_json::from_str::<Schema>(DOCUMENT) {
        Ok(document) => Some(document),
        Err(error) => {
            // Only a change of the vendored file can bring this about, and a test reads it.
            report.error("internal", Place::default(), format!("the schema of Compose cannot be read: {error}"));
            None
        }
    }
}

/// Checks a whole file. False after at least one complaint.
pub(crate) fn check(root: &Node, document: &Schema, report: &mut Report) -> bool {
    let rules = Rules { definitions: &document.definitions };
    rules.fits(root, document) || !complain::Complainer { rules: &rules, report }.explain_root(root, document)
}

/// The document's definitions, for following references.
pub(crate) struct Rules<'a> {
    definitions: &'a BTreeMap<String, Schema>,
}

impl<'a> Rules<'a> {
    /// The schema a reference leads to.
    fn resolve<'s>(&self, mut schema: &'s Schema) -> &'s Schema
    where
        'a: 's,
    {
        for _ in 0..MAX_REFERENCES {
            match schema.reference.as_ref().and_then(|r| self.definitions.get(&r.0)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// Whether a value is as the schema says.
    fn fits(&self, node: &Node, schema: &Schema) -> bool {
        let schema = self.resolve(schema);
        // It was complained about already; that it is not what it would have been is no news.
        if node.scalar().is_some_and(|s| s.spoiled) {
            return true;
        }
        schema.types.as_ref().is_none_or(|t| t.as_slice().iter().any(|t| is(node, *t)))
            && in_words(node, schema)
            && in_range(node, schema)
            && in_pattern(node, schema)
            && self.contents_fit(node, schema)
            && (schema.one_of.is_empty() || schema.one_of.iter().filter(|branch| self.fits(node, branch)).count() == 1)
    }

    fn contents_fit(&self, node: &Node, schema: &Schema) -> bool {
        match &node.value {
            Value::Map(entries) => {
                schema.required.iter().all(|key| node.get(key).is_some())
                    && entries.iter().all(|e| match schema.of_key(&e.key) {
                        Some(inner) => self.fits(&e.value, inner),
                        None => schema.additional_properties != Some(false),
                    })
            }
            Value::List(items) => {
                schema.items.as_ref().is_none_or(|inner| items.iter().all(|item| self.fits(item, inner)))
                    && (!schema.unique_items || repeated(items).is_none())
            }
            Value::Scalar(_) => true,
        }
    }
}

/// Whether a value has a type of JSON.
fn is(node: &Node, wanted: Type) -> bool {
    match (&node.value, wanted) {
        (Value::Map(_), Type::Object) | (Value::List(_), Type::Array) => true,
        (Value::Scalar(s), wanted) => match (s.kind, wanted) {
            (Kind::Null, Type::Null) | (Kind::Bool, Type::Boolean) | (Kind::Text, Type::String) => true,
            (Kind::Int | Kind::Float, Type::Number) | (Kind::Int, Type::Integer) => true,
            // A number without a fraction is whole however it is written.
            (Kind::Float, Type::Integer) => number(s).is_some_and(|f| f.fract() == 0.0),
            _ => false,
        },
        _ => false,
    }
}

fn number(scalar: &Scalar) -> Option<f64> {
    match scalar.kind {
        Kind::Int => super::node::integer(&scalar.text).map(|n| n as f64),
        Kind::Float => super::node::float(&scalar.text).filter(|f| f.is_finite()),
        _ => None,
    }
}

fn in_words(node: &Node, schema: &Schema) -> bool {
    schema.words.is_empty() || node.scalar().is_some_and(|s| s.kind == Kind::Text && schema.words.contains(&s.text))
}

fn in_range(node: &Node, schema: &Schema) -> bool {
    let Some(value) = node.scalar().and_then(number) else { return true };
    schema.minimum.is_none_or(|min| value >= min) && schema.maximum.is_none_or(|max| value <= max)
}

fn in_pattern(node: &Node, schema: &Schema) -> bool {
    let Some(pattern) = schema.pattern else { return true };
    node.scalar().is_none_or(|s| s.kind != Kind::Text || pattern.is_in(&s.text))
}

/// The index of the first element that equals an earlier one, as Compose's checker compares them: `1` and `1.0` are equal, and a number equals an
/// earlier text that reads as it (`['1', 1]`), though a text equals no earlier number.
fn repeated(items: &[Node]) -> Option<usize> {
    let (mut seen, mut read) = (BTreeSet::new(), BTreeSet::new());
    items.iter().position(|item| {
        if let Some(text) = item.scalar().filter(|s| s.kind == Kind::Text) {
            read.extend(go_float(&text.text).map(|n| format!("{n}")));
        }
        let own = fingerprint(item);
        let again = item.scalar().and_then(number).is_some() && read.contains(&own);
        !seen.insert(own) || again
    })
}

/// A text that is the same for equal values only.
fn fingerprint(node: &Node) -> String {
    match &node.value {
        Value::Scalar(s) => match number(s) {
            Some(n) => format!("{n}"),
            None if s.kind == Kind::Text => format!("{:?}", s.text),
            None => s.canonical(),
        },
        Value::List(items) => format!("[{}]", items.iter().map(fingerprint).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let sorted: BTreeMap<&str, String> = entries.iter().map(|e| (e.key.as_str(), fingerprint(&e.value))).collect();
            format!("{sorted:?}")
        }
    }
}

#[cfg(test)]
mod tests;
