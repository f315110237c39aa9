//! YAML text → trees with places, one per document.
//!
//! Tokens ([`scan`]) become events ([`event`]), which are gathered on an explicit stack, so depth costs no machine stack. Aliases are expanded here (a copy keeps the places
//! of the original), merge keys are applied, `!reset` and `!override` are noted, and every bound is checked before memory is spent: a file of
//! [`MAX_TEXT`] bytes, a nesting of [`MAX_DEPTH`], [`MAX_NODES`] nodes and [`MAX_EXPANDED`] bytes of text after aliases. Values are read as
//! gopkg.in/yaml.v3 reads them, which is what Compose uses. Refused with a place: control characters,
//! repeated keys, keys that are no text.

mod builder;
mod event;
mod mark;
mod place;
mod scan;
mod time;

pub(crate) use mark::Mark;
pub(crate) use time::rfc3339;

use super::node::Node;
use super::report::Report;
use builder::Builder;
use event::Parser;
use place::Offsets;
use scan::Wrong;

/// Longest file, bytes.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// Most nodes after aliases are expanded.
pub const MAX_NODES: usize = 40_000;
/// Most documents in one file.
const MAX_DOCUMENTS: usize = 100;
/// Most tokens of a text: several for each value.
const MAX_TOKENS: usize = 400_000;
/// There were more.
const TOO_MANY: &str = "the file has more signs and values than any project needs";
/// JSON and YAML 1.2 have it, Compose's reader does not.
const SLASH: &str = "`\\/` is no escape that Compose knows";
/// Most bytes of scalars and keys after aliases are expanded.
pub const MAX_EXPANDED: usize = 4 * 1024 * 1024;

/// One document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// Its `name`, marked or not: Compose reads that before it looks at marks.
    pub(crate) name: Option<Node>,
    /// What the document takes out of the ones before it.
    pub(crate) marks: Vec<Mark>,
}

/// The documents of a file that was added to the report as `file`; `None` after a complaint that leaves nothing to go on with.
pub(crate) fn parse(text: &str, file: u16, report: &mut Report) -> Option<Vec<Document>> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offsets = Offsets::new(text, body, file);
    if let Some((index, c)) = body.char_indices().find(|(_, c)| is_forbidden(*c)) {
        let place = offsets.of_byte(body, index);
        let message = format!("the file contains the character {}, which YAML does not allow", c.escape_unicode());
        report.error("control-character", place, message).hint("save the file as UTF-8 text");
        return None;
    }
    let mut builder = Builder::new(offsets, report);
    let (tokens, wrong) = scan::scan(body);
    if let Some(wrong) = wrong {
        return refuse(&mut builder, &wrong, body);
    }
    let mut parser = Parser::new(tokens);
    loop {
        match parser.next() {
            Ok(Some(event)) => builder.event(event)?,
            Ok(None) => break,
            Err(wrong) => return refuse(&mut builder, &wrong, body),
        }
    }
    Some(builder.documents)
}

/// Bytes of a text that belong to quoted and block scalars, in order.
pub(crate) fn quoted(text: &str) -> Vec<(usize, usize)> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shift = text.len() - body.len();
    let is_text = |kind: &scan::Kind| matches!(kind, scan::Kind::Scalar(_, style) if *style != scan::Style::Plain);
    let tokens = scan::scan(body).0;
    tokens.iter().filter(|t| is_text(&t.kind)).map(|t| (t.start.byte + shift, t.end.byte + shift)).collect()
}

/// Complains about what is no YAML.
fn refuse(builder: &mut Builder<'_>, wrong: &Wrong, body: &str) -> Option<Vec<Document>> {
    let place = builder.offsets.place(wrong.at, wrong.at);
    let hint = syntax_hint(body, wrong.at.line, wrong.why);
    builder.report.error("yaml-syntax", place, format!("this is not YAML: {}", wrong.why)).hint(hint);
    None
}

/// Neither printable (YAML 1.2 §5.1) nor harmless: C0 and C1 controls but tab and line breaks, and byte order marks inside the text.
fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn syntax_hint(text: &str, line: usize, info: &str) -> &'static str {
    let variable = text.lines().nth(line).is_some_and(|l| l.contains("${"));
    if info == SLASH {
        "write `/`, or put the text in single quotes"
    } else if info.contains("is missing") && variable && text.contains(['{', '[']) {
        "put `${…}` in quotes inside `{ … }` and `[ … ]`"
    } else if info.contains("a tab") {
        "indent with spaces; YAML does not allow tabs"
    } else if info.contains("mapping values") {
        "quote the value: text that contains `: ` is read as a key"
    } else {
        "look for a missing quote, bracket or indentation before this place"
    }
}

/// A name from the file, fit for a message.
pub(crate) fn shorten(text: &str) -> String {
    // Nearly every name, and every one is asked for: paths for messages are made before anybody complains.
    if text.len() <= 60 && text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\'' | b'\\')) {
        return text.to_owned();
    }
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    let mut shown: String = text[..end].chars().flat_map(char::escape_debug).collect();
    if end < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::node::Value;
    use crate::compose::report::Place;

    /// The text each scalar and key was written as, by its place.
    fn written(text: &str) -> Vec<String> {
        let mut report = Report::default();
        let file = report.add_file("f", text.to_owned(), true);
        let documents = parse(text, file, &mut report).unwrap();
        let mut out = Vec::new();
        let cut = |place: Place| text[place.start as usize..place.end as usize].to_owned();
        let mut stack: Vec<&Node> = documents.iter().rev().map(|d| &d.root).collect();
        while let Some(node) = stack.pop() {
            match &node.value {
                Value::Scalar(_) => out.push(cut(node.place)),
                Value::List(items) => stack.extend(items.iter().rev()),
                Value::Map(entries) => {
                    out.extend(entries.iter().map(|e| cut(e.key_place)));
                    stack.extend(entries.iter().rev().map(|e| &e.value));
                }
            }
        }
        out
    }

    #[test]
    fn places_hold_what_was_written_there() {
        assert_eq!(written("é: plain  # remark\n"), ["é", "plain"]);
        assert_eq!(written("\u{feff}a: 'q é' # r\n"), ["a", "'q é'"]);
        assert_eq!(written("a: \"x\\ny\"\nb: [c, 'd']"), ["a", "b", "\"x\\ny\"", "c", "'d'"]);
        assert_eq!(written("a: |\n  one\n  two\nb: c\n").last().map(String::as_str), Some("c"));
        assert_eq!(written("a:\r\n  b: c\r\n"), ["a", "b", "c"]);
        assert_eq!(written("- &x v\n- *x\n- !!str &y 'w' # r"), ["v", "v", "'w'"]);
    }

    #[test]
    fn merge_keys_give_way_to_the_mapping_and_to_earlier_ones() {
        let mut report = Report::default();
        let text = "a: &a { x: 1, y: 1 }\nb: &b { y: 2, z: 2 }\nc: { <<: [*a, *b], x: 0 }\nd: { '<<': text }";
        let file = report.add_file("f", text.into(), true);
        let tree = parse(text, file, &mut report).unwrap().remove(0).root;
        assert_eq!(tree.get("c").unwrap().json().to_string(), r#"{"x":0,"y":1,"z":2}"#);
        assert_eq!(tree.get("d").unwrap().json().to_string(), r#"{"<<":"text"}"#);
        assert!(!report.failed());
    }
}
