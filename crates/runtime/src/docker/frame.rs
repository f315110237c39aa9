//! Frames of a container's log and the engine's times in them. Nothing of this crate but entries is used here: the fuzz target `engine_log` reads this
//! file too.

use crate::{LogEntry, MAX_LOG_LINE};

/// What wrote a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
    /// Both, by way of a terminal.
    Terminal,
}

/// RFC 3339 to milliseconds since 1970; the engine's year 1 ("never") is 0.
pub(crate) fn milliseconds(text: &str) -> u64 {
    text.parse::<jiff::Timestamp>().ok().and_then(|t| u64::try_from(t.as_millisecond()).ok()).unwrap_or(0)
}

/// The time stamp and lines of one frame: `2024-05-01T10:00:00.123456789Z text`.
pub(crate) fn entries(source: Source, bytes: &[u8]) -> (String, Vec<LogEntry>) {
    let terminal = source == Source::Terminal;
    let text = String::from_utf8_lossy(bytes);
    let (stamp, text) = text.split_once(' ').unwrap_or(("", &text));
    // The engine keeps a long line in pieces, of which only the last ends it.
    let goes_on = !terminal && !text.ends_with('\n');
    let text = text.strip_suffix('\n').unwrap_or(text);
    // A terminal turns the end of a line into two characters.
    let text = text.strip_suffix('\r').filter(|_| terminal).unwrap_or(text);
    let (at_ms, stderr) = (milliseconds(stamp), source == Source::Stderr);
    let mut entries: Vec<LogEntry> = pieces(text).map(|line| LogEntry { at_ms, stderr, line: line.to_owned(), partial: true }).collect();
    if let Some(last) = entries.last_mut() {
        last.partial = goes_on;
    }
    (stamp.to_owned(), entries)
}

/// Parts of at most [`MAX_LOG_LINE`] bytes, never within a character; an empty text is one empty part.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = (0..=MAX_LOG_LINE.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let (part, more) = text.split_at(end);
        rest = Some(more).filter(|m| !m.is_empty());
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_its_time_its_stream_and_its_text() {
        let (stamp, entries) = entries(Source::Stderr, b"2024-05-01T10:00:00.123456789Z a b\n");
        assert_eq!(stamp, "2024-05-01T10:00:00.123456789Z");
        assert_eq!(entries, [LogEntry { at_ms: 1_714_557_600_123, stderr: true, line: "a b".into(), partial: false }]);
    }

    #[test]
    fn empty_lines_are_lines_and_long_ones_are_several() {
        let of = |text: &str| {
            entries(Source::Stdout, format!("2024-05-01T10:00:00.1Z {text}\n").as_bytes())
                .1
                .into_iter()
                .map(|e| e.line.len())
                .collect::<Vec<_>>()
        };
        let marks = |text: &str| {
            let (_, entries) = entries(Source::Stdout, format!("2024-05-01T10:00:00.1Z {text}").as_bytes());
            entries.into_iter().map(|e| e.partial).collect::<Vec<_>>()
        };
        assert_eq!((marks("a\n"), marks("a")), (vec![false], vec![true]), "what has no end goes on");
        assert_eq!(marks(&format!("{}\n", "x".repeat(MAX_LOG_LINE + 3))), [true, false]);
        assert_eq!(of(""), [0]);
        assert_eq!(of(&"x".repeat(MAX_LOG_LINE + 3)), [MAX_LOG_LINE, 3]);
        assert_eq!(of(&"é".repeat(MAX_LOG_LINE)).iter().sum::<usize>(), 2 * MAX_LOG_LINE);
    }
}
