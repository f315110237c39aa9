//! Event streams kept open (SSE, WHATWG HTML 9.2): every event's `id:` is one more than the one before it.

use crate::fault::{Fault, FaultKind, Stage};
use crate::lane::open_h1;
use crate::load::Run;
use crate::record::{Part, add_version, version_of};
use crate::release::Lifetime;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The longest line that is read, bytes.
const LINE_LIMIT: usize = 64 << 10;

/// Between two attempts to open one.
const PAUSE: Duration = Duration::from_millis(100);

/// An open stream. The sender keeps its connection driven.
struct Open {
    body: Incoming,
    version: String,
    _sender: SendRequest<Empty<Bytes>>,
}

/// Keeps one stream open until the load stops.
pub(crate) async fn keep_open(run: Rc<Run>) {
    while !run.is_stopped() {
        let opened = tokio::select! {
            () = run.stopped() => return,
            opened = tokio::time::timeout(run.target.deadline, open(&run)) => opened,
        };
        match opened.unwrap_or_else(|_| Err(Fault::timeout("opened event stream"))) {
            Ok(stream) => {
                run.record.count(|r| {
                    r.streams.opened += 1;
                    r.streams.open += 1;
                    add_version(&mut r.streams.versions, &stream.version);
                });
                if live(&run, stream).await {
                    return;
                }
            }
            Err(fault) => run.record.failed(Part::Streams, fault),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(run: &Run) -> Result<Open, Fault> {
    let path = &run.target.streams.path;
    let request = Request::get(path)
        .header(header::HOST, &run.target.host)
        .header(header::ACCEPT, "text/event-stream")
        .body(Empty::new())
        .map_err(|e| Fault::new(FaultKind::Protocol, e))?;
    let mut sender = open_h1(&run.dial).await?;
    let answer = sender.send_request(request).await.map_err(|e| Fault::of(Stage::Head, &e))?;
    if !answer.status().is_success() {
        return Err(Fault::status(answer.status(), path));
    }
    Ok(Open { version: version_of(answer.headers()), body: answer.into_body(), _sender: sender })
}

/// Reads until the stream ends or the load stops; true for the latter.
async fn live(run: &Run, mut stream: Open) -> bool {
    let opened = Instant::now();
    let mut events = Events::default();
    let fault = loop {
        let frame = tokio::select! {
            () = run.stopped() => return true,
            frame = tokio::time::timeout(run.target.deadline, stream.body.frame()) => frame,
        };
        match frame {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                let before = events.seen;
                let read = events.read(&data);
                run.record.count(|r| r.streams.events += events.seen - before);
                if let Err(fault) = read {
                    break Some(fault);
                }
            }
            Ok(None) => break None,
            Ok(Some(Err(e))) => break Some(Fault::new(FaultKind::SseCut, Fault::of(Stage::Body, &e).detail)),
            Err(_) => break Some(Fault::new(FaultKind::SseStalled, format_args!("nothing from version {}", stream.version))),
        }
    };
    run.record.count(|r| r.streams.open -= 1);
    match fault {
        Some(fault) => run.record.failed(Part::Streams, fault),
        None => {
            run.record.count(|r| r.streams.ended += 1);
            let life = Lifetime { version: &stream.version, opened, closed: Instant::now() };
            run.record.judge_end(Part::Streams, FaultKind::SseEarlyEnd, life);
        }
    }
    false
}

/// The part of the event stream format that matters here: lines, and the number after `id:`.
#[derive(Debug, Default)]
struct Events {
    line: Vec<u8>,
    last: Option<u64>,
    seen: u64,
}

impl Events {
    fn read(&mut self, data: &[u8]) -> Result<(), Fault> {
        for &byte in data {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line(&line)?;
            } else if self.line.len() < LINE_LIMIT {
                self.line.push(byte);
            } else {
                return Err(Fault::new(FaultKind::Protocol, "an event stream with an endless line"));
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line = String::from_utf8_lossy(line);
        let Some(id) = line.strip_prefix("id:").map(str::trim) else { return Ok(()) };
        let id: u64 = id.parse().map_err(|_| Fault::new(FaultKind::Protocol, format_args!("event id {id:?}")))?;
        self.seen += 1;
        match self.last.replace(id) {
            Some(last) if last + 1 != id => Err(Fault::new(FaultKind::SseGap, format_args!("event {id} after {last}"))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_may_be_cut_anywhere_and_may_not_be_left_out() {
        let mut events = Events::default();
        for piece in ["id: 7\r\nda", "ta: x\n\nid", ": 8\n", "data: y\n\n: a comment\nid:9\n\n"] {
            events.read(piece.as_bytes()).unwrap();
        }
        assert_eq!(events.seen, 3);
        assert_eq!(events.read(b"id: 11\n").unwrap_err().kind, FaultKind::SseGap);
        assert_eq!(events.read(b"id: 11\n").unwrap_err().kind, FaultKind::SseGap);
    }
}
