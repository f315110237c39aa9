//! Streams of the agent, one JSON object per line, that outlive the agent.
//!
//! A stream that is cut is asked for again from where it was: events by their sequence number, log lines by their time, since a log has no
//! numbers. A caller sees one stream without gaps or repetitions.

use super::channel::AWAY_PAUSE;
use super::{Client, ClientError, PAUSE, ask};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use landfall_model::api::{Event, LogLine, What};
use landfall_model::name::{AppName, ReplicaId, RolloutId, ServiceName};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tokio::time::{Instant, sleep};

/// Longest line of a stream.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// Lines of one answer.
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    path: String,
}

impl Lines {
    pub(super) fn of(response: Response<Incoming>, path: &str) -> Self {
        Self { body: response.into_body(), buffer: BytesMut::new(), path: path.to_owned() }
    }

    /// The next object; `None` at the proper end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return serde_json::from_slice(&line).map(Some).map_err(|source| ClientError::Answer { path: self.path.clone(), source });
            }
            if self.buffer.len() > MAX_LINE {
                return Err(ClientError::cut("a line of the stream is too long"));
            }
            match self.body.frame().await {
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ClientError::cut("the stream ended inside a line")),
                Some(Err(error)) => return Err(ClientError::cut(error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

impl Client {
    async fn lines(&self, path: String) -> Result<Lines, ClientError> {
        let response = ask(self.connect().await?, Method::GET, &path, Bytes::new()).await?;
        Ok(Lines::of(response, &path))
    }

    /// Every event of a rollout, to its end.
    pub fn rollout_events(&self, id: &RolloutId) -> Events {
        Events { again: Again::new(self), from: Source::Rollout(id.clone()), after: None, ended: false }
    }

    /// The last `limit` events, of one app or all, with `audit` only who asked for what; then new ones with `follow`.
    pub fn events(&self, app: Option<&AppName>, (limit, audit): (u32, bool), follow: bool) -> Events {
        Events { again: Again::new(self), from: Source::All { app: app.cloned(), limit, audit, follow }, after: None, ended: false }
    }

    /// The last `tail` lines of each replica of these services (all when empty), then new ones with `follow`.
    pub fn logs(&self, app: &AppName, services: &[ServiceName], tail: u32, follow: bool) -> Logs {
        let services: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
        let query = format!("/v1/apps/{app}/logs?services={}&follow={follow}", services.join(","));
        Logs { again: Again::new(self), query, tail, follow, seen: BTreeMap::new(), skip: BTreeMap::new() }
    }
}

/// The connection of a stream, made again when it is cut.
struct Again {
    client: Client,
    lines: Option<Lines>,
    /// Since when nothing came.
    cut_since: Option<Instant>,
    /// Something came once: whoever sent it may come back.
    reached: bool,
}

impl Again {
    fn new(client: &Client) -> Self {
        Self { client: client.clone(), lines: None, cut_since: None, reached: false }
    }

    /// Whether to connect again after this error; waits a moment if so.
    async fn retry(&mut self, error: ClientError) -> Result<(), ClientError> {
        let since = *self.cut_since.get_or_insert_with(Instant::now);
        self.lines = None;
        match error {
            ClientError::Cut(_) if since.elapsed() < self.client.channel.patience() => {
                sleep(PAUSE).await;
                Ok(())
            }
            ref away if self.reached && away.is_away() && since.elapsed() < self.client.channel.patience() => {
                sleep(AWAY_PAUSE).await;
                Ok(())
            }
            error => Err(error),
        }
    }

    /// The next object of the answer to `path`, which is asked for when there is no connection.
    async fn next<T: DeserializeOwned>(&mut self, path: impl FnOnce() -> String) -> Result<Option<T>, ClientError> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            None => self.lines.insert(self.client.lines(path()).await?),
        };
        let next = lines.next().await?;
        (self.cut_since, self.reached) = (None, true);
        Ok(next)
    }
}

enum Source {
    Rollout(RolloutId),
    All { app: Option<AppName>, limit: u32, audit: bool, follow: bool },
}

/// A stream of events.
pub struct Events {
    again: Again,
    from: Source,
    after: Option<u64>,
    ended: bool,
}

impl Events {
    /// Goes on after this sequence number instead of at the beginning.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = Some(seq);
        self
    }

    /// The next event; `None` when there will be none.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        while !self.ended {
            let path = path(&self.from, self.after);
            match self.again.next::<Event>(|| path).await {
                Ok(Some(event)) => {
                    self.after = Some(event.seq);
                    self.ended = matches!((&self.from, &event.what), (Source::Rollout(_), What::RolloutEnded { .. }));
                    return Ok(Some(event));
                }
                Ok(None) if self.ends() => self.ended = true,
                // An agent that stops ends its streams properly; that is no end of what they tell.
                Ok(None) => self.again.retry(ClientError::cut("the stream ended early")).await?,
                Err(error) => self.again.retry(error).await?,
            }
        }
        Ok(None)
    }

    fn ends(&self) -> bool {
        matches!(self.from, Source::All { follow: false, .. })
    }
}

