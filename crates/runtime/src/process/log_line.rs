//! Lines of a log on disk: `<milliseconds since 1970> <o or e> <text>`; a capital letter says that the line goes on in the next one of its stream. Nothing of
//! this crate but entries is used here: the fuzz target `process_log` reads this file too.

use crate::{LogEntry, MAX_LOG_LINE};

/// Written down. The text holds no newline.
pub(crate) fn written(at_ms: u64, (stderr, goes_on): (bool, bool), text: &[u8]) -> Vec<u8> {
    let stream = match (stderr, goes_on) {
        (true, false) => 'e',
        (false, false) => 'o',
        (true, true) => 'E',
        (false, true) => 'O',
    };
    let mut bytes = format!("{at_ms} {stream} ").into_bytes();
    bytes.extend_from_slice(text);
    bytes.push(b'\n');
    bytes
}

/// Takes lines off blocks of a file.
#[derive(Default)]
pub(crate) struct Lines {
    /// The start of a line whose end has not been read.
    held: Vec<u8>,
}

impl Lines {
    /// Another file begins.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }

    /// Those that end in this block.
    pub(crate) fn take(&mut self, block: &[u8]) -> Vec<LogEntry> {
        let mut lines = Vec::new();
        for part in block.split_inclusive(|b| *b == b'\n') {
            self.held.extend_from_slice(part);
            // Only a damaged file has such a line.
            self.held.truncate(2 * MAX_LOG_LINE);
            if part.ends_with(b"\n") {
                self.held.pop();
                lines.extend(entry(&self.held));
                self.held.clear();
            }
        }
        lines
    }
}

fn entry(line: &[u8]) -> Option<LogEntry> {
    let mut fields = line.splitn(3, |b| *b == b' ');
    let at_ms = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let stream = fields.next()?;
    let stderr = stream.eq_ignore_ascii_case(b"e");
    let partial = stream.first().is_some_and(u8::is_ascii_uppercase);
    let text = String::from_utf8_lossy(fields.next()?);
    // Replacing invalid bytes makes text longer: up to three bytes for one.
    let end = (0..=MAX_LOG_LINE.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    Some(LogEntry { at_ms, stderr, line: text.get(..end).unwrap_or_default().to_owned(), partial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_text_is_replaced_and_stays_within_the_bound() {
        let mut line = b"7 e ".to_vec();
        line.extend(vec![0xff; MAX_LOG_LINE]);
        let entry = entry(&line).unwrap();
        assert!(entry.stderr && entry.line.len() <= MAX_LOG_LINE && entry.line.starts_with('\u{fffd}'));
        assert!(!entry.partial && super::entry(b"7 O x").unwrap().partial && !super::entry(b"7 O x").unwrap().stderr);
    }
}
