//! YAML text → a tree with places.
//!
//! The scanner's events are gathered on an explicit stack, so depth costs no machine stack. Aliases are expanded here (a copy keeps the places
//! of the original), merge keys are applied, and every bound is checked before memory is spent: a file of [`MAX_TEXT`] bytes, a nesting of
//! [`MAX_DEPTH`], [`MAX_NODES`] nodes and [`MAX_EXPANDED`] bytes of text after aliases. Refused with a place: control characters (the scanner
//! would take NUL for the end), repeated keys, keys that are no scalars, tags Landfall does not honour.

use super::node::{Entry, Kind, Node, Scalar, Value, kind_of_plain};
use super::report::{Place, Report};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::BTreeMap;

/// Longest file, bytes.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// Most nodes after aliases are expanded.
pub const MAX_NODES: usize = 100_000;
/// Most bytes of scalars and keys after aliases are expanded.
pub const MAX_EXPANDED: usize = 4 * 1024 * 1024;

/// The documents of a file that was added to the report as `file`; `None` after a complaint that leaves nothing to go on with.
pub(crate) fn parse(text: &str, file: u16, report: &mut Report) -> Option<Vec<Node>> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offsets = Offsets::new(text, body, file);
    if let Some((index, c)) = body.char_indices().find(|(_, c)| is_forbidden(*c)) {
        let place = offsets.of_byte(body, index);
        let message = format!("the file contains the character {}, which YAML does not allow", c.escape_unicode());
        report.error("control-character", place, message).hint("save the file as UTF-8 text");
        return None;
    }
    let mut builder = Builder {
        offsets,
        report,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        spent: Size::default(),
        kept: Size::default(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(body) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let place = builder.offsets.place(*error.marker(), *error.marker());
                if error.info().contains("recursion limit") {
                    return builder.too_deep(place).and(None);
                }
                builder.report.error("yaml-syntax", place, format!("this is not YAML: {}", error.info())).hint(syntax_hint(
                    body,
                    error.marker().line(),
                    error.info(),
                ));
                return None;
            }
        }
    }
    Some(builder.documents)
}

/// Neither printable (YAML 1.2 §5.1) nor harmless: C0 and C1 controls but tab and line breaks, and byte order marks inside the text.
fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || c == '\u{feff}'
}

fn syntax_hint(text: &str, line: usize, info: &str) -> &'static str {
    let variable = text.lines().nth(line.saturating_sub(1)).is_some_and(|l| l.contains("${"));
    if info.contains("flow") && variable {
        "put `${…}` in quotes inside `{ … }` and `[ … ]`"
    } else if text.lines().any(|l| l.trim_start_matches(' ').starts_with('\t')) {
        "indent with spaces; YAML does not allow tabs"
    } else if info.contains("mapping values") {
        "quote the value: text that contains `: ` is read as a key"
    } else {
        "look for a missing quote, bracket or indentation before this place"
    }
}

/// Characters, which the scanner counts, to bytes, which everyone else does.
struct Offsets {
    file: u16,
    /// Bytes of the byte order mark.
    shift: usize,
    /// Byte offset of each character; empty for ASCII, where they are equal.
    bytes: Vec<u32>,
    length: usize,
}

impl Offsets {
    fn new(text: &str, body: &str, file: u16) -> Self {
        let bytes = if body.is_ascii() { Vec::new() } else { body.char_indices().map(|(i, _)| i as u32).collect() };
        Self { file, shift: text.len() - body.len(), bytes, length: body.len() }
    }

    fn byte(&self, index: usize) -> u32 {
        let byte = if self.bytes.is_empty() { index.min(self.length) } else { self.bytes.get(index).map_or(self.length, |b| *b as usize) };
        (byte + self.shift) as u32
    }

    fn place(&self, start: Marker, end: Marker) -> Place {
        let (first, last) = (self.byte(start.index()), self.byte(end.index()));
        Place { file: self.file, start: first, end: last.max(first), line: start.line() as u32, column: start.col() as u32 + 1 }
    }

