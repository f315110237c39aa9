//! Tokens → events: values, and where collections begin and end. The grammar is libyaml's, with a stack of its own in place of recursion.

use super::scan::{Kind, Mark, Style, Token, Wrong};
use std::collections::BTreeMap;

/// What a document is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Scalar(String, Style, Properties),
    /// Of the anchor that was given that number.
    Alias(usize),
    ListStart(Properties),
    MapStart(Properties),
    End,
}

/// What stands before a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Properties {
    /// Numbers count from 1; 0 is none.
    pub(super) anchor: usize,
    /// Whole, as `tag:yaml.org,2002:str` or `!reset`.
    pub(super) tag: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Document,
    DocumentEnd,
    Content,
    ListEntry,
    BareListEntry,
    MapKey,
    MapValue,
    FlowListEntry { first: bool },
    PairKey,
    PairValue,
    PairEnd,
    FlowMapKey { first: bool },
    FlowMapValue,
    FlowMapNothing,
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    state: State,
    after: Vec<State>,
    /// The first document needs no `---`.
    implicit: bool,
    /// This one has none.
    bare: bool,
    anchors: BTreeMap<String, usize>,
    known: usize,
    handles: BTreeMap<String, String>,
    last: Token,
}

type Next = Result<Option<(Event, Mark, Mark)>, Wrong>;

