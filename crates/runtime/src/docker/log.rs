//! A container's log: what the engine kept, then what comes.
//!
//! The engine ends a followed log when the container ends, even if it is about to be started again. Following here means until the
//! container is removed, so the log is asked for again from the last line's own time, to the nanosecond, and lines up to it are passed over.

use crate::docker::engine::Engine;
use crate::docker::frame::{Source, entries, milliseconds};
use crate::docker::observe::state_of;
use crate::{LogEntry, RuntimeError};
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
                let (stamp, entries) = read(output);
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

/// What the engine says which stream it was.
fn read(output: LogOutput) -> (String, Vec<LogEntry>) {
    let source = match output {
        LogOutput::StdErr { .. } => Source::Stderr,
        LogOutput::Console { .. } => Source::Terminal,
        LogOutput::StdOut { .. } | LogOutput::StdIn { .. } => Source::Stdout,
    };
    entries(source, &output.into_bytes())
}
