//! A canonical value as the type its key wants: refused with a place when it cannot be one, otherwise ready to print.
//!
//! The schema has seen every value already, so what is left are texts that are no durations, sizes or commands, and numbers out of range. The
//! same walk prints, so that nothing is printed that was not checked.

use super::super::node::{Entry, Kind, Node, Scalar, Value};
use super::super::reader::Field;
use super::super::report::Report;
use super::super::walk::{push_index, push_key};
use super::super::{duration, size, words};
use super::number::{boolean, decimal, int, single, sprint, uint};
use super::out::{Language, Out};
use super::table::{FILE, Print, Struct, Type};
use std::borrow::Cow;

/// The key Compose puts `x-` keys under while it reads. It shows when a mapping of the user's own names has one.
pub(crate) const EXTENSIONS: &str = "#extensions";

/// Complains about every value that its key cannot hold.
pub(crate) fn check(root: &Node, report: &mut Report) {
    // Both languages hold the same; keys of JSON are put in order faster.
    let mut decoder = Decoder { language: Language::Json, report: Some(report), path: String::new() };
    decoder.structure(root, &FILE);
    for own in root.entries().iter().filter(|e| e.key.starts_with("x-")) {
        no_infinity(&own.value, report);
    }
}

/// The user's own keys at the top are printed as JSON, which has no such numbers.
fn no_infinity(node: &Node, report: &mut Report) {
    match &node.value {
        Value::Scalar(s) if s.kind == Kind::Float && !super::super::node::float(&s.text).is_some_and(f64::is_finite) => {
            report.error("wrong-type", node.place, "YAML reads this as a number that is infinite or none").hint("put it in quotes");
        }
        Value::Scalar(_) => {}
        Value::List(items) => items.iter().for_each(|item| no_infinity(item, report)),
        Value::Map(entries) => entries.iter().for_each(|entry| no_infinity(&entry.value, report)),
    }
}

/// A value of a checked tree, to print.
pub(crate) fn value(node: &Node, of: &Type, language: Language) -> Out {
    Decoder { language, report: None, path: String::new() }.value(node, of)
}

/// The whole of a checked tree, to print.
pub(crate) fn file(root: &Node, language: Language) -> Out {
    Decoder { language, report: None, path: String::new() }.structure(root, &FILE)
}

struct Decoder<'a> {
    language: Language,
    report: Option<&'a mut Report>,
    path: String,
}

