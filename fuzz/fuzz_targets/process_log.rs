//! Lines of a process's log: what is written is read back wherever reads end, and a damaged file yields no line that is longer than it may be.

#![no_main]

#[path = "../../crates/runtime/src/entry.rs"]
mod entry;
#[path = "../../crates/runtime/src/process/log_line.rs"]
#[allow(dead_code)]
mod log_line;

use entry::{LogEntry, MAX_LOG_LINE};
use landfall_fuzz::pieces::ways;
use log_line::{Lines, written};

fn read(parts: &[&[u8]]) -> Vec<LogEntry> {
    let mut lines = Lines::default();
    parts.iter().flat_map(|part| lines.take(part)).collect()
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    // As a damaged file.
    let [whole, single, cut] = ways(bytes).map(|parts| read(&parts));
    assert_eq!(whole, single, "where reads end makes a difference");
    assert_eq!(whole, cut, "where reads end makes a difference");
    assert!(whole.len() <= bytes.split(|b| *b == b'\n').count());
    assert!(whole.iter().all(|entry| entry.line.len() <= MAX_LOG_LINE && !entry.line.contains('\n')));
    // As what a program says.
    let (mut file, mut expected) = (Vec::new(), Vec::new());
    for (i, text) in bytes.split(|b| *b == b'\n').enumerate() {
        let (stderr, goes_on) = (text.len() % 2 == 1, text.first().is_some_and(|b| b % 2 == 1));
        let at_ms = i as u64 * 1_000_003;
        file.extend(written(at_ms, (stderr, goes_on), text));
        expected.push((at_ms, stderr, goes_on, String::from_utf8_lossy(text).into_owned()));
    }
    for parts in ways(&file) {
        let found: Vec<_> = read(&parts).into_iter().map(|entry| (entry.at_ms, entry.stderr, entry.partial, entry.line)).collect();
        assert!(found.iter().zip(&expected).all(|(found, said)| found.0 == said.0 && said.3.starts_with(&found.3)));
        if expected.iter().all(|said| said.3.len() <= MAX_LOG_LINE) {
            assert_eq!(found, expected, "what is written is not what is read");
        }
    }
    // Longer than any line that is written.
    let long = [b"7 o ".to_vec(), bytes.repeat((40_000 / bytes.len().max(1)).min(4000)), b"\n8 e end\n".to_vec()].concat();
    let found = read(&long.chunks(4096).collect::<Vec<_>>());
    assert!(found.iter().all(|entry| entry.line.len() <= MAX_LOG_LINE));
    assert!(found.last().is_some_and(|last| (last.at_ms, last.stderr, last.line.as_str()) == (8, true, "end")), "the next line is lost");
});
