//! The tree a YAML file becomes: scalars, lists and mappings, each with the place it was written at.
//!
//! Mappings keep the order of the file. A scalar's kind is decided when it is parsed, before variables are put in, because that is what
//! Compose does: `${PORT}` is text whatever it becomes. Kinds are those gopkg.in/yaml.v3 finds in plain scalars (YAML 1.2 core schema, plus
//! `0777` and `0b1` as numbers, `1_000` with underscores; `yes` and `no` are text).

#![allow(dead_code, reason = "used by the stages being built")]

use super::report::Place;
use serde_json::{Map, Number, Value as Json};
use std::collections::BTreeMap;

/// One value of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

/// A scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// A variable was put in, so the text may be a secret and no message shows it.
    pub(crate) substituted: bool,
    /// Its variables could not be put in, which was complained about; whatever is wrong with it now has no news.
    pub(crate) spoiled: bool,
}

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    /// A date, as RFC 3339.
    Time,
}

impl Node {
    /// What it is, for "expected …, found …".
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(s) => match s.kind {
                Kind::Null => "nothing",
                Kind::Bool => "true or false",
                Kind::Int | Kind::Float => "a number",
                Kind::Text => "a string",
                Kind::Time => "a date",
            },
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.kind == Kind::Null)
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// A mapping made by a stage, not written by anybody; it stands at `place`.
    pub(crate) fn map(place: Place, entries: Vec<Entry>) -> Self {
        Self { place, value: Value::Map(entries) }
    }

    /// A list made by a stage.
    pub(crate) fn list(place: Place, items: Vec<Node>) -> Self {
        Self { place, value: Value::List(items) }
    }

    /// A scalar made by a stage.
    pub(crate) fn made(place: Place, kind: Kind, text: impl Into<String>) -> Self {
        Self { place, value: Value::Scalar(Scalar { text: text.into(), kind, substituted: false, spoiled: false }) }
    }

    /// A string made by a stage.
    pub(crate) fn text(place: Place, text: impl Into<String>) -> Self {
        Self::made(place, Kind::Text, text)
    }

    /// A piece of this scalar as a node of its own: same place, and a secret if this is one.
    pub(crate) fn piece(&self, kind: Kind, text: impl Into<String>) -> Self {
        let mut node = Self::made(self.place, kind, text);
        if let (Value::Scalar(new), Value::Scalar(old)) = (&mut node.value, &self.value) {
            (new.substituted, new.spoiled) = (old.substituted, old.spoiled);
        }
        node
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries to change; `None` for what is no mapping.
    pub(crate) fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn items_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries_mut()?.iter_mut().find(|e| e.key == key).map(|e| &mut e.value)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.key == key)
    }

    /// Sets a key of a mapping; a key that is new stands where its value does. Nothing happens to what is no mapping.
    pub(crate) fn set(&mut self, key: &str, value: Node) {
        let Some(entries) = self.entries_mut() else { return };
        match entries.iter_mut().find(|e| e.key == key) {
            Some(entry) => entry.value = value,
            None => entries.push(Entry { key: key.to_owned(), key_place: value.place, value }),
        }
    }

    /// Takes a key out of a mapping.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        let entries = self.entries_mut()?;
        let index = entries.iter().position(|e| e.key == key)?;
        Some(entries.remove(index))
    }

    /// True when both say the same: places and the order of keys do not count.
    pub(crate) fn same(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar(a), Value::Scalar(b)) => a.kind == b.kind && a.canonical() == b.canonical(),
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => {
                let of: BTreeMap<&str, &Node> = b.iter().map(|e| (e.key.as_str(), &e.value)).collect();
                a.len() == b.len() && a.iter().all(|e| of.get(e.key.as_str()).is_some_and(|other| e.value.same(other)))
            }
            _ => false,
        }
    }

    /// How many nodes it is made of.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Node::count).sum(),
            Value::Map(entries) => entries.iter().map(|e| e.value.count()).sum(),
        }
    }

    /// As JSON, kinds kept.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::List(items) => Json::Array(items.iter().map(Node::json).collect()),
            Value::Map(entries) => Json::Object(entries.iter().map(|e| (e.key.clone(), e.value.json())).collect::<Map<_, _>>()),
            Value::Scalar(s) => s.json(),
        }
    }
}

impl Scalar {
    /// The text as Compose hands it on where it wants a string and finds a number: `0123` becomes `83`, `1.10` becomes `1.1`.
    pub(crate) fn canonical(&self) -> String {
        match self.kind {
            Kind::Text => self.text.clone(),
            Kind::Null => String::new(),
            Kind::Time => go_time(&self.text),
            Kind::Bool => self.text.to_ascii_lowercase(),
            Kind::Int => integer(&self.text).map_or_else(|| self.text.clone(), |n| n.to_string()),
            Kind::Float => float(&self.text).map_or_else(|| self.text.clone(), go_float),
        }
    }

