//! YAML as gopkg.in/yaml.v3 writes it with an indent of two: block style, long lines left alone, quotes only where a reader would see something
//! other than this text.

use super::super::node::{Kind, kind_of_plain};
use super::super::typed::out::Out;
use super::super::yaml::rfc3339;
use std::fmt::Write as _;

/// Longest key that is written as `key: value`; a longer one gets a `?` of its own.
const MAX_SIMPLE_KEY: usize = 128;

/// A whole document.
pub(super) fn text(out: &Out) -> String {
    let mut text = String::new();
    match out {
        Out::Map(entries) if !entries.is_empty() => mapping(entries, 0, &mut text),
        other => {
            scalar(other, 0, &mut text);
            text.push('\n');
        }
    }
    text
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', depth));
}

/// The entries of a mapping; the cursor stands where the first key goes.
fn mapping(entries: &[(String, Out)], depth: usize, text: &mut String) {
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            indent(depth, text);
        }
        let simple = key.len() <= MAX_SIMPLE_KEY && !key.contains('\n');
        if !simple {
            text.push_str("? ");
        }
        string(key, depth, text);
        let block = |text: &mut String| {
            text.push(if simple { '\n' } else { ' ' });
            indent(if simple { depth + 2 } else { 0 }, text);
        };
        if !simple {
            text.push('\n');
            indent(depth, text);
        }
        text.push(':');
        match value {
            Out::Map(inner) if !inner.is_empty() => {
                block(text);
                mapping(inner, depth + 2, text);
            }
            Out::List(items) if !items.is_empty() => {
                block(text);
                sequence(items, depth + 2, text);
            }
            value => {
                text.push(' ');
                scalar(value, depth, text);
                text.push('\n');
            }
        }
    }
}

/// The elements of a list; the cursor stands where the first dash goes.
fn sequence(items: &[Out], depth: usize, text: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indent(depth, text);
        }
        text.push_str("- ");
        match item {
            Out::Map(inner) if !inner.is_empty() => mapping(inner, depth + 2, text),
            Out::List(inner) if !inner.is_empty() => sequence(inner, depth + 2, text),
            value => {
                scalar(value, depth, text);
                text.push('\n');
            }
        }
    }
}

fn scalar(out: &Out, depth: usize, text: &mut String) {
    match out {
        Out::Null => text.push_str("null"),
        Out::Bool(b) => put(text, format_args!("{b}")),
        Out::Int(n) => put(text, format_args!("{n}")),
        Out::Uint(n) => put(text, format_args!("{n}")),
        Out::Double(f) => text.push_str(&float(*f, &format!("{f:e}"), &f.to_string())),
        Out::Single(f) => text.push_str(&float(f64::from(*f), &format!("{f:e}"), &f.to_string())),
        Out::Text(t) => string(t, depth, text),
        Out::Time(t) => text.push_str(t),
        Out::List(_) => text.push_str("[]"),
        Out::Map(_) => text.push_str("{}"),
    }
}

/// As `strconv.FormatFloat(f, 'g', -1, …)`: an exponent below 1e-4, and from seven digits before the point.
fn float(value: f64, scientific: &str, plain: &str) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let Some((mantissa, power)) = scientific.split_once('e') else { return plain.to_owned() };
    let exponent: i32 = power.parse().unwrap_or(0);
    if value == 0.0 || (-4..6).contains(&exponent) {
        return plain.to_owned();
    }
    let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Writing to a string cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

fn string(value: &str, depth: usize, text: &mut String) {
    match style(value) {
        Style::Plain => text.push_str(value),
        Style::Single => put(text, format_args!("'{}'", value.replace('\'', "''"))),
        Style::Double => double(value, text),
        Style::Literal => literal(value, depth + 2, text),
    }
}

fn style(value: &str) -> Style {
    let seen = Seen::of(value);
    if value.contains('\n') {
        return if seen.literal { Style::Literal } else { Style::Double };
    }
    // A reader would take it for something else than a text, or an old reader would.
    if kind_of_plain(value) != Kind::Text || rfc3339(value).is_some() || is_old_bool(value) || is_base_60(value) {
        return Style::Double;
    }
    match (seen.plain, seen.single) {
        (true, _) => Style::Plain,
        (false, true) => Style::Single,
        (false, false) => Style::Double,
    }
}

/// Which styles a text can be written in.
struct Seen {
    plain: bool,
    single: bool,
    literal: bool,
}

