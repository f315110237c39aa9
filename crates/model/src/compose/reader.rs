//! Typed access to the tree: what a key must hold, and a complaint that names the key, what was wanted and what was found.
//!
//! A [`Fields`] remembers which keys were asked for, so that `finish` can report every other one: nothing in a file is silently dropped. A key
//! whose value is empty counts as absent, as in Compose. Values are never shown once a variable was put into them.

use super::node::{Kind, Node, Scalar, Value};
use super::report::{Located, Place, Report};
use super::suggest::{nearest, one_of};
use super::yaml::shorten;
use super::{duration, size};
use crate::name::NameError;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A value and the dotted path that names it: `services.web.ports[0]`.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    pub(crate) node: &'a Node,
    pub(crate) key_place: Place,
    pub(crate) path: String,
}

/// A name and its value, if it has one.
pub(crate) type Pair = (Located<String>, Option<Located<String>>);

/// The keys of one mapping.
pub(crate) struct Fields<'a> {
    entries: Vec<Field<'a>>,
    keys: Vec<&'a str>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The keys of a mapping; a complaint and `None` for anything else.
    pub(crate) fn open(field: &Field<'a>, report: &mut Report) -> Option<Self> {
        let Value::Map(entries) = &field.node.value else {
            field.wrong(report, "a mapping (`key: value`)");
            return None;
        };
        let fields = entries.iter().map(|e| Field { node: &e.value, key_place: e.key_place, path: join(&field.path, &e.key) }).collect();
        Some(Self { entries: fields, keys: entries.iter().map(|e| e.key.as_str()).collect(), known: Vec::new() })
    }

    /// The value of a key that is there and not empty.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let index = self.keys.iter().position(|k| *k == key)?;
        self.entries.get(index).filter(|f| !f.node.is_null()).cloned()
    }

    /// A key somebody else reads.
    pub(crate) fn get(&self, key: &str) -> Option<&Field<'a>> {
        self.all().find(|(k, f)| *k == key && !f.node.is_null()).map(|(_, f)| f)
    }

    /// Every key with its value, in the order of the file.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'a str, &Field<'a>)> {
        self.keys.iter().copied().zip(&self.entries)
    }

    /// Says that these keys are spoken of elsewhere.
    pub(crate) fn know(&mut self, keys: impl IntoIterator<Item = &'static str>) {
        self.known.extend(keys);
    }

    /// Warns of keys that will be honoured by a later Landfall.
    pub(crate) fn later(&mut self, keys: &[&'static str], report: &mut Report) {
        self.known.extend(keys);
        for (key, field) in self.all().filter(|(key, field)| keys.contains(key) && !field.node.is_null()) {
            report
                .warning("not-honoured", field.key_place, format!("`{}` is not honoured yet", field.path))
                .hint(format!("`{key}` has no effect for now"));
        }
    }

    /// Complains about keys nobody asked for. `x-` keys are the user's own.
    pub(crate) fn finish(self, report: &mut Report) {
        self.finish_with(report, |_| None);
    }

    /// Likewise, with hints for keys that belong elsewhere.
    pub(crate) fn finish_with(self, report: &mut Report, elsewhere: impl Fn(&str) -> Option<String>) {
        for (key, field) in self.all().filter(|(key, _)| !self.known.contains(key)) {
            if report.is_full() {
                return;
            }
            if key.starts_with("x-") {
                // Compose ignores every extension; a misspelt one of ours would be lost in silence.
                if nearest(key, ["x-landfall"]).is_some() {
                    report
                        .warning("unknown-key", field.key_place, format!("`{}` is not read", field.path))
                        .hint("did you mean `x-landfall`?");
                }
                continue;
            }
            let hint = elsewhere(key)
                .or_else(|| nearest(key, self.known.iter().copied()).map(|near| format!("did you mean `{near}`?")))
                .or_else(|| (self.known.len() <= 8).then(|| format!("known here: {}", one_of(&self.known))));
            report.error("unknown-key", field.key_place, format!("unknown key `{}`", field.path)).maybe_hint(hint);
        }
    }
}

