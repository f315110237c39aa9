//! Events → nodes, on a stack of open collections.

use super::event::{Event, Properties};
use super::mark::{Mark, Tagged, Uses, plain};
use super::place::Offsets;
use super::scan::{Mark as Point, Style};
use super::{Document, MAX_DEPTH, MAX_DOCUMENTS, MAX_EXPANDED, MAX_NODES, shorten, time};
use crate::compose::node::{Entry, Kind, Node, Scalar, Value, kind_of_plain};
use crate::compose::report::{Place, Report};
use std::collections::BTreeMap;

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
    tagged: Tagged,
    /// Spent before this collection began.
    before: Size,
    /// How many values were marked before it.
    marked: usize,
    items: Vec<Node>,
    map: Option<MapFrame>,
}

struct MapFrame {
    entries: Vec<Entry>,
    /// The line of each key, and whether its value was reset.
    seen: BTreeMap<String, (u32, bool)>,
    key: Key,
    merges: Vec<Node>,
}

/// What an alias copies.
struct Anchor {
    node: Node,
    cost: Size,
    tagged: Tagged,
    /// Paths, from the node, of the values in it that are marked `!override`.
    inner: Vec<Mark>,
}

pub(super) struct Builder<'r> {
    pub(super) offsets: Offsets,
    pub(super) report: &'r mut Report,
    stack: Vec<Frame>,
    /// How many of them are reset, so that nobody sees what they hold.
    lost: usize,
    anchors: BTreeMap<usize, Anchor>,
    uses: Uses,
    /// In the tree.
    spent: Size,
    /// In the copies kept for aliases.
    kept: Size,
    /// Of the document being read: paths with their merge keys, and whether the value stays.
    marks: Vec<(Mark, Tagged)>,
    name: Option<Node>,
    pub(super) documents: Vec<Document>,
}

impl<'r> Builder<'r> {
    pub(super) fn new(offsets: Offsets, report: &'r mut Report) -> Self {
        Self {
            offsets,
            report,
            stack: Vec::new(),
            lost: 0,
            anchors: BTreeMap::new(),
            uses: Uses::default(),
            spent: Size::default(),
            kept: Size::default(),
            marks: Vec::new(),
            name: None,
            documents: Vec::new(),
        }
    }

