//! What a replica wrote, as lines: however long one is and in how many pieces the runtime keeps it.
//!
//! The engine cuts a line every 16 KiB. A secret that lies across such a cut is found all the same: of a line that goes on,
//! as many bytes as the longest secret has are held back until the next piece is here. A reading that begins in the middle
//! of a line would show the end of a secret whose beginning it has not seen, so the last so many lines are counted as lines.

use crate::secret::Redactor;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use landfall_model::name::{AppName, ReplicaId};
use landfall_runtime::{LogEntry, MAX_LOG_LINE, Runtime, RuntimeError};
use std::collections::VecDeque;

/// Most pieces that are looked through for the beginning of a line.
const MOST_PIECES: u32 = 100_000;
/// From so many lines on nothing is counted: all there is, within reason, is wanted.
const ALL: u32 = 10_000;

/// Lines of one replica, values of secrets replaced.
pub(crate) struct Lines {
    entries: BoxStream<'static, Result<LogEntry, RuntimeError>>,
    joined: Joined,
    ready: VecDeque<LogEntry>,
    /// Of the last piece that was read.
    at_ms: u64,
    ended: bool,
}

impl Lines {
    /// The last `tail` lines and, with `follow`, what comes.
    pub(crate) async fn open(
        runtime: &dyn Runtime,
        (app, id): (&AppName, &ReplicaId),
        (tail, follow): (u32, bool),
        redactor: Redactor,
    ) -> Result<Self, RuntimeError> {
        let pieces = if tail == 0 || tail >= ALL { tail } else { pieces(runtime, (app, id), tail).await? };
        let entries = runtime.logs(app, id, pieces, follow).await?;
        Ok(Self { entries, joined: Joined { redactor, held: Default::default() }, ready: VecDeque::new(), at_ms: 0, ended: false })
    }

    /// The next piece: a whole line of at most [`MAX_LOG_LINE`] bytes, or a part that is marked as such.
    pub(crate) async fn next(&mut self) -> Option<LogEntry> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(entry);
            }
            if self.ended {
                return None;
            }
            match self.entries.next().await {
                Some(Ok(entry)) => {
                    self.at_ms = entry.at_ms;
                    self.ready.extend(self.joined.push(entry));
                }
                _ => {
                    self.ended = true;
                    self.ready.extend(self.joined.end(self.at_ms));
                }
            }
        }
    }
}

/// How many pieces the last `lines` lines are.
async fn pieces(runtime: &dyn Runtime, (app, id): (&AppName, &ReplicaId), lines: u32) -> Result<u32, RuntimeError> {
    // One more says whether the first is a beginning.
    let mut ask = lines.saturating_add(1);
    loop {
        let found: Vec<(bool, bool)> = runtime
            .logs(app, id, ask, false)
            .await?
            .filter_map(|entry| async { entry.ok().map(|e| (e.stderr, e.partial)) })
            .take(MOST_PIECES as usize)
            .collect()
            .await;
        let whole = found.len() < ask as usize;
        if let Some(pieces) = last(&found, lines as usize, whole) {
            return Ok(u32::try_from(pieces).unwrap_or(ask));
        }
        if whole || ask >= MOST_PIECES {
            return Ok(ask);
        }
        ask = ask.saturating_mul(4).min(MOST_PIECES);
    }
}

/// How many of these pieces, standard error and "goes on" told of each, are the last lines; nothing when that cannot be seen from
/// so few. `whole`: there is nothing before them.
fn last(pieces: &[(bool, bool)], lines: usize, whole: bool) -> Option<usize> {
    // Which line of its stream each piece is of; none for one whose beginning is not among them.
    let mut open: [Option<Option<usize>>; 2] = [whole.then_some(None); 2];
    let mut begun = Vec::new();
    for (at, (stderr, goes_on)) in pieces.iter().enumerate() {
        let stream = &mut open[usize::from(*stderr)];
        let line = match *stream {
            Some(Some(line)) => Some(line),
            Some(None) => Some(at),
            None => None,
        };
        begun.push(line);
        *stream = match (line, *goes_on) {
            (Some(line), true) => Some(Some(line)),
            (None, true) => None,
            (_, false) => Some(None),
        };
    }
    let starts: Vec<usize> = begun.iter().enumerate().filter(|(at, line)| **line == Some(*at)).map(|(at, _)| at).collect();
    if starts.len() < lines {
        return whole.then_some(pieces.len());
    }
    let whole_from = |from: usize| begun[from..].iter().all(|line| line.is_some_and(|line| line >= from));
    let from = starts[..=starts.len() - lines].iter().rev().copied().find(|from| whole_from(*from))?;
    Some(pieces.len() - from)
}