/// `path.key`, or `key` at the top.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { shorten(key) } else { format!("{path}.{}", shorten(key)) }
}

impl<'a> Field<'a> {
    /// The document itself.
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { node, key_place: node.place, path: String::new() }
    }

    /// Where the value is; the key when the value is empty.
    pub(crate) fn place(&self) -> Place {
        if self.node.is_null() { self.key_place } else { self.node.place }
    }

    /// Complains that the value is not what was wanted.
    pub(crate) fn wrong(&self, report: &mut Report, wanted: &str) {
        self.wrong_with(report, wanted, None);
    }

    /// Likewise, with what to write instead.
    pub(crate) fn wrong_with(&self, report: &mut Report, wanted: &str, hint: Option<String>) {
        if self.node.scalar().is_some_and(|s| s.spoiled) {
            return;
        }
        let found = match self.node.scalar() {
            Some(s) if s.substituted => "something else once its variables are put in".to_owned(),
            Some(s) if s.kind == Kind::Text => format!("`{}`", shorten(&s.text)),
            Some(s) if s.kind != Kind::Null => format!("{} (`{}`)", self.node.describe(), shorten(&s.text)),
            _ => self.node.describe().to_owned(),
        };
        let name = if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) };
        report.error("wrong-type", self.place(), format!("{name} wants {wanted}, found {found}")).maybe_hint(hint);
    }

    fn scalar(&self, report: &mut Report, wanted: &str) -> Option<&'a Scalar> {
        let scalar = self.node.scalar().filter(|s| s.kind != Kind::Null);
        if scalar.is_none() {
            self.wrong(report, wanted);
        }
        scalar
    }

    /// Text. A number or truth value is refused, because YAML may have changed it: `1.10` is `1.1`.
    pub(crate) fn text(&self, report: &mut Report) -> Option<Located<String>> {
        let scalar = self.scalar(report, "a string")?;
        if scalar.kind != Kind::Text {
            let message = format!("`{}` wants a string, found {} (`{}`)", self.path, self.node.describe(), shorten(&scalar.text));
            report.error("wrong-type", self.place(), message).hint(format!("put it in quotes: \"{}\"", shorten(&scalar.text)));
            return None;
        }
        if scalar.text.contains('\0') {
            self.wrong(report, "text without NUL characters");
            return None;
        }
        Some(Located::new(scalar.text.clone(), self.place()))
    }

    /// Text, or a number or truth value as Compose prints it; a warning when that changes what is written.
    pub(crate) fn loose_text(&self, report: &mut Report) -> Option<Located<String>> {
        let scalar = self.scalar(report, "a string, a number, true or false")?;
        let text = scalar.canonical();
        if text != scalar.text {
            let message = format!("YAML reads `{}` as {} and hands on `{text}`", shorten(&scalar.text), self.node.describe());
            report.warning("value-changed", self.place(), message).hint(format!("put it in quotes: \"{}\"", shorten(&scalar.text)));
        }
        if text.contains('\0') {
            self.wrong(report, "text without NUL characters");
            return None;
        }
        Some(Located::new(text, self.place()))
    }

    /// What a parser makes of a scalar's text; `wanted` says what it should have been.
    pub(crate) fn parsed<T>(&self, report: &mut Report, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Located<T>> {
        let scalar = self.scalar(report, wanted)?;
        let value = parse(scalar.text.trim());
        if value.is_none() {
            self.wrong(report, wanted);
        }
        Some(Located::new(value?, self.place()))
    }

    /// A whole number; quoted ones count, as in Compose.
    pub(crate) fn integer(&self, range: RangeInclusive<u64>, report: &mut Report) -> Option<Located<u64>> {
        let wanted = if *range.end() == u64::MAX {
            "a whole number".to_owned()
        } else {
            format!("a whole number from {} to {}", range.start(), range.end())
        };
        self.parsed(report, &wanted, |t| super::node::integer(t).and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n)))
    }

    /// A port from 1 to 65535.
    pub(crate) fn port(&self, report: &mut Report) -> Option<Located<u16>> {
        self.parsed(report, "a port from 1 to 65535", |t| t.parse().ok().filter(|p| *p > 0))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, report: &mut Report) -> Option<Located<bool>> {
        self.parsed(report, "`true` or `false`", |t| match t {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        })
    }

    /// Milliseconds.
    pub(crate) fn duration(&self, report: &mut Report) -> Option<Located<u64>> {
        let duration = self.parsed(report, "a duration such as `30s` or `1m30s`", duration::parse);
        if let (None, Some(Scalar { kind: Kind::Int, text, .. })) = (&duration, self.node.scalar()) {
            report.hint_last(format!("which unit? `{0}s` is seconds, `{0}m` minutes", shorten(text)));
        }
        duration
    }

    /// Bytes.
    pub(crate) fn size(&self, report: &mut Report) -> Option<Located<u64>> {
        self.parsed(report, "a size such as `512m` or `2gb`", size::parse)
    }

    /// A name of the model.
    pub(crate) fn name<T: FromStr<Err = NameError>>(&self, code: &str, report: &mut Report) -> Option<Located<T>> {
        let text = self.text(report).filter(|_| self.node.scalar().is_none_or(|s| !s.spoiled))?;
        named(&text, code, report)
    }

    /// The elements of a list.
    pub(crate) fn items(&self, wanted: &str, report: &mut Report) -> Option<Vec<Field<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.wrong(report, wanted);
            if let Some(scalar) = self.node.scalar().filter(|s| !s.substituted && !s.spoiled) {
                report.hint_last(format!("put it in brackets: [\"{}\"]", shorten(&scalar.text)));
            }
            return None;
        };
        let item = |(i, node): (usize, &'a Node)| Field { node, key_place: node.place, path: format!("{}[{i}]", self.path) };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list of strings; numbers count, as Compose prints them.
    pub(crate) fn texts(&self, report: &mut Report) -> Option<Vec<Located<String>>> {
        let items = self.items("a list of strings", report)?;
        Some(items.iter().filter_map(|item| item.loose_text(report)).collect())
    }

    /// One string or a list of them.
    pub(crate) fn text_or_texts(&self, report: &mut Report) -> Option<Vec<Located<String>>> {
        match &self.node.value {
            Value::Scalar(_) => Some(vec![self.loose_text(report)?]),
            _ => self.texts(report),
        }
    }

    /// `KEY: value` or `- KEY=value`; a missing value is `None`.
    pub(crate) fn pairs(&self, report: &mut Report) -> Option<Vec<Pair>> {
        match &self.node.value {
            Value::Map(entries) => Some(
                entries
                    .iter()
                    .filter_map(|e| {
                        let field = Field { node: &e.value, key_place: e.key_place, path: join(&self.path, &e.key) };
                        let value = if e.value.is_null() { None } else { Some(field.loose_text(report)?) };
                        Some((Located::new(e.key.clone(), e.key_place), value))
                    })
                    .collect(),
            ),
            Value::List(_) => {
                let pair = |text: Located<String>| match text.value.split_once('=') {
                    Some((key, value)) => (Located::new(key.to_owned(), text.place), Some(Located::new(value.to_owned(), text.place))),
                    None => (text, None),
                };
                Some(self.texts(report)?.into_iter().map(pair).collect())
            }
            Value::Scalar(_) => {
                self.wrong(report, "a mapping or a list of `NAME=value`");
                None
            }
        }
    }
}

/// Checks a name; the text is shown only when no variable was put into it.
pub(crate) fn named<T: FromStr<Err = NameError>>(text: &Located<String>, code: &str, report: &mut Report) -> Option<Located<T>> {
    match text.value.parse() {
        Ok(value) => Some(Located::new(value, text.place)),
        Err(error) => {
            let message = match report.written(text.place, &text.value).as_str() {
                "…" => format!("with its variables put in, this is no {}", error.kind),
                "" => format!("an empty text is no {}", error.kind),
                shown => format!("`{shown}` is no {}", error.kind),
            };
            report.error(code, text.place, message).hint(format!("wanted: {}", error.want));
            None
        }
    }
}