impl Seen {
    fn of(value: &str) -> Self {
        let chars: Vec<char> = value.chars().collect();
        let is_break = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let is_blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t'));
        let special = chars.iter().any(|c| *c != '\t' && !is_printable(*c));
        let tab = chars.contains(&'\t');
        let breaks = chars.iter().any(|c| is_break(*c));
        let pair =
            |first: fn(char) -> bool, second: fn(char) -> bool| chars.windows(2).any(|w| matches!(w, [a, b] if first(*a) && second(*b)));
        let a_break: fn(char) -> bool = |c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let break_space = pair(a_break, |c| c == ' ');
        let space_break = pair(|c| c == ' ', a_break);
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let indicator = chars.iter().enumerate().any(|(i, c)| {
            let before = i.checked_sub(1).and_then(|b| chars.get(b));
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if i == 0 => true,
                '?' | '-' if i == 0 => is_blank(chars.get(i + 1)),
                ':' => is_blank(chars.get(i + 1)),
                '#' => before.is_some_and(|b| matches!(b, ' ' | '\t') || is_break(*b)),
                _ => false,
            }
        });
        let marker = value.starts_with("---") || value.starts_with("...");
        let quoted = !(break_space || space_break || tab || special);
        Self {
            plain: quoted && !breaks && !indicator && !marker && !edge(chars.first()) && !edge(chars.last()),
            single: quoted,
            literal: !(space_break || special || chars.last() == Some(&' ')),
        }
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// YAML 1.1 read these as yes and no.
fn is_old_bool(value: &str) -> bool {
    matches!(value, "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF")
}

/// YAML 1.1 read `1:30` as 90.
fn is_base_60(value: &str) -> bool {
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let head = parts.next().unwrap_or("");
    let head_fits = head.starts_with(|c: char| c.is_ascii_digit()) && head.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut count = 0;
    let rest_fits = parts.all(|p| {
        count += 1;
        matches!(p.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    });
    head_fits && count > 0 && rest_fits && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

fn double(value: &str, text: &mut String) {
    // The encoder takes every character of a text that begins with a byte order mark for one.
    let marked = value.starts_with('\u{feff}');
    text.push('"');
    for c in value.chars() {
        let escape = match c {
            '\0' => "0",
            '\u{7}' => "a",
            '\u{8}' => "b",
            '\t' => "t",
            '\n' => "n",
            '\u{b}' => "v",
            '\u{c}' => "f",
            '\r' => "r",
            '\u{1b}' => "e",
            '"' => "\"",
            '\\' => "\\",
            '\u{85}' => "N",
            '\u{2028}' => "L",
            '\u{2029}' => "P",
            c if is_printable(c) && !marked => {
                text.push(c);
                continue;
            }
            c => {
                let code = u32::from(c);
                match code {
                    0..=0xff => put(text, format_args!("\\x{code:02X}")),
                    0x100..=0xffff => put(text, format_args!("\\u{code:04X}")),
                    _ => put(text, format_args!("\\U{code:08X}")),
                }
                continue;
            }
        };
        text.push('\\');
        text.push_str(escape);
    }
    text.push('"');
}

/// `|` and the lines under it. The cursor ends after the last line's text, as after any scalar.
fn literal(value: &str, depth: usize, text: &mut String) {
    text.push('|');
    if value.starts_with([' ', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        text.push('2');
    }
    match value.strip_suffix('\n') {
        None => text.push('-'),
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => text.push('+'),
        Some(_) => {}
    }
    text.push('\n');
    let mut fresh = true;
    for c in value.chars() {
        // Readers end a line at these too, so what follows is indented like any line.
        let ends = matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
        if fresh && !ends {
            indent(depth, text);
        }
        text.push(c);
        fresh = ends;
    }
    if value.ends_with('\n') {
        text.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_only_when_they_must_be() {
        let shown = |value: &str| {
            let mut text = String::new();
            string(value, 0, &mut text);
            text
        };
        for (value, want) in [
            ("a b", "a b"),
            ("", "\"\""),
            ("yes", "\"yes\""),
            ("1:30", "\"1:30\""),
            ("80:80", "80:80"),
            ("12", "\"12\""),
            ("2001-12-14", "\"2001-12-14\""),
            ("2001-13-14", "2001-13-14"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("it's", "it's"),
            ("'x'", "'''x'''"),
            ("- x", "'- x'"),
            ("-x", "-x"),
            (" x", "' x'"),
            ("a #b", "'a #b'"),
            ("a\tb", "\"a\\tb\""),
            ("*", "'*'"),
            ("😀", "\"\\U0001F600\""),
            ("é", "é"),
            ("a\nb\n", "|\n  a\n  b"),
            ("a\nb", "|-\n  a\n  b"),
            (" a\n\nb\n\n", "|2+\n   a\n\n  b\n"),
            ("a \nb", "\"a \\nb\""),
            ("null", "\"null\""),
            ("~", "\"~\""),
            ("<<", "<<"),
            ("\n\nx", "|2-\n\n\n  x"),
            ("\u{feff}x", "\"\\uFEFF\\x78\""),
        ] {
            assert_eq!(shown(value), want, "{value:?}");
        }
    }

    #[test]
    fn numbers_have_the_digits_go_gives_them() {
        let shown = |f: f64| float(f, &format!("{f:e}"), &f.to_string());
        for (f, want) in
            [(2.5, "2.5"), (1000.0, "1000"), (1e-5, "1e-05"), (1e6, "1e+06"), (123_456.0, "123456"), (1e21, "1e+21"), (0.0, "0")]
        {
            assert_eq!(shown(f), want);
        }
    }
}
