//! Says why a value is not as the schema says: at the deepest place that explains it, once, with what to write instead.
//!
//! `oneOf` is where validators become unreadable. Here the branch meant is the one whose type the value has, and the complaint is that branch's;
//! when no branch has the type, all that are allowed are named together.

use super::super::node::{Entry, Kind, Node, Value};
use super::super::reader::{Field, join};
use super::super::report::Report;
use super::super::suggest::{did_you_mean, nearest, one_of};
use super::super::yaml::shorten;
use super::document::{Pattern, Schema, Type};
use super::{Rules, in_pattern, in_range, in_words, is, repeated};

/// Goes through what does not fit.
pub(super) struct Complainer<'a, 'd> {
    pub(super) rules: &'a Rules<'d>,
    pub(super) report: &'a mut Report,
}

/// A mapping's schema and the path that leads to it, for keys that belong one level up.
#[derive(Clone, Copy)]
struct Parent<'a> {
    schema: &'a Schema,
    path: &'a str,
}

impl Complainer<'_, '_> {
    /// Explains a whole document. True when there was something to say.
    pub(super) fn explain_root(mut self, root: &Node, document: &Schema) -> bool {
        self.explain(&Field::root(root), document, None);
        true
    }

    fn explain(&mut self, field: &Field<'_>, schema: &Schema, parent: Option<Parent<'_>>) {
        let schema = self.rules.resolve(schema);
        if self.report.is_full() || field.node.scalar().is_some_and(|s| s.spoiled) {
            return;
        }
        if !schema.one_of.is_empty() {
            return self.explain_branches(field, schema, parent);
        }
        let types = schema.types.as_ref().map_or(&[][..], |t| t.as_slice());
        if !types.is_empty() && !types.iter().any(|t| is(field.node, *t)) {
            return self.wrong_type(field, types);
        }
        if !in_words(field.node, schema) {
            return self.wrong_word(field, &schema.words);
        }
        if !in_range(field.node, schema) {
            let (min, max) = (schema.minimum, schema.maximum);
            let wanted = match (min, max) {
                (Some(min), Some(max)) => format!("a number from {min} to {max}"),
                (Some(min), None) => format!("a number from {min}"),
                (_, max) => format!("a number up to {}", max.unwrap_or_default()),
            };
            return field.wrong(self.report, &wanted);
        }
        if let Some(pattern) = schema.pattern.filter(|_| !in_pattern(field.node, schema)) {
            return field.wrong(self.report, &pattern.wanted());
        }
        match &field.node.value {
            Value::Map(_) => self.explain_mapping(field, schema, parent),
            Value::List(items) => self.explain_list(field, items, schema),
            Value::Scalar(_) => {}
        }
    }

    fn explain_branches(&mut self, field: &Field<'_>, schema: &Schema, parent: Option<Parent<'_>>) {
        let rules = self.rules;
        let mut wanted = Vec::new();
        for branch in schema.one_of.iter().map(|b| rules.resolve(b)) {
            let types = branch.types.as_ref().map_or(&[][..], |t| t.as_slice());
            if types.iter().any(|t| is(field.node, *t)) {
                return self.explain(field, branch, parent);
            }
            wanted.extend_from_slice(types);
        }
        self.wrong_type(field, &wanted);
    }

    fn wrong_type(&mut self, field: &Field<'_>, types: &[Type]) {
        let mut wanted: Vec<&str> = types.iter().filter(|t| **t != Type::Null).map(|t| t.wanted()).collect();
        wanted.dedup();
        let wanted = match wanted.as_slice() {
            [] => "nothing".to_owned(),
            ["a mapping"] => "a mapping (`key: value`)".to_owned(),
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            [only, ..] => (*only).to_owned(),
        };
        field.wrong_with(self.report, &wanted, remedy(field.node, types));
    }

    fn wrong_word(&mut self, field: &Field<'_>, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let near = field.node.scalar().filter(|s| !s.substituted).and_then(|s| nearest(&s.text, words.iter().copied()));
        field.wrong_with(self.report, &one_of(&words), near.map(|near| format!("did you mean `{near}`?")));
    }

    fn explain_mapping(&mut self, field: &Field<'_>, schema: &Schema, parent: Option<Parent<'_>>) {
        // Under a name (`services.web`) the schema that holds the keys is two levels up; only levels with keys of their own count as parents.
        let here = if schema.has_keys() { Some(Parent { schema, path: &field.path }) } else { parent };
        for entry in field.node.entries() {
            if self.report.is_full() {
                return;
            }
            let inner = Field { node: &entry.value, key_place: entry.key_place, path: join(&field.path, &entry.key) };
            match schema.of_key(&entry.key) {
                Some(known) if self.rules.fits(&entry.value, known) => {}
                Some(known) => self.explain(&inner, known, here),
                None if schema.additional_properties != Some(false) => {}
                None if schema.has_keys() => self.unknown_key(entry, field, schema, parent),
                None => self.bad_name(entry, field, schema),
            }
        }
        for key in schema.required.iter().filter(|key| field.node.get(key).is_none()) {
            let name = if field.path.is_empty() { "the file" } else { &field.path };
            self.report.error("missing-key", field.place(), format!("`{name}` needs `{key}`"));
        }
    }