impl Decoder<'_> {
    fn value(&mut self, node: &Node, of: &Type) -> Out {
        if node.is_null() {
            return Out::Null;
        }
        match of {
            Type::Struct(s) => self.structure(node, s),
            Type::List(item) => Out::List(self.each(node.items(), |d, item_node| match d.value(item_node, item) {
                // A list of structures has no holes.
                Out::Null => Out::Map(Vec::new()),
                out => out,
            })),
            Type::Map(item) => self.map(&members(node), item),
            Type::Names(item) => self.map(&plain(node), item),
            Type::Texts | Type::Ports | Type::OneOrTexts => self.texts(node, of),
            Type::Command => self.command(node),
            Type::Test => match &node.value {
                Value::Scalar(s) => Out::List(vec![Out::Text("CMD-SHELL".into()), Out::Text(s.canonical())]),
                _ => self.texts(node, &Type::Texts),
            },
            Type::Mapping | Type::Environment | Type::Strings | Type::Labels | Type::Variables => self.pairs(node, of),
            Type::Hosts => self.hosts(node),
            Type::Ssh => ssh(node),
            Type::Options => self.options(node),
            Type::Ulimit => self.ulimit(node),
            scalar => self.scalar(node, scalar),
        }
    }

    fn structure(&mut self, node: &Node, of: &Struct) -> Out {
        if !matches!(node.value, Value::Map(_)) {
            return self.wrong(node, "a mapping (`key: value`)");
        }
        let mut out = Vec::new();
        let length = self.path.len();
        for key in of.keys {
            let given = node.get(key.name);
            push_key(&mut self.path, key.name);
            let value = given.map_or(Out::Null, |n| self.value(n, &key.of));
            self.path.truncate(length);
            let json = self.language == Language::Json;
            let printed = match key.print {
                Print::Never => false,
                Print::Always => true,
                Print::Given => value != Out::Null,
                // A host without addresses still is a host.
                Print::Filled if matches!(key.of, Type::Hosts) => given.is_some_and(|n| !n.entries().is_empty() || !n.items().is_empty()),
                Print::Filled => !value.is_zero() && !zero_text(&value, &key.of),
                Print::Inline => json || !value.is_zero(),
                Print::Yaml => !json && !value.is_zero(),
                Print::Command => json || value != Out::Null,
            };
            if printed {
                let name = if json { key.json } else { key.name };
                let value = if value == Out::Null { self.zero(key.print, &key.of) } else { value };
                out.push((name.to_owned(), value));
            }
        }
        if of.extensions && self.language == Language::Yaml {
            let own = node.entries().iter().filter(|e| e.key.starts_with("x-")).map(|e| (e.key.clone(), any(&e.value, self.language)));
            if let Out::Map(own) = sorted(own.collect(), self.language) {
                out.extend(own);
            }
        }
        Out::Map(out)
    }

    /// What is printed for a key that is not there and must be.
    fn zero(&mut self, print: Print, of: &Type) -> Out {
        match of {
            Type::Struct(s) if print == Print::Inline => self.structure(&Node::map(super::super::report::Place::default(), Vec::new()), s),
            Type::Names(_) => Out::Map(Vec::new()),
            Type::Text => Out::Text(String::new()),
            Type::Bool => Out::Bool(false),
            Type::Int => Out::Int(0),
            Type::Uint(_) => Out::Uint(0),
            Type::Bytes => Out::Text("0".into()),
            _ => Out::Null,
        }
    }

    fn map(&mut self, members: &[(Cow<'_, str>, Cow<'_, Node>)], of: &Type) -> Out {
        let length = self.path.len();
        let mut out = Vec::with_capacity(members.len());
        for (key, node) in members {
            push_key(&mut self.path, key);
            out.push((key.to_string(), self.value(node, of)));
            self.path.truncate(length);
        }
        sorted(out, self.language)
    }

    fn each(&mut self, items: &[Node], mut of: impl FnMut(&mut Self, &Node) -> Out) -> Vec<Out> {
        let length = self.path.len();
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            push_index(&mut self.path, index);
            out.push(of(self, item));
            self.path.truncate(length);
        }
        out
    }

    fn texts(&mut self, node: &Node, of: &Type) -> Out {
        match &node.value {
            Value::List(items) => Out::List(self.each(items, |d, item| match (of, item.scalar()) {
                (Type::Ports, Some(s)) => Out::Text(s.canonical()),
                _ => d.text(item),
            })),
            Value::Scalar(_) if matches!(of, Type::OneOrTexts) => Out::List(vec![self.text(node)]),
            _ => self.wrong(node, "a list of strings"),
        }
    }

    /// A text; a whole number is one, another number is not.
    fn text(&mut self, node: &Node) -> Out {
        match node.scalar() {
            Some(s) if matches!(s.kind, Kind::Text | Kind::Int | Kind::Null) => Out::Text(s.canonical()),
            _ => self.wrong(node, "a string"),
        }
    }

    fn command(&mut self, node: &Node) -> Out {
        let Value::Scalar(s) = &node.value else { return self.texts(node, &Type::Texts) };
        match words::compose(&s.canonical()) {
            Ok(split) => Out::List(split.words.into_iter().map(Out::Text).collect()),
            Err(open) => {
                if let Some(report) = self.report.as_mut().filter(|_| !s.spoiled) {
                    report
                        .error("bad-command", node.place, format!("`{}` has no closing {open}", self.path))
                        .hint("close the quote, or write a list");
                }
                Out::Null
            }
        }
    }

    fn pairs(&mut self, node: &Node, of: &Type) -> Out {
        if let Value::List(items) = &node.value {
            let pair = |item: &Node| {
                let text = sprint(item);
                match (text.split_once('='), of) {
                    (Some((key, value)), _) => (key.to_owned(), Out::Text(value.to_owned())),
                    (None, Type::Environment | Type::Variables) => (text, Out::Null),
                    (None, _) => (text, Out::Text(String::new())),
                }
            };
            return sorted(items.iter().map(pair).collect(), self.language);
        }
        let length = self.path.len();
        let mut out = Vec::new();
        let own = if matches!(of, Type::Labels | Type::Variables) { plain(node) } else { members(node) };
        for (key, value) in own {
            push_key(&mut self.path, &key);
            let shown = match (of, value.is_null()) {
                (Type::Environment | Type::Variables, true) => Out::Null,
                (_, true) => Out::Text(String::new()),
                (Type::Strings, false) => self.text(&value),
                (_, false) => Out::Text(sprint(&value)),
            };
            out.push((key.into_owned(), shown));
            self.path.truncate(length);
        }
        sorted(out, self.language)
    }

    /// `extra_hosts`: a list of `name=address`, whatever form it was written in.
    fn hosts(&mut self, node: &Node) -> Out {
        const WANTED: &str = "a host such as `name=10.0.0.1`";
        let mut list = Vec::new();
        let mut push = |name: &str, address: &str| {
            let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).filter(|a| !a.is_empty()).unwrap_or(address);
            list.push(format!("{name}={bare}"));
        };
        let bad_name = |name: &str| name.is_empty() || name.contains([':', '=']);
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let text = sprint(item);
                    match text.split_once('=').or_else(|| text.split_once(':')) {
                        Some((name, addresses)) if !bad_name(name) => addresses.split(',').for_each(|a| push(name, a)),
                        _ => {
                            let length = self.path.len();
                            push_index(&mut self.path, index);
                            self.wrong(item, WANTED);
                            self.path.truncate(length);
                        }
                    }
                }
            }
            _ => {
                for (name, value) in members(node) {
                    if bad_name(&name) {
                        self.wrong(&value, WANTED);
                        continue;
                    }
                    match &value.value {
                        Value::List(items) => items.iter().for_each(|a| push(&name, &sprint(a))),
                        Value::Scalar(s) => push(&name, &s.canonical()),
                        Value::Map(_) => {
                            self.wrong(&value, WANTED);
                        }
                    }
                }
            }
        }
        list.sort();
        Out::List(list.into_iter().map(Out::Text).collect())
    }

    fn options(&self, node: &Node) -> Out {
        let texts = |value: &Node| -> Vec<Out> {
            match &value.value {
                Value::List(items) => items.iter().map(|item| Out::Text(sprint(item))).collect(),
                _ => vec![Out::Text(sprint(value))],
            }
        };
        let all = members(node).into_iter().map(|(key, value)| (key.into_owned(), texts(&value)));
        // Of an empty list Compose keeps nothing.
        sorted(all.filter(|(_, texts)| !texts.is_empty()).map(|(key, texts)| (key, Out::List(texts))).collect(), self.language)
    }

    fn ulimit(&mut self, node: &Node) -> Out {
        let whole = |s: &Scalar| if s.kind == Kind::Int { int(s) } else { None };
        if let Value::Scalar(s) = &node.value {
            return match whole(s) {
                Some(0) => self.limits(0, 0),
                Some(n) => Out::Int(n),
                None => self.wrong(node, "a whole number"),
            };
        }
        let mut one = |key: &str| match node.get(key).filter(|n| !n.is_null()) {
            Some(n) => n.scalar().and_then(whole).unwrap_or_else(|| {
                self.wrong(n, "a whole number");
                0
            }),
            None => 0,
        };
        let (soft, hard) = (one("soft"), one("hard"));
        self.limits(soft, hard)
    }

    fn limits(&self, soft: i64, hard: i64) -> Out {
        let all = [("soft", soft), ("hard", hard)];
        let shown = all.into_iter().filter(|(_, n)| self.language == Language::Yaml || *n != 0);
        Out::Map(shown.map(|(key, n)| (key.to_owned(), Out::Int(n))).collect())
    }

    fn scalar(&mut self, node: &Node, of: &Type) -> Out {
        let Some(s) = node.scalar() else { return self.wrong(node, "a single value") };
        let (out, wanted) = match of {
            Type::Text => return self.text(node),
            Type::TextOrBool if s.kind == Kind::Bool => (Some(Out::Text(s.canonical())), ""),
            Type::TextOrBool => return self.text(node),
            Type::Mode => (mode(s).map(|n| Out::Text(octal(n))), "the permissions of a file such as `0440`"),
            Type::Bool => (boolean(s).map(Out::Bool), "`true` or `false`"),
            Type::Int => (int(s).map(Out::Int), "a whole number"),
            Type::Uint(bits) => (uint(s).map(|n| Out::Uint(cut(n, *bits))), "a whole number from 0"),
            Type::Float => (single(s).map(Out::Single), "a number"),
            Type::Bytes => (bytes(s).map(|n| Out::Text(n.to_string())), "a size such as `512m` or `2gb`"),
            Type::Duration => {
                (duration::nanoseconds(&s.canonical()).map(|n| Out::Text(duration::show(n))), "a duration such as `30s` or `1m30s`")
            }
            Type::Count => (count(s).map(Out::Int), "a whole number or `all`"),
            _ => (None, "a single value"),
        };
        out.unwrap_or_else(|| self.wrong(node, wanted))
    }

    fn wrong(&mut self, node: &Node, wanted: &str) -> Out {
        if let Some(report) = &mut self.report {
            Field { node, key_place: node.place, path: self.path.clone() }.wrong(report, wanted);
        }
        Out::Null
    }
}

