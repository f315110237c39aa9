//! Text → tokens, as the reader of Docker Compose (go-yaml, which follows libyaml) finds them.
//!
//! That reader is neither YAML 1.1 nor 1.2: inside of brackets indentation means nothing and tabs are blanks, a `:` ends a plain text only before a
//! blank, a key is at most 1,024 characters long and on one line. A block collection has no sign of its own where it begins: a key is known by the `:`
//! after it, and the tokens before it are then put in where the key began. See decision 12 for why this is our own.

mod property;
mod scalar;

use super::MAX_TOKENS;

/// Longest key without `?`, in characters.
const MAX_KEY: usize = 1024;

/// A place in the text; lines and columns from 0, columns and index in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) byte: usize,
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Block,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    StreamEnd,
    /// `%YAML`, with its numbers.
    Version(u32, u32),
    /// `%TAG`: handle and prefix.
    TagDirective(String, String),
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    /// Handle and suffix.
    Tag(String, String),
    Scalar(String, Style),
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: Mark,
    pub(super) end: Mark,
}

/// What is no YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: Mark,
    pub(super) why: &'static str,
}

/// Something that may turn out to be a key.
#[derive(Clone, Copy)]
struct Candidate {
    /// Nothing else can stand there.
    required: bool,
    token: usize,
    mark: Mark,
}

struct Scanner {
    chars: Vec<char>,
    mark: Mark,
    tokens: Vec<Token>,
    /// Column of the innermost block collection; -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    /// One for each level of brackets, and one for the block around them.
    candidates: Vec<Option<Candidate>>,
    /// Whether a key may begin here.
    key_allowed: bool,
}

/// The tokens of a text, and what is wrong with what follows them.
pub(super) fn scan(text: &str) -> (Vec<Token>, Option<Wrong>) {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        mark: Mark::default(),
        tokens: Vec::new(),
        indent: -1,
        indents: Vec::new(),
        candidates: vec![None],
        key_allowed: true,
    };
    let wrong = loop {
        match scanner.next() {
            Ok(true) if scanner.tokens.len() > MAX_TOKENS => break Some(Wrong { at: scanner.mark, why: super::TOO_MANY }),
            Ok(true) => {}
            Ok(false) => break None,
            Err(wrong) => break Some(wrong),
        }
    };
    (scanner.tokens, wrong)
}

/// A line break, but for the end of the text.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