    fn json(&self) -> Json {
        match self.kind {
            Kind::Null => Json::Null,
            Kind::Bool => Json::Bool(self.text.eq_ignore_ascii_case("true")),
            Kind::Int => integer(&self.text)
                .and_then(|n| i64::try_from(n).map(Number::from).or_else(|_| u64::try_from(n).map(Number::from)).ok())
                .map_or_else(|| Json::String(self.text.clone()), Json::Number),
            Kind::Float => match float(&self.text) {
                Some(f) if f.fract() == 0.0 && f.abs() < 9e15 => Json::from(f as i64),
                Some(f) => Number::from_f64(f).map_or_else(|| Json::String(self.text.clone()), Json::Number),
                None => Json::String(self.text.clone()),
            },
            Kind::Text | Kind::Time => Json::String(self.text.clone()),
        }
    }
}

/// The kind of a plain scalar.
pub(crate) fn kind_of_plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Bool,
        _ if integer(text).is_some() => Kind::Int,
        _ if float(text).is_some() => Kind::Float,
        _ => Kind::Text,
    }
}

/// The number a plain scalar stands for; bounded to what fits 64 bits, signed or not.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.as_bytes().first()?.is_ascii_digit() || digits.len() > 70 {
        return None;
    }
    let plain = digits.replace('_', "");
    let (radix, body) = match plain.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &plain[2..]),
        [b'0', b'o' | b'O', ..] => (8, &plain[2..]),
        [b'0', b'b' | b'B', ..] => (2, &plain[2..]),
        [b'0', _, ..] => (8, &plain[1..]),
        _ => (10, plain.as_str()),
    };
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = i128::from_str_radix(body, radix).ok()?;
    let value = if negative { -value } else { value };
    (value >= i128::from(i64::MIN) && value <= i128::from(u64::MAX)).then_some(value)
}

/// The floating-point number a plain scalar stands for.
pub(crate) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let digits = unsigned.bytes().any(|b| b.is_ascii_digit());
    let shaped = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+' | b'_'));
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !digits || !shaped || !starts {
        return None;
    }
    // What is too large for 64 bits is a text.
    text.replace('_', "").parse().ok().filter(|f: &f64| f.is_finite())
}

/// RFC 3339 as Go prints a time with `%v`.
fn go_time(text: &str) -> String {
    let (date, rest) = text.split_once('T').unwrap_or((text, ""));
    match rest.strip_suffix('Z') {
        Some(clock) => format!("{date} {clock} +0000 UTC"),
        None => {
            let (clock, zone) = rest.split_at(rest.len().saturating_sub(6));
            let zone = zone.replace(':', "");
            format!("{date} {clock} {zone} {zone}")
        }
    }
}

/// As Go prints a float64 with `%v`.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    // Six digits before the point are the most that are written out.
    if value == 0.0 || exponent.parse().is_ok_and(|e: i32| (-4..6).contains(&e)) {
        return value.to_string();
    }
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_kinds_compose_sees() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("true", Kind::Bool),
            ("no", Kind::Text),
            ("yes", Kind::Text),
            ("off", Kind::Text),
            ("12", Kind::Int),
            ("-0x1F", Kind::Int),
            ("0o17", Kind::Int),
            ("1_000", Kind::Int),
            ("08", Kind::Float),
            ("1.5", Kind::Float),
            ("1e3", Kind::Float),
            (".inf", Kind::Float),
            ("1.2.3", Kind::Text),
            ("3.8-alpine", Kind::Text),
            ("0x", Kind::Text),
            ("-", Kind::Text),
            ("18446744073709551615", Kind::Int),
            ("18446744073709551616", Kind::Float),
            ("12:30", Kind::Text),
            ("1e400", Kind::Text),
            ("e5", Kind::Text),
        ] {
            assert_eq!(kind_of_plain(text), kind, "{text:?}");
        }
    }

    #[test]
    fn numbers_where_text_is_wanted_change_as_they_do_in_compose() {
        let canonical =
            |text: &str| Scalar { text: text.into(), kind: kind_of_plain(text), substituted: false, spoiled: false }.canonical();
        for (text, want) in [
            ("0123", "83"),
            ("1.10", "1.1"),
            ("True", "true"),
            ("08", "8"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-07"),
            ("1e6", "1e+06"),
            ("123456.0", "123456"),
            ("100", "100"),
            ("abc", "abc"),
        ] {
            assert_eq!(canonical(text), want);
        }
    }
}