/// No bytes and no time are left out, although their texts are not empty.
fn zero_text(value: &Out, of: &Type) -> bool {
    match (of, value) {
        (Type::Bytes, Out::Text(t)) => t == "0",
        (Type::Duration, Out::Text(t)) => t == "0s",
        _ => false,
    }
}

fn cut(n: u64, bits: u32) -> u64 {
    if bits >= 64 { n } else { n & ((1 << bits) - 1) }
}

/// Bytes. A number with a fraction is none at all to Compose, and no error.
fn bytes(s: &Scalar) -> Option<i64> {
    match s.kind {
        Kind::Text => size::bytes(&s.text),
        Kind::Int => int(s),
        _ => Some(0),
    }
}

/// Permissions. A text is octal, with or without a sign.
pub(crate) fn mode(s: &Scalar) -> Option<i64> {
    match s.kind {
        Kind::Text => i64::from_str_radix(&s.text, 8).ok(),
        Kind::Int => super::super::node::integer(&s.text).and_then(|n| i64::try_from(n).ok()),
        _ => None,
    }
}

/// Go's way to print it; nobody means a number below 0.
fn octal(n: i64) -> String {
    format!("0{}{:o}", if n < 0 { "-" } else { "" }, n.unsigned_abs())
}

fn count(s: &Scalar) -> Option<i64> {
    match s.kind {
        Kind::Int => int(s),
        Kind::Text if s.text.eq_ignore_ascii_case("all") => Some(-1),
        Kind::Text => decimal(&s.text),
        _ => None,
    }
}

