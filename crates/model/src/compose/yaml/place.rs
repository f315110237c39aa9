//! Where the scanner's events stand in the file, in the units everyone else uses.

use crate::compose::report::Place;
use saphyr_parser::Marker;

/// Characters, which the scanner counts, to bytes, which everyone else does.
pub(super) struct Offsets {
    file: u16,
    /// Bytes of the byte order mark.
    shift: usize,
    /// Byte offset of each character; empty for ASCII, where they are equal.
    bytes: Vec<u32>,
    length: usize,
}

impl Offsets {
    pub(super) fn new(text: &str, body: &str, file: u16) -> Self {
        let bytes = if body.is_ascii() { Vec::new() } else { body.char_indices().map(|(i, _)| i as u32).collect() };
        Self { file, shift: text.len() - body.len(), bytes, length: body.len() }
    }

    fn byte(&self, index: usize) -> u32 {
        let byte = if self.bytes.is_empty() { index.min(self.length) } else { self.bytes.get(index).map_or(self.length, |b| *b as usize) };
        (byte + self.shift) as u32
    }

    pub(super) fn place(&self, start: Marker, end: Marker) -> Place {
        let (first, last) = (self.byte(start.index()), self.byte(end.index()));
        Place { file: self.file, start: first, end: last.max(first), line: start.line() as u32, column: start.col() as u32 + 1 }
    }

    /// For a complaint the scanner has not come to.
    pub(super) fn of_byte(&self, body: &str, index: usize) -> Place {
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

/// Bytes of `&anchor` and `!tag` before a scalar on their line; both are ASCII in every file that is read, or the place stays as it is.
pub(super) fn properties_length(raw: &str) -> usize {
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
pub(super) fn quoted_length(raw: &str) -> usize {
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