    /// For a complaint the scanner has not come to.
    fn of_byte(&self, body: &str, index: usize) -> Place {
        let before = &body[..index];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let start = (index + self.shift) as u32;
        Place {
            file: self.file,
            start,
            end: start + 1,
            line: before.matches('\n').count() as u32 + 1,
            column: before[line_start..].chars().count() as u32 + 1,
        }
    }
}

/// What a tree costs.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

enum Key {
    Wanted,
    Named(String, Place, bool),
    /// Complained about; its value is read and dropped.
    Bad,
}

struct Frame {
    place: Place,
    anchor: usize,
    /// Spent before this collection began.
    before: Size,
    items: Vec<Node>,
    map: Option<MapFrame>,
}

struct MapFrame {
    entries: Vec<Entry>,
    seen: BTreeMap<String, u32>,
    key: Key,
    merges: Vec<Node>,
}

struct Builder<'r> {
    offsets: Offsets,
    report: &'r mut Report,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, Size)>,
    /// In the tree.
    spent: Size,
    /// In the copies kept for aliases.
    kept: Size,
    documents: Vec<Node>,
}

impl Builder<'_> {
    /// `None` when reading must stop.
    fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Option<()> {
        let place = self.offsets.place(span.start, span.end);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, (style, anchor, tag.as_deref()), place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::SequenceStart(anchor, tag) => self.open(None, anchor, tag.as_deref(), place),
            Event::MappingStart(anchor, tag) => {
                let map = MapFrame { entries: Vec::new(), seen: BTreeMap::new(), key: Key::Wanted, merges: Vec::new() };
                self.open(Some(map), anchor, tag.as_deref(), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            _ => Some(()),
        }
    }

    fn spend(&mut self, cost: Size, place: Place) -> Option<()> {
        self.spent = Size { nodes: self.spent.nodes + cost.nodes, bytes: self.spent.bytes + cost.bytes };
        self.afford(place)
    }

    /// Keeps a copy for aliases, which is paid for like the original: anchors inside anchors inside anchors are copies of copies.
    fn keep(&mut self, anchor: usize, node: &Node, cost: Size) -> Option<()> {
        if anchor == 0 {
            return Some(());
        }
        self.kept = Size { nodes: self.kept.nodes + cost.nodes, bytes: self.kept.bytes + cost.bytes };
        self.afford(node.place)?;
        self.anchors.insert(anchor, (node.clone(), cost));
        Some(())
    }

    fn afford(&mut self, place: Place) -> Option<()> {
        if self.spent.nodes + self.kept.nodes <= MAX_NODES && self.spent.bytes + self.kept.bytes <= MAX_EXPANDED {
            return Some(());
        }
        let message =
            format!("the file is too large: more than {MAX_NODES} values or {} MiB of text once aliases are expanded", MAX_EXPANDED >> 20);
        self.report.error("too-large", place, message).hint("an alias (`*name`) copies what its anchor (`&name`) stands for, every time");
        None
    }

    fn scalar(&mut self, text: &str, (style, anchor, tag): (ScalarStyle, usize, Option<&Tag>), place: Place) -> Option<()> {
        let cost = Size { nodes: 1, bytes: text.len() };
        self.spend(cost, place)?;
        let plain = style == ScalarStyle::Plain;
        let mut kind = if plain { kind_of_plain(text) } else { Kind::Text };
        if let Some(tag) = tag {
            kind = self.tagged(tag, text, kind, place);
        }
        // The scanner begins a scalar at its anchor or tag, and ends it where it found something else, with the blanks and remarks before it.
        let raw = self.report.text(place.file).get(place.start as usize..place.end as usize).unwrap_or("");
        let skipped = properties_length(raw);
        let raw = &raw[skipped..];
        let length = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => quoted_length(raw),
            _ => raw.trim_end().len(),
        };
        let start = place.start + skipped as u32;
        let place = Place { start, column: place.column + skipped as u32, ..place };
        let end = start + length as u32;
        let node = Node {
            place: Place { end, ..place },
            value: Value::Scalar(Scalar { text: text.to_owned(), kind, substituted: false, spoiled: false }),
        };
        self.keep(anchor, &node, cost)?;
        self.add(node, plain)
    }

    fn tagged(&mut self, tag: &Tag, text: &str, plain_kind: Kind, place: Place) -> Kind {
        if tag.is_yaml_core_schema() {
            match tag.suffix.as_str() {
                "str" => return Kind::Text,
                "int" | "float" | "bool" | "null" | "seq" | "map" => return kind_of_plain(text),
                _ => {}
            }
        }
        self.refuse_tag(tag, place);
        plain_kind
    }

    fn refuse_tag(&mut self, tag: &Tag, place: Place) {
        let name = format!("{}{}", tag.handle, tag.suffix);
        match name.as_str() {
            "!" => {}
            "!reset" | "!override" => self
                .report
                .error("not-honoured", place, format!("`{name}` is not honoured yet"))
                .hint("leave the value out of the base file, or give all of it in the last `-f` file"),
            _ => self.report.error("unknown-tag", place, format!("unknown tag `{name}`")).hint("remove the tag; Compose files need none"),
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Option<()> {
        match self.anchors.get(&anchor).map(|(_, cost)| *cost) {
            Some(cost) => {
                self.spend(cost, place)?;
                let depth = self.anchors.get(&anchor).map_or(0, |(node, _)| depth(node));
                if self.stack.len() + depth > MAX_DEPTH {
                    return self.too_deep(place);
                }
                let copy = self.anchors.get(&anchor).map(|(node, _)| node.clone())?;
                self.add(copy, false)
            }
            // The scanner refuses unknown names, so this is one that is still open.
            None => {
                self.report
                    .error("alias-cycle", place, "this alias stands for a value that contains the alias itself")
                    .hint("remove the alias");
                None
            }
        }
    }

    fn too_deep(&mut self, place: Place) -> Option<()> {
        self.report.error("too-deep", place, format!("values are nested deeper than {MAX_DEPTH} levels")).hint("no Compose key needs that");
        None
    }

    fn open(&mut self, map: Option<MapFrame>, anchor: usize, tag: Option<&Tag>, place: Place) -> Option<()> {
        if self.stack.len() >= MAX_DEPTH {
            return self.too_deep(place);
        }
        if let Some(tag) = tag.filter(|t| !(t.is_yaml_core_schema() && matches!(t.suffix.as_str(), "map" | "seq"))) {
            self.refuse_tag(tag, place);
        }
        let before = self.spent;
        self.spend(Size { nodes: 1, bytes: 0 }, place)?;
        self.stack.push(Frame { place, anchor, before, items: Vec::new(), map });
        Some(())
    }

    fn close(&mut self, end: Place) -> Option<()> {
        let frame = self.stack.pop()?;
        // A complaint about a collection marks its first line: the rest says nothing more.
        let raw = self.report.text(frame.place.file).get(frame.place.start as usize..end.end as usize).unwrap_or("");
        let first = raw.lines().next().unwrap_or("").trim_end().len();
        let place = Place { end: frame.place.start + first as u32, ..frame.place };
        let value = match frame.map {
            None => Value::List(frame.items),
            Some(map) => Value::Map(self.merged(map)),
        };
        let node = Node { place, value };
        let cost = Size { nodes: self.spent.nodes - frame.before.nodes, bytes: self.spent.bytes - frame.before.bytes };
        self.keep(frame.anchor, &node, cost)?;
        self.add(node, false)
    }

    /// Applies `<<`: keys of the mapping itself win, then those of earlier merged mappings.
    fn merged(&mut self, map: MapFrame) -> Vec<Entry> {
        let MapFrame { mut entries, mut seen, merges, .. } = map;
        let sources = merges.into_iter().flat_map(|node| match node.value {
            Value::List(items) => items,
            _ => vec![node],
        });
        for source in sources {
            let Value::Map(more) = source.value else {
                let message = format!("`<<` wants a mapping or a list of mappings, found {}", source.describe());
                self.report.error("wrong-type", source.place, message).hint("write `<<: *name`, where `&name` marks a mapping");
                continue;
            };
            for entry in more {
                if !seen.contains_key(&entry.key) {
                    seen.insert(entry.key.clone(), entry.key_place.line);
                    entries.push(entry);
                }
            }
        }
        entries
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, plain: bool) -> Option<()> {
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Some(());
        };
        let Some(map) = frame.map.as_mut() else {
            frame.items.push(node);
            return Some(());
        };
        match std::mem::replace(&mut map.key, Key::Wanted) {
            Key::Wanted => map.key = key(node, plain, &mut map.seen, self.report),
            Key::Named(name, key_place, false) => map.entries.push(Entry { key: name, key_place, value: node }),
            Key::Named(_, _, true) => map.merges.push(node),
            Key::Bad => {}
        }
        Some(())
    }
}