fn ssh(node: &Node) -> Out {
    let mut keys: Vec<String> = members(node)
        .iter()
        .map(|(id, path)| if path.is_null() || sprint(path).is_empty() { id.to_string() } else { format!("{id}: {}", sprint(path)) })
        .collect();
    keys.sort();
    Out::List(keys.into_iter().map(Out::Text).collect())
}

/// The entries of a mapping; `x-` keys gathered under the name Compose gathers them under.
fn members(node: &Node) -> Vec<(Cow<'_, str>, Cow<'_, Node>)> {
    let own = |e: &&Entry| e.key.starts_with("x-");
    let mut all: Vec<_> = node.entries().iter().filter(|e| !own(e)).map(|e| (Cow::from(e.key.as_str()), Cow::Borrowed(&e.value))).collect();
    let extensions: Vec<Entry> = node.entries().iter().filter(own).cloned().collect();
    if let Some(first) = extensions.first() {
        all.push((Cow::from(EXTENSIONS), Cow::Owned(Node::map(first.key_place, extensions))));
    }
    all
}

fn plain(node: &Node) -> Vec<(Cow<'_, str>, Cow<'_, Node>)> {
    node.entries().iter().map(|e| (Cow::from(e.key.as_str()), Cow::Borrowed(&e.value))).collect()
}

/// A value nobody has a type for.
pub(crate) fn any(node: &Node, language: Language) -> Out {
    match &node.value {
        // Compose has lost the list by then, which only JSON shows.
        Value::List(items) if items.is_empty() && language == Language::Json => Out::Null,
        Value::List(items) => Out::List(items.iter().map(|item| any(item, language)).collect()),
        Value::Map(entries) => sorted(entries.iter().map(|e| (e.key.clone(), any(&e.value, language))).collect(), language),
        Value::Scalar(s) => match s.kind {
            Kind::Null => Out::Null,
            Kind::Bool => Out::Bool(s.text.eq_ignore_ascii_case("true")),
            Kind::Int => match super::super::node::integer(&s.text) {
                Some(n) => i64::try_from(n).map_or(Out::Uint(n as u64), Out::Int),
                None => Out::Text(s.text.clone()),
            },
            Kind::Float => super::super::node::float(&s.text).map_or_else(|| Out::Text(s.text.clone()), Out::Double),
            Kind::Text => Out::Text(s.text.clone()),
            Kind::Time => Out::Time(s.text.clone()),
        },
    }
}

/// Keys in the order of the language; of a key that is there twice the last counts.
fn sorted(mut out: Vec<(String, Out)>, language: Language) -> Out {
    match language {
        Language::Json => out.sort_by(|a, b| a.0.cmp(&b.0)),
        Language::Yaml => out.sort_by(|a, b| super::super::print::natural(&a.0, &b.0)),
    }
    out.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    Out::Map(out)
}