impl Scanner {
    /// The character that many further on; NUL, which no file has, at the end.
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.mark.index + ahead).copied().unwrap_or('\0')
    }

    fn at(&self, ahead: usize, wanted: char) -> bool {
        self.peek(ahead) == wanted
    }

    fn is_end(&self, ahead: usize) -> bool {
        self.mark.index + ahead >= self.chars.len()
    }

    /// A blank, a line break or the end.
    fn is_space(&self, ahead: usize) -> bool {
        self.is_end(ahead) || is_blank(self.peek(ahead)) || is_break(self.peek(ahead))
    }

    fn is_line_end(&self) -> bool {
        self.is_end(0) || is_break(self.peek(0))
    }

    fn skip(&mut self) -> char {
        let c = self.peek(0);
        self.mark = Mark { byte: self.mark.byte + c.len_utf8(), index: self.mark.index + 1, column: self.mark.column + 1, ..self.mark };
        c
    }

    /// Past a line break, if there is one; what it is as text.
    fn skip_line(&mut self) -> Option<char> {
        let c = Some(self.peek(0)).filter(|c| !self.is_end(0) && is_break(*c))?;
        let both = c == '\r' && self.at(1, '\n');
        self.skip();
        if both {
            self.skip();
        }
        self.mark = Mark { line: self.mark.line + 1, column: 0, ..self.mark };
        Some(if matches!(c, '\u{2028}' | '\u{2029}') { c } else { '\n' })
    }

    fn wrong<T>(&self, why: &'static str) -> Result<T, Wrong> {
        Err(Wrong { at: self.mark, why })
    }

    fn in_flow(&self) -> bool {
        self.candidates.len() > 1
    }

    fn column(&self) -> isize {
        isize::try_from(self.mark.column).unwrap_or(isize::MAX)
    }

    /// `---` or `...` at the beginning of a line.
    fn is_document(&self, sign: char) -> bool {
        self.mark.column == 0 && (0..3).all(|i| self.at(i, sign)) && self.is_space(3)
    }

    fn push(&mut self, kind: Kind, start: Mark) {
        self.tokens.push(Token { kind, start, end: self.mark });
    }

    /// Skips that many characters, which are the token.
    fn sign(&mut self, kind: Kind, length: usize) {
        let start = self.mark;
        for _ in 0..length {
            self.skip();
        }
        self.push(kind, start);
    }

    /// Reads one token or a few; `false` after the last.
    fn next(&mut self) -> Result<bool, Wrong> {
        self.pass_blanks();
        self.unroll(self.column());
        if self.is_end(0) {
            self.unroll(-1);
            self.no_key()?;
            self.push(Kind::StreamEnd, self.mark);
            return Ok(false);
        }
        let (c, flow) = (self.peek(0), self.in_flow());
        if self.mark.column == 0 && c == '%' {
            self.unroll(-1);
            self.no_key()?;
            self.key_allowed = false;
            return self.directive().map(|()| true);
        }
        for (sign, kind) in [('-', Kind::DocumentStart), ('.', Kind::DocumentEnd)] {
            if self.is_document(sign) {
                self.unroll(-1);
                self.no_key()?;
                self.key_allowed = false;
                self.sign(kind, 3);
                return Ok(true);
            }
        }
        match c {
            '[' => self.open(Kind::FlowSequenceStart)?,
            '{' => self.open(Kind::FlowMappingStart)?,
            ']' => self.close(Kind::FlowSequenceEnd)?,
            '}' => self.close(Kind::FlowMappingEnd)?,
            ',' => {
                self.no_key()?;
                self.key_allowed = true;
                self.sign(Kind::FlowEntry, 1);
            }
            '-' if self.is_space(1) => self.entry()?,
            '?' if flow || self.is_space(1) => self.key()?,
            ':' if flow || self.is_space(1) => self.value()?,
            '*' | '&' => {
                self.may_be_key()?;
                self.key_allowed = false;
                self.anchor(c == '*')?;
            }
            '!' => {
                self.may_be_key()?;
                self.key_allowed = false;
                self.tag()?;
            }
            '|' | '>' if !flow => {
                self.no_key()?;
                self.key_allowed = true;
                self.block_scalar(c == '|')?;
            }
            '\'' | '"' => {
                self.may_be_key()?;
                self.key_allowed = false;
                self.quoted(c)?;
            }
            _ if self.begins_plain(c, flow) => {
                self.may_be_key()?;
                self.key_allowed = false;
                self.plain()?;
            }
            '\t' => return self.wrong("a tab stands where indentation is wanted"),
            _ => return self.wrong("no value can begin with this character"),
        }
        Ok(true)
    }

    fn begins_plain(&self, c: char, flow: bool) -> bool {
        let indicator =
            matches!(c, '-' | '?' | ':' | ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`');
        (!indicator && !self.is_space(0)) || (c == '-' && !is_blank(self.peek(1))) || (!flow && matches!(c, '?' | ':') && !self.is_space(1))
    }

    /// Past blanks, remarks and line breaks. A tab is a blank where no key may begin.
    fn pass_blanks(&mut self) {
        loop {
            while self.at(0, ' ') || (self.at(0, '\t') && (self.in_flow() || !self.key_allowed)) {
                self.skip();
            }
            if self.at(0, '#') {
                while !self.is_line_end() {
                    self.skip();
                }
            }
            if self.skip_line().is_none() {
                return;
            }
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// Begins a block collection at a column, unless one is open there.
    fn roll(&mut self, column: isize, at: usize, kind: Kind, mark: Mark) {
        if !self.in_flow() && self.indent < column {
            self.indents.push(self.indent);
            self.indent = column;
            self.tokens.insert(at, Token { kind, start: mark, end: mark });
        }
    }

    /// Ends the block collections that are indented more.
    fn unroll(&mut self, column: isize) {
        while !self.in_flow() && self.indent > column {
            self.push(Kind::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// What comes next may be a key.
    fn may_be_key(&mut self) -> Result<(), Wrong> {
        if self.key_allowed {
            let required = !self.in_flow() && self.indent == self.column();
            self.no_key()?;
            let candidate = Candidate { required, token: self.tokens.len(), mark: self.mark };
            if let Some(last) = self.candidates.last_mut() {
                *last = Some(candidate);
            }
        }
        Ok(())
    }

    /// What came last on this level is no key.
    fn no_key(&mut self) -> Result<(), Wrong> {
        match self.candidates.last_mut().and_then(Option::take) {
            Some(Candidate { required: true, mark, .. }) => Err(Wrong { at: mark, why: "a key is missing its `:`" }),
            _ => Ok(()),
        }
    }

    fn open(&mut self, kind: Kind) -> Result<(), Wrong> {
        self.may_be_key()?;
        self.candidates.push(None);
        self.key_allowed = true;
        self.sign(kind, 1);
        Ok(())
    }

    fn close(&mut self, kind: Kind) -> Result<(), Wrong> {
        self.no_key()?;
        if self.in_flow() {
            self.candidates.pop();
        }
        self.key_allowed = false;
        self.sign(kind, 1);
        Ok(())
    }

    fn entry(&mut self) -> Result<(), Wrong> {
        if !self.in_flow() {
            if !self.key_allowed {
                return self.wrong("a list cannot begin here");
            }
            self.roll(self.column(), self.tokens.len(), Kind::BlockSequenceStart, self.mark);
        }
        self.no_key()?;
        self.key_allowed = true;
        self.sign(Kind::BlockEntry, 1);
        Ok(())
    }

    fn key(&mut self) -> Result<(), Wrong> {
        if !self.in_flow() {
            if !self.key_allowed {
                return self.wrong("a key cannot stand here");
            }
            self.roll(self.column(), self.tokens.len(), Kind::BlockMappingStart, self.mark);
        }
        self.no_key()?;
        self.key_allowed = !self.in_flow();
        self.sign(Kind::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Result<(), Wrong> {
        match self.candidates.last_mut().and_then(Option::take) {
            Some(key) if key.mark.line == self.mark.line && key.mark.index + MAX_KEY >= self.mark.index => {
                self.tokens.insert(key.token, Token { kind: Kind::Key, start: key.mark, end: key.mark });
                let column = isize::try_from(key.mark.column).unwrap_or(isize::MAX);
                self.roll(column, key.token, Kind::BlockMappingStart, key.mark);
                self.key_allowed = false;
            }
            Some(Candidate { required: true, mark, .. }) => {
                return Err(Wrong { at: mark, why: "a key is missing its `:`" });
            }
            _ => {
                if !self.in_flow() {
                    if !self.key_allowed {
                        return self.wrong("mapping values are not allowed in this context");
                    }
                    self.roll(self.column(), self.tokens.len(), Kind::BlockMappingStart, self.mark);
                }
                self.key_allowed = !self.in_flow();
            }
        }
        self.sign(Kind::Value, 1);
        Ok(())
    }
}
