//! Frames of a container's log: the input is what the engine sends, a head of eight bytes and a text. Nothing of a text is lost or made up, no entry is
//! longer than it may be, and the time is that of the stamp.

#![no_main]

#[path = "../../crates/runtime/src/entry.rs"]
mod entry;
#[path = "../../crates/runtime/src/docker/frame.rs"]
mod frame;

use entry::{LogEntry, MAX_LOG_LINE};
use frame::{Source, entries};

/// What is there of each frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(8) {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (text, rest) = rest.split_at(length.min(rest.len()));
        frames.push((head[0], text));
        bytes = rest;
    }
    frames
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    for (kind, text) in frames(bytes) {
        let source = [Source::Terminal, Source::Stdout, Source::Stderr][usize::from(kind % 3)];
        let (stamp, found) = entries(source, text);
        let whole = String::from_utf8_lossy(text);
        let (before, said) = whole.split_once(' ').unwrap_or(("", &whole));
        assert_eq!(stamp, before);
        let ends = said.ends_with('\n');
        let said = said.strip_suffix('\n').unwrap_or(said);
        let said = if source == Source::Terminal { said.strip_suffix('\r').unwrap_or(said) } else { said };
        assert_eq!(found.iter().map(|entry| entry.line.as_str()).collect::<String>(), said, "something is lost");
        assert_eq!(found.len(), said.len().div_ceil(MAX_LOG_LINE - 3).clamp(1, found.len()));
        for (i, LogEntry { at_ms, stderr, line, partial }) in found.iter().enumerate() {
            assert!(line.len() <= MAX_LOG_LINE && *stderr == (source == Source::Stderr));
            let last = i + 1 == found.len();
            assert_eq!(*partial, !last || !(ends || source == Source::Terminal));
            let time = before.parse::<jiff::Timestamp>().map_or(0, |time| time.as_millisecond());
            assert_eq!(i128::from(*at_ms), i128::from(time).max(0));
        }
    }
    // As long as the engine's longest, and longer.
    let long = [b"2024-05-01T10:00:00Z ".to_vec(), bytes.repeat((40_000 / bytes.len().max(1)).min(4000))].concat();
    let (_, found) = entries(Source::Stdout, &long);
    assert!(found.iter().all(|entry| entry.line.len() <= MAX_LOG_LINE) && found.len() <= 3 * long.len() / MAX_LOG_LINE + 2);
});