fn path(from: &Source, after: Option<u64>) -> String {
    match from {
        Source::Rollout(id) => format!("/v1/rollouts/{id}/events?after={}", after.unwrap_or(0)),
        Source::All { app, limit, audit, follow } => {
            let app = app.as_ref().map(|app| format!("&app={app}")).unwrap_or_default();
            let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
            format!("/v1/events?limit={limit}&follow={follow}&audit={audit}{app}{after}")
        }
    }
}

/// So many lines of the past are asked for when a stream of logs is taken up again; what was written while the agent was away lies in them.
const CATCH_UP: u32 = 1000;

/// A stream of log lines.
pub struct Logs {
    again: Again,
    query: String,
    tail: u32,
    follow: bool,
    /// Per replica: time of the last line handed on, and how many of that time were.
    seen: BTreeMap<ReplicaId, (u64, u32)>,
    /// Since the stream was taken up again: lines of `seen`'s time still to be left out.
    skip: BTreeMap<ReplicaId, (u64, u32)>,
}

impl Logs {
    /// The next line; `None` when there will be none.
    pub async fn next(&mut self) -> Result<Option<LogLine>, ClientError> {
        loop {
            let path = format!("{}&tail={}", self.query, self.tail);
            match self.again.next::<LogLine>(|| path).await {
                Ok(Some(line)) if self.is_new(&line) => return Ok(Some(line)),
                Ok(Some(_)) => {}
                Ok(None) if !self.follow => return Ok(None),
                Ok(None) => self.take_up_again(ClientError::cut("the stream ended early")).await?,
                Err(error) => self.take_up_again(error).await?,
            }
        }
    }

    async fn take_up_again(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.again.retry(error).await?;
        if !self.seen.is_empty() {
            self.tail = CATCH_UP.max(self.tail);
        }
        self.skip = self.seen.clone();
        Ok(())
    }

    /// Whether the line was not handed on before the stream was taken up again.
    fn is_new(&mut self, line: &LogLine) -> bool {
        if let Some((last, left)) = self.skip.get_mut(&line.replica) {
            if line.at_ms < *last {
                return false;
            }
            if line.at_ms == *last && *left > 0 {
                *left -= 1;
                return false;
            }
            self.skip.remove(&line.replica);
        }
        let seen = self.seen.entry(line.replica.clone()).or_insert((line.at_ms, 0));
        *seen = if seen.0 == line.at_ms { (seen.0, seen.1 + 1) } else { (line.at_ms, 1) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Channel;
    use crate::settings::Home;

    fn line(at_ms: u64, text: &str) -> LogLine {
        LogLine { at_ms, replica: "web-1-1".parse().unwrap(), stderr: false, line: text.into(), partial: false }
    }

    #[test]
    fn a_log_taken_up_again_repeats_nothing_and_loses_nothing() {
        let client = Client::new(Channel::Here(Home::new("/tmp/x".into()).unwrap()));
        let mut logs = client.logs(&"a".parse().unwrap(), &[], 10, true);
        let first: Vec<bool> = [line(1, "a"), line(2, "b"), line(2, "c")].iter().map(|l| logs.is_new(l)).collect();
        assert_eq!(first, [true, true, true]);
        logs.skip = logs.seen.clone();
        let again: Vec<bool> =
            [line(1, "a"), line(2, "b"), line(2, "c"), line(2, "d"), line(3, "e")].iter().map(|l| logs.is_new(l)).collect();
        assert_eq!(again, [false, false, false, true, true]);
    }

    /// A server that is started again has no socket for a while, then one that is nobody's yet, then an agent.
    #[tokio::test]
    async fn who_follows_waits_for_an_agent_that_is_not_there_yet_and_nobody_else_does() {
        let client = Client::new(Channel::Here(Home::new("/tmp/x".into()).unwrap()));
        let refused = |code: &str| {
            let failure = landfall_model::api::Failure {
                code: code.into(),
                message: String::new(),
                causes: Vec::new(),
                hints: Vec::new(),
                log: Vec::new(),
            };
            ClientError::Refused(Box::new(failure))
        };
        let nobody = || ClientError::NotRunning { socket: "/x".into(), source: std::io::ErrorKind::NotFound.into() };
        let mut again = Again::new(&client);
        assert!(again.retry(nobody()).await.is_err(), "there never was one");
        again.reached = true;
        for error in [nobody(), refused("agent-not-running"), refused("agent-not-allowed"), refused("agent-away"), ClientError::cut("x")] {
            let shown = error.to_string();
            assert!(again.retry(error).await.is_ok(), "{shown}");
        }
        assert!(again.retry(refused("no-rollout")).await.is_err());
        assert!(again.retry(ClientError::Slow { path: "/".into(), seconds: 1 }).await.is_err());
    }
}