/// Pieces put together as far as it takes to find secrets.
struct Joined {
    redactor: Redactor,
    /// What is held back, by stream.
    held: [String; 2],
}

impl Joined {
    fn push(&mut self, entry: LogEntry) -> Vec<LogEntry> {
        let held = &mut self.held[usize::from(entry.stderr)];
        held.push_str(&entry.line);
        let rest = if entry.partial { held.split_off(self.redactor.settled(held)) } else { String::new() };
        let text = self.redactor.line(std::mem::replace(held, rest));
        if entry.partial && text.is_empty() {
            return Vec::new();
        }
        split(&text, &entry)
    }

    /// Of a line without an end the last bytes may be the beginning of a secret: they are not shown.
    fn end(&mut self, at_ms: u64) -> Vec<LogEntry> {
        let unfinished = self.held.iter_mut().enumerate().filter(|(_, held)| !held.is_empty());
        let entry = |(stream, held): (usize, &mut String)| {
            held.clear();
            LogEntry { at_ms, stderr: stream == 1, line: "…".into(), partial: true }
        };
        unfinished.map(entry).collect()
    }
}

/// In parts of at most [`MAX_LOG_LINE`] bytes, never within a character; the last one goes on if the entry did.
fn split(text: &str, entry: &LogEntry) -> Vec<LogEntry> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let end = (0..=MAX_LOG_LINE.min(rest.len())).rev().find(|i| rest.is_char_boundary(*i)).unwrap_or(0);
        let (part, more) = rest.split_at(end);
        out.push(LogEntry { line: part.to_owned(), partial: entry.partial || !more.is_empty(), ..entry.clone() });
        rest = more;
        if rest.is_empty() {
            return out;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "topsecretvalue1234567890";

    fn entry(line: &str, partial: bool) -> LogEntry {
        LogEntry { at_ms: 7, stderr: false, line: line.into(), partial }
    }

    fn joined() -> Joined {
        Joined { redactor: Redactor::for_values(&[("SEC", SECRET)]), held: Default::default() }
    }

    #[test]
    fn a_secret_across_pieces_is_found_wherever_it_is_cut() {
        for cut in 0..=SECRET.len() {
            let mut joined = joined();
            let (one, two) = SECRET.split_at(cut);
            let before = "x".repeat(MAX_LOG_LINE - cut);
            let mut out = joined.push(entry(&format!("{before}{one}"), true));
            out.extend(joined.push(entry(&format!("{two} after"), false)));
            let text: String = out.iter().map(|e| e.line.as_str()).collect();
            assert_eq!(text, format!("{before}<secret SEC> after"), "cut at {cut}");
            assert!(out.iter().rev().skip(1).all(|e| e.partial) && !out.last().unwrap().partial);
            assert!(out.iter().all(|e| e.line.len() <= MAX_LOG_LINE && e.at_ms == 7));
        }
    }

    #[test]
    fn a_secret_over_three_pieces_and_streams_apart() {
        let mut joined = joined();
        let mut out = Vec::new();
        for (i, part) in [&SECRET[..5], &SECRET[5..9], &SECRET[9..]].into_iter().enumerate() {
            out.extend(joined.push(entry(part, i < 2)));
            out.extend(joined.push(LogEntry { stderr: true, ..entry("between", false) }));
        }
        let shown: String = out.iter().filter(|e| !e.stderr).map(|e| e.line.as_str()).collect();
        assert_eq!(shown, "<secret SEC>");
        assert_eq!(out.iter().filter(|e| e.stderr && e.line == "between").count(), 3);
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_of_what_there_is_is_not_shown() {
        let mut joined = joined();
        let mut out = joined.push(entry(&format!("begins {}", &SECRET[..20]), true));
        out.extend(joined.end(8));
        let text: String = out.iter().map(|e| e.line.as_str()).collect();
        assert!(text.ends_with('…') && !text.contains("topse"), "{text}");
    }

    #[test]
    fn the_last_lines_are_counted_as_lines() {
        let (end, on) = ((false, false), (false, true));
        assert_eq!(last(&[end, end, end], 2, false), Some(2));
        assert_eq!(last(&[end, on, on, end], 1, false), Some(3));
        assert_eq!(last(&[end, on, on, end, end], 2, false), Some(4));
        assert_eq!(last(&[on, end], 1, false), None, "it may go on from before");
        assert_eq!(last(&[on, end], 1, true), Some(2));
        assert_eq!(last(&[on, end], 5, true), Some(2));
        // The other stream's line is cut in the middle: the reading begins before it.
        let (end2, on2) = ((true, false), (true, true));
        assert_eq!(last(&[end, end2, on2, end, end2, end], 1, false), Some(1));
        assert_eq!(last(&[end, end2, on2, end, end2, end], 2, false), Some(4));
    }
}
