//! Where the scanner's events stand in the file, in the units everyone else uses.

use super::scan::Mark;
use crate::compose::report::Place;

/// A file, and what its text begins with.
pub(super) struct Offsets {
    file: u16,
    /// Bytes of the byte order mark.
    shift: usize,
}

impl Offsets {
    pub(super) fn new(text: &str, body: &str, file: u16) -> Self {
        Self { file, shift: text.len() - body.len() }
    }

    pub(super) fn place(&self, start: Mark, end: Mark) -> Place {
        let (first, last) = ((start.byte + self.shift) as u32, (end.byte + self.shift) as u32);
        Place { file: self.file, start: first, end: last.max(first), line: start.line as u32 + 1, column: start.column as u32 + 1 }
    }

    /// For a complaint the scanner has not come to.
    pub(super) fn of_byte(&self, body: &str, index: usize) -> Place {
        let before = &body[..index];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let start = (index + self.shift) as u32;
        Place {
            file: self.file,
            start,
            end: start + body[index..].chars().next().map_or(0, char::len_utf8) as u32,
            line: before.matches('\n').count() as u32 + 1,
            column: before[line_start..].chars().count() as u32 + 1,
        }
    }
}
