//! JSON as Go's `encoding/json` writes it, indented by two.

use super::super::typed::out::Out;
use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// As a value. `$` is doubled in every text, names too.
pub(super) fn value(out: &Out) -> Value {
    match out {
        Out::Null => Value::Null,
        Out::Bool(b) => Value::Bool(*b),
        Out::Int(n) => Value::from(*n),
        Out::Uint(n) => Value::from(*n),
        // Read back from the text, so that both ways to print agree on what is a whole number.
        Out::Double(_) | Out::Single(_) => serde_json::from_str::<Number>(&text(out)).map_or(Value::Null, Value::Number),
        Out::Text(t) | Out::Time(t) => Value::String(t.replace('$', "$$")),
        Out::List(items) => Value::Array(items.iter().map(value).collect()),
        Out::Map(entries) => Value::Object(entries.iter().map(|(k, v)| (k.replace('$', "$$"), value(v))).collect::<Map<_, _>>()),
    }
}

/// As text.
pub(super) fn text(out: &Out) -> String {
    let mut text = String::new();
    write(out, 0, Style::Indented, &mut text);
    text
}

/// On one line, without blanks.
pub(super) fn compact(out: &Out) -> String {
    let mut text = String::new();
    write(out, 0, Style::Compact, &mut text);
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Indented,
    Compact,
}

fn write(out: &Out, depth: usize, style: Style, text: &mut String) {
    match out {
        Out::Null => text.push_str("null"),
        Out::Bool(b) => put(text, format_args!("{b}")),
        Out::Int(n) => put(text, format_args!("{n}")),
        Out::Uint(n) => put(text, format_args!("{n}")),
        Out::Double(f) => number(*f, f.abs() < 1e-6 || f.abs() >= 1e21, format!("{f}"), format!("{f:e}"), text),
        Out::Single(f) => number(f64::from(*f), f.abs() < 1e-6 || f.abs() >= 1e21, format!("{f}"), format!("{f:e}"), text),
        Out::Text(t) | Out::Time(t) => quoted(t, text),
        Out::List(items) => {
            let write_item = |item: &Out, text: &mut String| write(item, depth + 1, style, text);
            block(('[', ']'), (items, depth, style), text, write_item);
        }
        Out::Map(entries) => block(('{', '}'), (entries, depth, style), text, |(key, value), text| {
            quoted(key, text);
            text.push_str(if style == Style::Indented { ": " } else { ":" });
            write(value, depth + 1, style, text);
        }),
    }
}

/// Writing to a string cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

fn block<T>(ends: (char, char), (items, depth, style): (&[T], usize, Style), text: &mut String, each: impl Fn(&T, &mut String)) {
    text.push(ends.0);
    let line = |text: &mut String, depth: usize| {
        if style == Style::Indented {
            text.push('\n');
            text.extend(std::iter::repeat_n("  ", depth));
        }
    };
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        line(text, depth + 1);
        each(item, text);
    }
    if !items.is_empty() {
        line(text, depth);
    }
    text.push(ends.1);
}

fn number(value: f64, exponent: bool, plain: String, scientific: String, text: &mut String) {
    if value == 0.0 || !exponent {
        // Not a number and infinity cannot come here: the schema has refused them.
        return text.push_str(&plain);
    }
    let Some((mantissa, power)) = scientific.split_once('e') else { return text.push_str(&scientific) };
    let sign = if power.starts_with('-') { "" } else { "+" };
    put(text, format_args!("{mantissa}e{sign}{power}"));
}

fn quoted(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            // Go escapes these so that the text can stand inside a web page.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => put(text, format_args!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let out = Out::Map(vec![
            ("a".into(), Out::List(vec![Out::Int(1), Out::Double(2.5), Out::Double(1e21), Out::Double(1e-7), Out::Single(0.1), Out::Null])),
            ("b".into(), Out::Text("<\u{1}\"\u{2028}é".into())),
            ("c".into(), Out::Map(vec![])),
        ]);
        assert_eq!(compact(&out), r#"{"a":[1,2.5,1e+21,1e-7,0.1,null],"b":"\u003c\u0001\"\u2028é","c":{}}"#);
        assert_eq!(text(&Out::List(vec![Out::Bool(true)])), "[\n  true\n]");
        assert_eq!(value(&Out::Map(vec![("$a".into(), Out::Double(1000.0))])).to_string(), r#"{"$$a":1000}"#);
    }
}
