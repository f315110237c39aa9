//! A container's log: what the engine kept, then what comes.
//!
//! The engine ends a followed log when the container ends, even if it is about to be started again. Following here means until the
//! container is removed, so the log is asked for again from the last line's own time, to the nanosecond, and lines up to it are passed over.

use crate::docker::engine::Engine;
use crate::docker::observe::{milliseconds, state_of};
use crate::{LogEntry, MAX_LOG_LINE, RuntimeError};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{InspectContainerOptions, LogsOptions, LogsOptionsBuilder};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use landfall_model::observed::ReplicaState;
use std::sync::Arc;
use std::time::Duration;

/// How often an ended container is looked at: is it gone, or does it run again?
const LOOK: Duration = Duration::from_millis(250);

struct Follower {
    engine: Arc<Engine>,
    name: String,
    follow: bool,
    /// Time stamp of the last line, in the engine's fixed-width form, which orders as text.
    last: String,
    /// After the log was asked for again: lines up to this time stamp were handed on before. Otherwise empty, for the parts of one long line
    /// share a time stamp.
    resumed: String,
    /// When the run began whose end has been read.
    read: Option<String>,
    source: Option<BoxStream<'static, Result<LogOutput, Error>>>,
}

/// Lines of the container `name`, the last `tail` first.
pub(crate) async fn lines(
    engine: Arc<Engine>,
    name: String,
    tail: u32,
    follow: bool,
) -> Result<BoxStream<'static, Result<LogEntry, RuntimeError>>, RuntimeError> {
    let options = LogsOptionsBuilder::new().tail(&tail.to_string());
    let source = open(&engine, &name, options, follow).await?;
    let follower = Follower { engine, name, follow, last: String::new(), resumed: String::new(), read: None, source: Some(source) };
    Ok(stream::unfold(follower, next).flatten().boxed())
}

async fn open(
    engine: &Engine,
    name: &str,
    options: LogsOptionsBuilder,
    follow: bool,
) -> Result<BoxStream<'static, Result<LogOutput, Error>>, RuntimeError> {
    let options: LogsOptions = options.stdout(true).stderr(true).timestamps(true).follow(follow).build();
    Ok(engine.client().await?.clone().logs(name, Some(options)).boxed())
}

type Batch = stream::Iter<std::vec::IntoIter<Result<LogEntry, RuntimeError>>>;

async fn next(mut from: Follower) -> Option<(Batch, Follower)> {
    let batch = |items: Vec<Result<LogEntry, RuntimeError>>| stream::iter(items);
    loop {
        let Some(source) = from.source.as_mut() else {
            match from.again().await {
                Ok(true) => continue,
                Ok(false) => return None,
                Err(e) => {
                    // Told once; then it ends.
                    from.follow = false;
                    return Some((batch(vec![Err(e)]), from));
                }
            }
        };
        match source.next().await {
            Some(Ok(output)) => {
                let (stamp, entries) = entries(output);
                if stamp <= from.resumed {
                    continue;
                }
                from.resumed.clear();
                from.last = stamp;
                return Some((batch(entries.into_iter().map(Ok).collect()), from));
            }
            // A cut connection and the end of a container look alike; whether to go on is asked of the container.
            Some(Err(_)) | None => from.source = None,
        }
    }
}

impl Follower {
    /// Opens the log again once there may be more; false when there will not be.
    async fn again(&mut self) -> Result<bool, RuntimeError> {
        loop {
            if !self.follow {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
            let client = self.engine.client().await?;
            let doing = format!("follow the log of `{}`", self.name);
            let found = self.engine.look(&doing, client.inspect_container(&self.name, None::<InspectContainerOptions>)).await?;
            let Some(state) = found.and_then(|f| f.state) else { return Ok(false) };
            if state_of(&state) == ReplicaState::Running || state.started_at != self.read {
                self.read.clone_from(&state.started_at);
                self.resumed.clone_from(&self.last);
                let since = i32::try_from(milliseconds(&self.last) / 1000).unwrap_or(0);
                self.source = Some(open(&self.engine, &self.name, LogsOptionsBuilder::new().since(since), true).await?);
                return Ok(true);
            }
        }
    }
}

/// The time stamp and lines of one frame: `2024-05-01T10:00:00.123456789Z text`.
fn entries(output: LogOutput) -> (String, Vec<LogEntry>) {
    let stderr = matches!(output, LogOutput::StdErr { .. });
    let terminal = matches!(output, LogOutput::Console { .. });
    let bytes = output.into_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let (stamp, text) = text.split_once(' ').unwrap_or(("", &text));
    // The engine keeps a long line in pieces, of which only the last ends it.
    let goes_on = !terminal && !text.ends_with('\n');
    let text = text.strip_suffix('\n').unwrap_or(text);
    // A terminal turns the end of a line into two characters.
    let text = text.strip_suffix('\r').filter(|_| terminal).unwrap_or(text);
    let at_ms = milliseconds(stamp);
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
        let frame = LogOutput::StdErr { message: "2024-05-01T10:00:00.123456789Z a b\n".into() };
        let (stamp, entries) = entries(frame);
        assert_eq!(stamp, "2024-05-01T10:00:00.123456789Z");
        assert_eq!(entries, [LogEntry { at_ms: 1_714_557_600_123, stderr: true, line: "a b".into(), partial: false }]);
    }

    #[test]
    fn empty_lines_are_lines_and_long_ones_are_several() {
        let of = |text: &str| {
            entries(LogOutput::StdOut { message: format!("2024-05-01T10:00:00.1Z {text}\n").into() })
                .1
                .into_iter()
                .map(|e| e.line.len())
                .collect::<Vec<_>>()
        };
        let marks = |text: &str| {
            let (_, entries) = entries(LogOutput::StdOut { message: format!("2024-05-01T10:00:00.1Z {text}").into() });
            entries.into_iter().map(|e| e.partial).collect::<Vec<_>>()
        };
        assert_eq!((marks("a\n"), marks("a")), (vec![false], vec![true]), "what has no end goes on");
        assert_eq!(marks(&format!("{}\n", "x".repeat(MAX_LOG_LINE + 3))), [true, false]);
        assert_eq!(of(""), [0]);
        assert_eq!(of(&"x".repeat(MAX_LOG_LINE + 3)), [MAX_LOG_LINE, 3]);
        assert_eq!(of(&"é".repeat(MAX_LOG_LINE)).iter().sum::<usize>(), 2 * MAX_LOG_LINE);
    }
}
