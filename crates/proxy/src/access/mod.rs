//! The access log: one line of JSON for a request, written by a thread of its own.
//!
//! A worker puts lines into a buffer that only it knows and gives the buffer away when it is full or at the next sweep. The queue between has a fixed
//! length and nobody waits at its end: if the disk is slower than the requests, lines are thrown away and counted.

mod file;

use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError};

pub(crate) use file::start;

/// A worker's buffer is given away when it has so many bytes.
const FULL: usize = 32 * 1024;
/// Buffers that may wait for the disk.
const QUEUE: usize = 64;
/// Bytes of one text in a line; the rest is cut off.
const MAX_TEXT: usize = 2048;

/// Lines about refused requests between two sweeps: they are for everybody to make, and must not push others out of the file. All are counted.
const REFUSALS: u32 = 50;

/// Some lines, and how many.
pub(crate) struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

/// The way to the thread that writes.
#[derive(Clone)]
pub(crate) struct Queue {
    lines: SyncSender<Lines>,
    /// Thrown away.
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Lines thrown away since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// One worker's end of it.
pub(crate) struct Log {
    queue: Queue,
    buffer: RefCell<Lines>,
    dice: Cell<u64>,
    /// Lines about requests that nobody could carry, until the next sweep.
    refusals: Cell<u32>,
}

/// What a line says.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    /// When the request came.
    pub(crate) time: jiff::Timestamp,
    /// Absent if no app is known for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<&'a str>,
    /// Absent if it was redirected or refused before a route was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) scheme: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<&'a str>,
    /// 499 if the client left before there was one.
    pub(crate) status: u16,
    /// Of the answer's body, as sent.
    pub(crate) bytes: u64,
    /// Of the request's body.
    pub(crate) bytes_in: u64,
    /// Until the end of the answer, milliseconds.
    pub(crate) duration_ms: f64,
    /// Until its first byte.
    pub(crate) wait_ms: f64,
    pub(crate) client: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    /// The endpoint that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<&'a str>,
    pub(crate) protocol: &'a str,
    /// Why nobody could carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<&'a str>,
    /// The answer did not get to its end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) broken: bool,
    /// Why the endpoint gave no answer that could be passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
}

/// The part of a text that a line has room for.
pub(crate) fn bounded(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

impl Log {
    pub(crate) fn new(queue: Queue) -> Self {
        // Any beginning will do, as long as workers do not keep step.
        let dice = Cell::new(RandomState::new().hash_one(0) | 1);
        Self { queue, buffer: RefCell::new(Lines { bytes: Vec::new(), count: 0 }), dice, refusals: Cell::new(REFUSALS) }
    }

    /// One of so many millionths.
    pub(crate) fn is_drawn(&self, millionths: u32) -> bool {
        // xorshift64: chosen requests need to be spread, not unpredictable.
        let mut x = self.dice.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.dice.set(x);
        x % 1_000_000 < u64::from(millionths)
    }

    /// There is room for one more line about a request that nobody could carry.
    pub(crate) fn takes_refusal(&self) -> bool {
        let left = self.refusals.get();
        self.refusals.set(left.saturating_sub(1));
        left > 0
    }

    /// Adds a line.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        let before = buffer.bytes.len();
        if serde_json::to_writer(&mut buffer.bytes, line).is_err() {
            buffer.bytes.truncate(before);
            return;
        }
        buffer.bytes.push(b'\n');
        buffer.count += 1;
        if buffer.bytes.len() >= FULL {
            self.give_away(&mut buffer);
        }
    }

    /// Gives away what there is.
    pub(crate) fn flush(&self) {
        self.refusals.set(REFUSALS);
        let mut buffer = self.buffer.borrow_mut();
        if buffer.count > 0 {
            self.give_away(&mut buffer);
        }
    }

    fn give_away(&self, buffer: &mut Lines) {
        let lines = std::mem::replace(buffer, Lines { bytes: Vec::new(), count: 0 });
        if let Err(TrySendError::Full(lines) | TrySendError::Disconnected(lines)) = self.queue.lines.try_send(lines) {
            self.queue.dropped.fetch_add(lines.count, Relaxed);
        }
    }
}

impl Drop for Log {
    /// Requests that end with their worker are written down too.
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn line(path: &str) -> Line<'_> {
        Line {
            time: jiff::Timestamp::UNIX_EPOCH,
            app: Some("shop"),
            route: Some("/"),
            method: "GET",
            scheme: "https",
            host: "shop.example",
            path,
            query: None,
            status: 200,
            bytes: 1,
            bytes_in: 0,
            duration_ms: 1.5,
            wait_ms: 0.25,
            client: IpAddr::from([192, 0, 2, 1]),
            id: None,
            upstream: Some("shop/web-1-1"),
            protocol: "HTTP/2",
            refused: None,
            broken: false,
            fault: None,
        }
    }

    #[test]
    fn a_disk_that_is_slow_costs_lines_and_no_time_and_no_memory() {
        let (lines, taken) = sync_channel(2);
        let log = Log::new(Queue { lines, dropped: Arc::default() });
        for _ in 0..10 {
            log.write(&line("/a"));
            log.flush();
        }
        assert_eq!(log.queue.dropped(), 8);
        drop(taken);
        log.write(&line("/a"));
        log.flush();
        assert_eq!(log.queue.dropped(), 9);
    }

    #[test]
    fn lines_are_json_whatever_clients_write() {
        let (lines, taken) = sync_channel(2);
        let log = Log::new(Queue { lines, dropped: Arc::default() });
        let long = format!("/{}", "ä".repeat(5000));
        log.write(&line("/\"\n\u{1b}[31m"));
        log.write(&line(bounded(&long)));
        log.flush();
        let text = String::from_utf8(taken.recv().unwrap().bytes).unwrap();
        let paths: Vec<String> =
            text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(paths[0], "/\"\n\u{1b}[31m");
        assert_eq!(paths[1].len(), 2047, "no character is cut in two");
        assert!(text.starts_with("{\"time\":\"1970-01-01T00:00:00Z\",\"app\":\"shop\""), "{text}");
    }

    #[test]
    fn samples_are_about_as_many_as_asked_for() {
        let (lines, _taken) = sync_channel(1);
        let log = Log::new(Queue { lines, dropped: Arc::default() });
        let drawn = |millionths| (0..100_000).filter(|_| log.is_drawn(millionths)).count();
        assert_eq!((drawn(0), drawn(1_000_000)), (0, 100_000));
        assert!((9_000..11_000).contains(&drawn(100_000)));
    }
}