impl Parser {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        let last = Token { kind: Kind::StreamEnd, start: Mark::default(), end: Mark::default() };
        Self {
            last: tokens.last().cloned().unwrap_or(last),
            tokens,
            at: 0,
            state: State::Document,
            after: Vec::new(),
            implicit: true,
            bare: false,
            anchors: BTreeMap::new(),
            known: 0,
            handles: BTreeMap::new(),
        }
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&self.last)
    }

    fn is(&self, kinds: &[Kind]) -> bool {
        kinds.contains(&self.peek().kind)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let there = self.peek().kind == *kind;
        self.at += usize::from(there);
        there
    }

    fn wrong<T>(&self, why: &'static str) -> Result<T, Wrong> {
        Err(Wrong { at: self.peek().start, why })
    }

    fn pop(&mut self) {
        self.state = self.after.pop().unwrap_or(State::DocumentEnd);
    }

    /// The next event; `None` after the last document.
    pub(super) fn next(&mut self) -> Next {
        loop {
            match self.state {
                State::Document => {
                    if !self.document()? {
                        return Ok(None);
                    }
                }
                State::DocumentEnd => {
                    self.take(&Kind::DocumentEnd);
                    self.implicit = false;
                    self.state = State::Document;
                }
                State::Content => {
                    self.state = State::DocumentEnd;
                    // A document without `---` has content, or is a mistake.
                    if !self.bare
                        && matches!(
                            self.peek().kind,
                            Kind::Version(..) | Kind::TagDirective(..) | Kind::DocumentStart | Kind::DocumentEnd | Kind::StreamEnd
                        )
                    {
                        return Ok(self.nothing());
                    }
                    return self.node(State::DocumentEnd, true, false);
                }
                _ => return self.inside(),
            }
        }
    }

    /// To the content of the next document; `false` when there is none.
    fn document(&mut self) -> Result<bool, Wrong> {
        while !self.implicit && self.take(&Kind::DocumentEnd) {}
        if self.is(&[Kind::StreamEnd]) {
            return Ok(false);
        }
        self.handles = [("!", "!"), ("!!", "tag:yaml.org,2002:")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        self.anchors.clear();
        let bare = self.implicit && !matches!(self.peek().kind, Kind::Version(..) | Kind::TagDirective(..) | Kind::DocumentStart);
        self.implicit = false;
        if !bare {
            self.directives()?;
            if !self.take(&Kind::DocumentStart) {
                return self.wrong("a `---` is missing before this document");
            }
        }
        self.state = State::Content;
        self.bare = bare;
        Ok(true)
    }

    fn directives(&mut self) -> Result<(), Wrong> {
        let (mut version, mut own) = (false, Vec::new());
        loop {
            match self.peek().kind.clone() {
                Kind::Version(major, minor) => {
                    if std::mem::replace(&mut version, true) {
                        return self.wrong("`%YAML` stands here twice");
                    }
                    if (major, minor) != (1, 1) {
                        return self.wrong("Docker Compose reads YAML 1.1 only; remove the `%YAML` line");
                    }
                }
                Kind::TagDirective(handle, prefix) => {
                    if own.contains(&handle) {
                        return self.wrong("this `%TAG` stands here twice");
                    }
                    own.push(handle.clone());
                    self.handles.insert(handle, prefix);
                }
                _ => return Ok(()),
            }
            self.at += 1;
        }
    }

    fn nothing(&self) -> Option<(Event, Mark, Mark)> {
        let at = self.peek().start;
        Some((Event::Scalar(String::new(), Style::Plain, Properties::default()), at, at))
    }

    /// A value where there may be none: none is nothing.
    fn node_unless(&mut self, ends: &[Kind], then: State, (block, bare): (bool, bool)) -> Next {
        if self.is(ends) {
            self.state = then;
            return Ok(self.nothing());
        }
        self.node(then, block, bare)
    }

    /// A value; `then` is what comes after it.
    fn node(&mut self, then: State, block: bool, bare: bool) -> Next {
        let start = self.peek().start;
        if let Kind::Alias(name) = &self.peek().kind {
            let Some(anchor) = self.anchors.get(name).copied() else {
                return self.wrong("no anchor of that name stands before this alias");
            };
            let end = self.peek().end;
            self.at += 1;
            self.state = then;
            return Ok(Some((Event::Alias(anchor), start, end)));
        }
        let (properties, given) = self.properties()?;
        let token = self.peek().clone();
        let (event, inner) = match token.kind {
            Kind::BlockEntry if bare => {
                self.after.push(then);
                self.state = State::BareListEntry;
                return Ok(Some((Event::ListStart(properties), if given { start } else { token.start }, token.start)));
            }
            Kind::Scalar(text, style) => {
                self.at += 1;
                self.state = then;
                return Ok(Some((Event::Scalar(text, style, properties), token.start, token.end)));
            }
            Kind::FlowSequenceStart => (Event::ListStart(properties), State::FlowListEntry { first: true }),
            Kind::FlowMappingStart => (Event::MapStart(properties), State::FlowMapKey { first: true }),
            Kind::BlockSequenceStart if block => (Event::ListStart(properties), State::ListEntry),
            Kind::BlockMappingStart if block => (Event::MapStart(properties), State::MapKey),
            _ if given => {
                self.state = then;
                return Ok(Some((Event::Scalar(String::new(), Style::Plain, properties), token.start, token.start)));
            }
            _ => return self.wrong("a value is missing here"),
        };
        self.at += 1;
        self.after.push(then);
        self.state = inner;
        Ok(Some((event, token.start, token.end)))
    }

    /// `&anchor` and `!tag`, and whether there were any.
    fn properties(&mut self) -> Result<(Properties, bool), Wrong> {
        let (mut name, mut tag) = (None, None);
        loop {
            match self.peek().kind.clone() {
                Kind::Anchor(anchor) if name.is_none() => name = Some(anchor),
                Kind::Tag(handle, suffix) if tag.is_none() => {
                    let prefix = match handle.as_str() {
                        "" => Some(""),
                        handle => self.handles.get(handle).map(String::as_str),
                    };
                    let Some(prefix) = prefix else { return self.wrong("no `%TAG` says what this handle of a tag means") };
                    tag = Some(format!("{prefix}{suffix}"));
                }
                _ => break,
            }
            self.at += 1;
        }
        let given = name.is_some() || tag.is_some();
        let anchor = name.map_or(0, |name| {
            self.known += 1;
            self.anchors.insert(name, self.known);
            self.known
        });
        Ok((Properties { anchor, tag }, given))
    }

    fn end(&mut self) -> Next {
        let token = self.peek().clone();
        self.at += 1;
        self.pop();
        Ok(Some((Event::End, token.start, token.end)))
    }

    /// Within a collection.
    fn inside(&mut self) -> Next {
        use Kind::{BlockEnd, BlockEntry, FlowEntry, FlowMappingEnd, FlowSequenceEnd, Key, Value};
        let state = self.state;
        match state {
            State::ListEntry if self.take(&BlockEntry) => self.node_unless(&[BlockEntry, BlockEnd], State::ListEntry, (true, false)),
            State::ListEntry if self.is(&[BlockEnd]) => self.end(),
            State::ListEntry => self.wrong("a `-` is missing, or this line is indented wrongly"),
            State::BareListEntry if self.take(&BlockEntry) => {
                self.node_unless(&[BlockEntry, Key, Value, BlockEnd], State::BareListEntry, (true, false))
            }
            State::BareListEntry => {
                let at = self.peek().start;
                self.pop();
                Ok(Some((Event::End, at, at)))
            }
            State::MapKey if self.take(&Key) => self.node_unless(&[Key, Value, BlockEnd], State::MapValue, (true, true)),
            State::MapKey if self.is(&[BlockEnd]) => self.end(),
            State::MapKey => self.wrong("a key is missing, or this line is indented wrongly"),
            State::MapValue if self.take(&Value) => self.node_unless(&[Key, Value, BlockEnd], State::MapKey, (true, true)),
            State::MapValue => {
                self.state = State::MapKey;
                Ok(self.nothing())
            }
            State::FlowListEntry { first } => {
                if !self.is(&[FlowSequenceEnd]) {
                    if !first && !self.take(&FlowEntry) {
                        return self.wrong("a `,` or `]` is missing");
                    }
                    if self.is(&[Key]) {
                        let token = self.peek().clone();
                        self.at += 1;
                        self.state = State::PairKey;
                        return Ok(Some((Event::MapStart(Properties::default()), token.start, token.end)));
                    }
                    if !self.is(&[FlowSequenceEnd]) {
                        return self.node(State::FlowListEntry { first: false }, false, false);
                    }
                }
                self.end()
            }
            State::PairKey => {
                if self.is(&[Value, FlowEntry, FlowSequenceEnd]) {
                    let nothing = self.nothing();
                    // libyaml passes over the sign as well.
                    self.at += 1;
                    self.state = State::PairValue;
                    return Ok(nothing);
                }
                self.node(State::PairValue, false, false)
            }
            State::PairValue => {
                if self.take(&Value) {
                    return self.node_unless(&[FlowEntry, FlowSequenceEnd], State::PairEnd, (false, false));
                }
                self.state = State::PairEnd;
                Ok(self.nothing())
            }
            State::PairEnd => {
                self.state = State::FlowListEntry { first: false };
                let at = self.peek().start;
                Ok(Some((Event::End, at, at)))
            }
            State::FlowMapKey { first } => {
                if !self.is(&[FlowMappingEnd]) {
                    if !first && !self.take(&FlowEntry) {
                        return self.wrong("a `,` or `}` is missing");
                    }
                    if self.take(&Key) {
                        return self.node_unless(&[Value, FlowEntry, FlowMappingEnd], State::FlowMapValue, (false, false));
                    }
                    if !self.is(&[FlowMappingEnd]) {
                        return self.node(State::FlowMapNothing, false, false);
                    }
                }
                self.end()
            }
            State::FlowMapValue => {
                if self.take(&Value) {
                    return self.node_unless(&[FlowEntry, FlowMappingEnd], State::FlowMapKey { first: false }, (false, false));
                }
                self.state = State::FlowMapKey { first: false };
                Ok(self.nothing())
            }
            State::FlowMapNothing => {
                self.state = State::FlowMapKey { first: false };
                Ok(self.nothing())
            }
            State::Document | State::DocumentEnd | State::Content => Ok(None),
        }
    }
}
