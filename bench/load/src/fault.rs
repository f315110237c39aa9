//! The kinds of failure, and which one an error of the libraries beneath is.
//!
//! A kind says what the client saw, not whose fault it was: that is read from kinds and times together. Where an error arose
//! decides as much as what it was, because the same end of file before, in and after an answer are three different things.

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::io;
use tokio_rustls::rustls;

/// What a client saw go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Nobody listens.
    ConnectRefused,
    /// No connection, for another reason.
    Connect,
    /// The connection was reset, before or in the answer.
    Reset,
    /// The connection ended before the answer began.
    Closed,
    /// No answer, or no complete one, within the deadline.
    Timeout,
    /// No agreement on TLS, or a certificate nobody should believe.
    Tls,
    /// What came was not HTTP, or not as agreed.
    Protocol,
    /// Status 3xx.
    #[serde(rename = "http-3xx")]
    Http3xx,
    /// Status 4xx.
    #[serde(rename = "http-4xx")]
    Http4xx,
    /// Status 5xx, or one that does not exist.
    #[serde(rename = "http-5xx")]
    Http5xx,
    /// The answer ended in the middle.
    TruncatedBody,
    /// The answer is complete and not what it should be.
    WrongBody,
    /// A WebSocket ended without a closing handshake (1006), or was closed with another code than 1000 and 1001.
    WsAbnormalClose,
    /// A WebSocket was closed politely, but before the drain limit of a release, or without any.
    WsEarlyClose,
    /// A WebSocket did not send back what it was sent in time.
    WsNoEcho,
    /// A WebSocket sent something else back.
    WsWrongEcho,
    /// An event stream broke off.
    SseCut,
    /// An event stream left out or repeated an event.
    SseGap,
    /// An event stream sent nothing for as long as the deadline.
    SseStalled,
    /// An event stream ended properly, but before the drain limit of a release, or without any.
    SseEarlyEnd,
    /// Not the server's: this generator had too many requests under way, or no descriptor left, to start another.
    Overload,
}

/// A failure that was seen once.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// For people.
    pub(crate) detail: String,
    /// Where, for what a library reported.
    stage: Option<Stage>,
}

/// Where in an exchange an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// TCP.
    Connect,
    /// Agreement on TLS and HTTP.
    Handshake,
    /// Until the answer's head is there.
    Head,
    /// After that.
    Body,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string(), stage: None }
    }

    pub(crate) fn timeout(what: &str) -> Self {
        Self::new(FaultKind::Timeout, format_args!("no {what} within the deadline"))
    }

    /// A status that is not 2xx.
    pub(crate) fn status(status: http::StatusCode, path: &str) -> Self {
        let kind = match status.as_u16() {
            300..400 => FaultKind::Http3xx,
            400..500 => FaultKind::Http4xx,
            _ => FaultKind::Http5xx,
        };
        Self::new(kind, format_args!("{path}: {status}"))
    }

    /// The kind of `error`, which arose in `stage`.
    pub(crate) fn of(stage: Stage, error: &(dyn Error + 'static)) -> Self {
        let kind = chain(error).find_map(|e| kind(stage, e)).unwrap_or(fallback(stage));
        Self { kind, detail: describe(error), stage: Some(stage) }
    }

    /// True when a server may do this to a kept connection at the moment a request is written to it: the request was not
    /// answered at all, and any browser would ask again (RFC 9112, 9.3.1).
    pub(crate) fn unanswered(&self) -> bool {
        self.stage == Some(Stage::Head) && matches!(self.kind, FaultKind::Closed | FaultKind::Reset)
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| e.source())
}

/// What one link of the chain says about the kind, if anything.
fn kind(stage: Stage, error: &(dyn Error + 'static)) -> Option<FaultKind> {
    let ended = if stage == Stage::Body { FaultKind::TruncatedBody } else { FaultKind::Closed };
    if let Some(e) = error.downcast_ref::<hyper::Error>() {
        return match () {
            () if e.is_parse() => Some(FaultKind::Protocol),
            () if e.is_incomplete_message() || e.is_canceled() || e.is_closed() => Some(ended),
            () => None,
        };
    }
    if let Some(e) = error.downcast_ref::<h2::Error>() {
        // The connection's own end is told by the input or output error beneath.
        return match () {
            () if e.is_go_away() && e.reason() == Some(h2::Reason::NO_ERROR) => Some(ended),
            () if e.reason() == Some(h2::Reason::REFUSED_STREAM) => Some(FaultKind::Closed),
            () if e.is_reset() => Some(FaultKind::Reset),
            () if e.is_io() => e.get_io().and_then(|io| of_io(io, ended)).or(Some(ended)),
            () => Some(FaultKind::Protocol),
        };
    }
    if error.is::<rustls::Error>() {
        return Some(FaultKind::Tls);
    }
    let io = error.downcast_ref::<io::Error>()?;
    // `source()` of an input or output error skips the error it wraps.
    io.get_ref().filter(|inner| inner.is::<rustls::Error>()).map(|_| FaultKind::Tls).or_else(|| of_io(io, ended))
}

/// EMFILE and ENFILE: this process, or this machine, has no descriptor left.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

fn of_io(error: &io::Error, ended: FaultKind) -> Option<FaultKind> {
    if error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
        return Some(FaultKind::Overload);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(FaultKind::ConnectRefused),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => Some(FaultKind::Reset),
        io::ErrorKind::UnexpectedEof => Some(ended),
        io::ErrorKind::TimedOut => Some(FaultKind::Timeout),
        _ => None,
    }
}

fn fallback(stage: Stage) -> FaultKind {
    match stage {
        Stage::Connect => FaultKind::Connect,
        Stage::Handshake => FaultKind::Tls,
        Stage::Head | Stage::Body => FaultKind::Protocol,
    }
}

fn describe(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = chain(error).map(ToString::to_string).collect();
    // Libraries like to repeat their cause.
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_end_of_file_is_two_kinds() {
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(Fault::of(Stage::Head, &eof()).kind, FaultKind::Closed);
        assert_eq!(Fault::of(Stage::Body, &eof()).kind, FaultKind::TruncatedBody);
    }

    #[test]
    fn a_tls_error_inside_an_input_error_is_found() {
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(Fault::of(Stage::Head, &wrapped).kind, FaultKind::Tls);
    }

    #[test]
    fn kinds_are_words_in_json() {
        assert_eq!(serde_json::to_string(&FaultKind::Http5xx).unwrap(), "\"http-5xx\"");
        assert_eq!(serde_json::to_string(&FaultKind::WsAbnormalClose).unwrap(), "\"ws-abnormal-close\"");
    }
}