    /// `None` when reading must stop.
    pub(super) fn event(&mut self, (event, start, end): (Event, Point, Point)) -> Option<()> {
        if self.report.is_full() {
            return None;
        }
        let place = self.offsets.place(start, end);
        match event {
            Event::Scalar(text, style, properties) => self.scalar(&text, (style, &properties), place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::ListStart(properties) => self.open(None, &properties, place),
            Event::MapStart(properties) => {
                let map = MapFrame { entries: Vec::new(), seen: BTreeMap::new(), key: Key::Wanted, merges: Vec::new() };
                self.open(Some(map), &properties, place)
            }
            Event::End => self.close(place),
        }
    }

    fn spend(&mut self, cost: Size, place: Place) -> Option<()> {
        self.spent = Size { nodes: self.spent.nodes + cost.nodes, bytes: self.spent.bytes + cost.bytes };
        self.afford(place)
    }

    /// Keeps a copy for aliases, which is paid for like the original: anchors inside anchors inside anchors are copies of copies.
    fn keep(&mut self, anchor: usize, node: &Node, cost: Size, (tagged, marked): (Tagged, usize)) -> Option<()> {
        if anchor == 0 {
            return Some(());
        }
        self.kept = Size { nodes: self.kept.nodes + cost.nodes, bytes: self.kept.bytes + cost.bytes };
        self.afford(node.place)?;
        let stays =
            |(mark, tagged): &(Mark, Tagged)| (*tagged == Tagged::Override).then(|| mark.get(self.stack.len()..).map(<[_]>::to_vec));
        let inner = self.marks.iter().skip(marked).filter_map(stays).flatten().collect();
        self.anchors.insert(anchor, Anchor { node: node.clone(), cost, tagged, inner });
        Some(())
    }

    /// Keys from the root to the value that comes next.
    fn path(&self) -> Mark {
        let step = |frame: &Frame| match frame.map.as_ref().map(|m| &m.key) {
            Some(Key::Named(name, ..)) => name.clone(),
            Some(_) => String::new(),
            None => frame.items.len().to_string(),
        };
        self.stack.iter().map(step).collect()
    }

    /// Notes a marked value; its path is paid for.
    fn mark(&mut self, path: Mark, tagged: Tagged, place: Place) -> Option<()> {
        self.spend(Size { nodes: 0, bytes: path.iter().map(String::len).sum() }, place)?;
        self.marks.push((path, tagged));
        Some(())
    }

    /// What a tag says about merging, unless something around it says it already.
    fn tag_of(&self, tag: Option<&str>) -> Tagged {
        let shielded = self.stack.iter().any(|f| f.tagged != Tagged::No);
        match tag.filter(|_| !shielded) {
            Some("!reset") => Tagged::Reset,
            Some("!override") => Tagged::Override,
            _ => Tagged::No,
        }
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

    fn scalar(&mut self, text: &str, (style, properties): (Style, &Properties), place: Place) -> Option<()> {
        let cost = Size { nodes: 1, bytes: text.len() };
        self.spend(cost, place)?;
        // The end of a block is where something else begins.
        let raw = self.report.raw(place);
        let end = if style == Style::Block { place.start + raw.trim_end().len() as u32 } else { place.end };
        let place = Place { end, ..place };
        let plain = style == Style::Plain;
        // A lone `!` says nothing.
        let tag = properties.tag.as_deref().filter(|tag| *tag != "!");
        let text_is_merge = text == "<<";
        let (kind, text) = match tag {
            Some(tag) => self.tagged(tag, text, place),
            None if plain => resolved(text),
            None => (Kind::Text, text.to_owned()),
        };
        let tagged = self.tag_of(tag);
        let node = Node { place, value: Value::Scalar(Scalar { text, kind, substituted: false, spoiled: false }) };
        self.keep(properties.anchor, &node, cost, (tagged, usize::MAX))?;
        let merges = text_is_merge && tag.map_or(plain, |tag| core(tag) == Some("merge"));
        self.add(node, tagged, merges)
    }

    /// The value of a scalar with a tag. Those of YAML are demands; others leave the text as it is.
    fn tagged(&mut self, tag: &str, text: &str, place: Place) -> (Kind, String) {
        let (kind, value) = resolved(text);
        let wanted = core(tag).unwrap_or("");
        let fits = match (wanted, kind) {
            ("", _) => {
                self.warn_of_tag(tag, place);
                return (Kind::Text, text.to_owned());
            }
            ("str", _) => return (Kind::Text, text.to_owned()),
            ("binary", _) => base64(text).map(|t| (Kind::Text, t)),
            ("int", Kind::Int) | ("bool", Kind::Bool) | ("null", Kind::Null) | ("timestamp", Kind::Time) => Some((kind, value)),
            ("float", Kind::Int | Kind::Float) => Some((Kind::Float, value)),
            ("int" | "bool" | "null" | "timestamp" | "float" | "seq" | "map", _) => None,
            _ => Some((Kind::Text, text.to_owned())),
        };
        fits.unwrap_or_else(|| {
            let message = format!("this is no `!!{}`", shorten(wanted));
            self.report.error("yaml-syntax", place, message).hint("remove the tag; Compose files need none");
            (Kind::Text, text.to_owned())
        })
    }

    fn warn_of_tag(&mut self, tag: &str, place: Place) {
        if core(tag).is_some() || matches!(tag, "!" | "!reset" | "!override") {
            return;
        }
        let name = shorten(tag);
        self.report
            .warning("unknown-tag", place, format!("the tag `{name}` has no meaning in a Compose file"))
            .hint("remove the tag; Compose files need none");
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Option<()> {
        // The parser refuses unknown names, so one that is not kept is still open.
        let Some(target) = self.anchors.get(&anchor) else { return self.cycle(place) };
        let (cost, deep) = (target.cost, depth(&target.node));
        self.spend(cost, place)?;
        if self.stack.len() + deep > MAX_DEPTH {
            return self.too_deep(place);
        }
        let path = self.path();
        let stripped = plain(&path);
        self.spend(Size { nodes: 0, bytes: stripped.iter().map(String::len).sum() }, place)?;
        if !self.is_key_next() && !self.uses.note(anchor, &stripped) {
            return self.cycle(place);
        }
        let Some(Anchor { node, tagged, inner, .. }) = self.anchors.get(&anchor) else { return Some(()) };
        let (copy, mut tagged) = (node.clone(), *tagged);
        if self.stack.iter().any(|f| f.tagged != Tagged::No) {
            tagged = Tagged::No;
        } else {
            for mark in inner.clone() {
                self.mark([path.clone(), mark].concat(), Tagged::Override, place)?;
            }
        }
        self.add(copy, tagged, false)
    }

    fn is_key_next(&self) -> bool {
        self.stack.last().and_then(|f| f.map.as_ref()).is_some_and(|m| matches!(m.key, Key::Wanted))
    }

    fn cycle(&mut self, place: Place) -> Option<()> {
        self.report
            .error("alias-cycle", place, "this alias stands for a value that contains the alias itself, or for one used around it")
            .hint("remove the alias");
        None
    }

    pub(super) fn too_deep(&mut self, place: Place) -> Option<()> {
        self.report.error("too-deep", place, format!("values are nested deeper than {MAX_DEPTH} levels")).hint("no Compose key needs that");
        None
    }

    fn open(&mut self, map: Option<MapFrame>, properties: &Properties, place: Place) -> Option<()> {
        let (anchor, tag) = (properties.anchor, properties.tag.as_deref());
        if self.stack.len() >= MAX_DEPTH {
            return self.too_deep(place);
        }
        if let Some(tag) = tag {
            self.warn_of_tag(tag, place);
        }
        let (before, tagged, marked) = (self.spent, self.tag_of(tag), self.marks.len());
        self.spend(Size { nodes: 1, bytes: 0 }, place)?;
        self.lost += usize::from(tagged == Tagged::Reset);
        self.stack.push(Frame { place, anchor, tagged, before, marked, items: Vec::new(), map });
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
        self.lost -= usize::from(frame.tagged == Tagged::Reset);
        let node = Node { place, value };
        let cost = Size { nodes: self.spent.nodes - frame.before.nodes, bytes: self.spent.bytes - frame.before.bytes };
        self.keep(frame.anchor, &node, cost, (frame.tagged, frame.marked))?;
        self.add(node, frame.tagged, false)
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
                if self.lost > 0 {
                    continue;
                }
                let message = format!("`<<` wants a mapping or a list of mappings, found {}", source.describe());
                self.report.error("wrong-type", source.place, message).hint("write `<<: *name`, where `&name` marks a mapping");
                continue;
            };
            for entry in more {
                // What was reset here is not there, and so bars nothing.
                if seen.get(&entry.key).is_none_or(|(_, reset)| *reset) {
                    seen.insert(entry.key.clone(), (entry.key_place.line, false));
                    entries.push(entry);
                }
            }
        }
        entries
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, tagged: Tagged, merges: bool) -> Option<()> {
        let gone = tagged == Tagged::Reset;
        if tagged != Tagged::No && !self.is_key_next() {
            self.mark(self.path(), tagged, node.place)?;
        }
        let top = self.stack.len() == 1;
        let Some(frame) = self.stack.last_mut() else {
            let node = if gone { Node::made(node.place, Kind::Null, "") } else { node };
            let marks = std::mem::take(&mut self.marks).iter().map(|(path, _)| plain(path)).collect();
            self.uses = Uses::default();
            if self.documents.len() >= MAX_DOCUMENTS {
                self.report
                    .error("too-large", node.place, format!("the file has more than {MAX_DOCUMENTS} documents"))
                    .hint("remove the `---` between them");
                return None;
            }
            let name = self.name.take().or_else(|| node.get("name").cloned());
            self.documents.push(Document { root: node, name, marks });
            return Some(());
        };
        let Some(map) = frame.map.as_mut() else {
            if !gone {
                frame.items.push(node);
            }
            return Some(());
        };
        match std::mem::replace(&mut map.key, Key::Wanted) {
            Key::Wanted => map.key = key(node, merges, (self.lost == 0).then_some(&mut *self.report)),
            Key::Named(name, key_place, merge) => {
                if let Some((line, _)) = map.seen.get(&name) {
                    if self.lost > 0 {
                        return Some(());
                    }
                    let message = format!("the key `{}` is given twice; the first is on line {line}", shorten(&name));
                    self.report.error("duplicate-key", key_place, message).hint("keep one of the two");
                    return Some(());
                }
                map.seen.insert(name.clone(), (key_place.line, gone));
                if gone {
                    if top && name == "name" {
                        self.name = Some(node);
                    }
                } else if merge {
                    map.merges.push(node);
                } else {
                    map.entries.push(Entry { key: name, key_place, value: node });
                }
            }
            Key::Bad => {}
        }
        Some(())
    }
}

/// Of a mapping that is reset nobody is told what is wrong with a key: there is no report.
fn key(node: Node, merge: bool, report: Option<&mut Report>) -> Key {
    let (kind, text) = match node.value {
        Value::Scalar(Scalar { text, kind: Kind::Text, .. }) => return Key::Named(text, node.place, merge),
        Value::Scalar(Scalar { text, kind, .. }) => (Some(kind), text),
        _ => (None, String::new()),
    };
    let Some(report) = report else { return Key::Bad };
    let (message, hint) = match kind {
        None => ("a key must be a single word, not a list or mapping".to_owned(), "quote text that begins with `[` or `{`"),
        Some(Kind::Null) => ("a key is missing before `:`".to_owned(), "write the key's name"),
        Some(_) => {
            let shown = report.written(node.place, &text);
            (format!("a key must be text, and `{shown}` is read as a number, a date or true or false"), "put the key in quotes")
        }
    };
    report.error("bad-key", node.place, message).hint(hint);
    Key::Bad
}

/// The name of a tag of YAML itself.
fn core(tag: &str) -> Option<&str> {
    tag.strip_prefix("tag:yaml.org,2002:")
}

/// What an unquoted scalar is.
fn resolved(text: &str) -> (Kind, String) {
    match kind_of_plain(text) {
        Kind::Text => time::rfc3339(text).map_or_else(|| (Kind::Text, text.to_owned()), |time| (Kind::Time, time)),
        kind => (kind, text.to_owned()),
    }
}

/// What `!!binary` holds, when that is text.
fn base64(text: &str) -> Option<String> {
    let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(&text);
    let value = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in body {
        bits = bits << 6 | u32::from(value(*byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    String::from_utf8(out).ok()
}

/// Levels of nesting, 1 for a scalar. Recursion is bounded by [`MAX_DEPTH`].
fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
    }
}