    fn explain_list(&mut self, field: &Field<'_>, items: &[Node], schema: &Schema) {
        for (index, node) in items.iter().enumerate() {
            if let Some(inner) = schema.items.as_deref().filter(|inner| !self.rules.fits(node, inner)) {
                let item = Field { node, key_place: node.place, path: format!("{}[{index}]", field.path) };
                self.explain(&item, inner, None);
            }
        }
        if let Some(again) = repeated(items).filter(|_| schema.unique_items).and_then(|index| items.get(index)) {
            self.report.error("repeated-item", again.place, format!("`{}` has this twice", field.path)).hint("leave one of the two");
        }
    }

    /// A key that stands where only names of things do.
    fn bad_name(&mut self, entry: &Entry, of: &Field<'_>, schema: &Schema) {
        let wanted = match schema.pattern_properties.keys().find(|p| **p != Pattern::Extension) {
            Some(Pattern::Name) => "letters, digits, `.`, `_` and `-`",
            Some(Pattern::Word) => "small letters",
            _ => "a text that is not empty",
        };
        let kind = match of.path.as_str() {
            "services" => "service name",
            "networks" => "network name",
            "volumes" => "volume name",
            "secrets" => "secret name",
            "configs" => "config name",
            _ => "name",
        };
        let shown = if entry.key.is_empty() { "an empty text".to_owned() } else { format!("`{}`", shorten(&entry.key)) };
        self.report.error("bad-name", entry.key_place, format!("{shown} is no {kind}")).hint(format!("wanted: {wanted}"));
    }

    fn unknown_key(&mut self, entry: &Entry, own: &Field<'_>, schema: &Schema, parent: Option<Parent<'_>>) {
        let key = entry.key.as_str();
        let service = own.path.starts_with("services.") && parent.is_some_and(|p| p.path.is_empty());
        let ours = if service || own.path.is_empty() { super::super::landfall::misplaced(&own.path, key) } else { None };
        let hint = ours
            .or_else(|| self.below(key, own, schema))
            .or_else(|| above(key, parent))
            .or_else(|| did_you_mean(key, schema.properties.keys().map(String::as_str)))
            .or_else(|| {
                let known: Vec<&str> = schema.properties.keys().map(String::as_str).collect();
                (known.len() <= 8).then(|| format!("known here: {}", one_of(&known)))
            });
        let message = format!("unknown key `{}`", join(&own.path, key));
        self.report.error("unknown-key", entry.key_place, message).maybe_hint(hint);
    }

    /// Where `key` would be known further in.
    fn below(&self, key: &str, own: &Field<'_>, schema: &Schema) -> Option<String> {
        if own.path.is_empty() {
            let service = self.rules.definitions.get("service")?;
            return service.properties.contains_key(key).then(|| format!("`{key}` belongs to a service: `services.<name>.{key}`"));
        }
        let holds = |inner: &Schema| {
            let branches = inner.one_of.iter().map(|b| self.rules.resolve(b));
            let has = |s: &Schema| s.properties.contains_key(key);
            has(inner) || branches.into_iter().any(has)
        };
        let (name, _) = schema.properties.iter().find(|(_, inner)| holds(self.rules.resolve(inner)))?;
        Some(format!("`{key}` belongs under `{}`", join(&own.path, name)))
    }
}

/// Where `key` would be known further out.
fn above(key: &str, parent: Option<Parent<'_>>) -> Option<String> {
    let parent = parent.filter(|p| p.schema.properties.contains_key(key))?;
    Some(if parent.path.is_empty() {
        format!("`{key}` belongs at the top of the file")
    } else {
        format!("`{key}` belongs one level further out: `{}`", join(parent.path, key))
    })
}

/// What to write instead, where it follows from what is there.
fn remedy(node: &Node, types: &[Type]) -> Option<String> {
    let Value::Scalar(s) = &node.value else {
        return None;
    };
    let shown = || !s.substituted;
    match s.kind {
        Kind::Int | Kind::Float | Kind::Bool if types.contains(&Type::String) && shown() => {
            Some(format!("put it in quotes: \"{}\"", shorten(&s.text)))
        }
        Kind::Null => Some("give it a value, or leave the key out".to_owned()),
        Kind::Text | Kind::Int | Kind::Float if types.contains(&Type::Array) && !types.contains(&Type::Object) && shown() => {
            Some(format!("put it in brackets: [\"{}\"]", shorten(&s.text)))
        }
        _ => None,
    }
}