/// Bytes of `&anchor` and `!tag` before a scalar on their line; both are ASCII in every file that is read, or the place stays as it is.
fn properties_length(raw: &str) -> usize {
    let mut at = 0;
    while let Some(rest) = raw.get(at..).filter(|r| r.starts_with(['&', '!'])) {
        let word = rest.find([' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        let blanks = rest[word..].bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let after = &rest[word + blanks..];
        if !rest[..word].is_ascii() || after.is_empty() || after.starts_with(['\n', '\r']) {
            break;
        }
        at += word + blanks;
    }
    at
}

/// Bytes of a quoted scalar with its quotes. In single quotes a doubled one is text, in double quotes one after a backslash.
fn quoted_length(raw: &str) -> usize {
    let bytes = raw.as_bytes();
    let quote = bytes.first().copied().unwrap_or(b'"');
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 2,
            b if *b == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 2,
            b if *b == quote => return at + 1,
            _ => at += 1,
        }
    }
    raw.len()
}

fn key(node: Node, plain: bool, seen: &mut BTreeMap<String, u32>, report: &mut Report) -> Key {
    let Value::Scalar(Scalar { text, kind, .. }) = node.value else {
        report
            .error("bad-key", node.place, "a key must be a single word, not a list or mapping")
            .hint("quote text that begins with `[` or `{`");
        return Key::Bad;
    };
    if kind == Kind::Null {
        report.error("bad-key", node.place, "a key is missing before `:`").hint("write the key's name");
        return Key::Bad;
    }
    if let Some(line) = seen.get(&text) {
        let message = format!("the key `{}` is given twice; the first is on line {line}", shorten(&text));
        report.error("duplicate-key", node.place, message).hint("keep one of the two");
        return Key::Bad;
    }
    seen.insert(text.clone(), node.place.line);
    let merge = plain && text == "<<";
    Key::Named(text, node.place, merge)
}

/// A name from the file, fit for a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    shown
}

/// Levels of nesting, 1 for a scalar. Recursion is bounded by [`MAX_DEPTH`].
fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text each scalar and key was written as, by its place.
    fn written(text: &str) -> Vec<String> {
        let mut report = Report::default();
        let file = report.add_file("f", text.to_owned(), true);
        let documents = parse(text, file, &mut report).unwrap();
        let mut out = Vec::new();
        let cut = |place: Place| text[place.start as usize..place.end as usize].to_owned();
        let mut stack: Vec<&Node> = documents.iter().rev().collect();
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
        let tree = parse(text, file, &mut report).unwrap().remove(0);
        assert_eq!(tree.get("c").unwrap().json().to_string(), r#"{"x":0,"y":1,"z":2}"#);
        assert_eq!(tree.get("d").unwrap().json().to_string(), r#"{"<<":"text"}"#);
        assert!(!report.failed());
    }
}
