//! What exactly kept an application's answer from being passed on.

use crate::exhausted::lacks_means;
use crate::upstream::http1::{Failure, TOO_LARGE, TOO_MANY};
use crate::upstream::reach::{CONNECT_LIMIT, is_away};
use http::StatusCode;
use landfall_model::fault::Fault;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// A reason, and the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) detail: Cow<'static, str>,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.detail)
    }
}

impl Failed {
    fn new(fault: Fault, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { fault, detail: detail.into() }
    }

    /// No connection.
    pub(crate) fn unreached(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_away(error) => Self::new(Fault::NoNetwork, "the bridge of its network is not there"),
            _ if lacks_means(error) => Self::new(Fault::Exhausted, format!("the proxy has no descriptor or port left ({error})")),
            io::ErrorKind::TimedOut => Self::new(Fault::Unreachable, format!("no connection within {} s", CONNECT_LIMIT.as_secs())),
            _ => Self::new(Fault::Unreachable, error.to_string()),
        }
    }

    /// It was sent, and no answer came over HTTP/1.1.
    pub(crate) fn lost(failure: &Failure) -> Self {
        match failure {
            Failure::Malformed(words) if [TOO_LARGE, TOO_MANY].contains(words) => Self::new(Fault::TooLarge, *words),
            Failure::Malformed(words) => Self::new(Fault::Malformed, *words),
            Failure::Broken { cause, .. } => Self::closed(cause),
            Failure::Client(error) => Self::new(Fault::Closed, error.to_string()),
        }
    }

    fn closed(cause: &io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => Self::new(Fault::Closed, "the connection ended before the answer"),
            _ => Self::new(Fault::Closed, cause.to_string()),
        }
    }

    /// The same over HTTP/2: what is not the connection's fault is the answer's.
    pub(crate) fn lost_h2c(error: &hyper::Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return Self::closed(cause);
            }
            source = cause.source();
        }
        let words = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Self::new(if error.is_closed() || error.is_canceled() { Fault::Closed } else { Fault::Malformed }, words)
    }

    /// The answer has come, and is none.
    pub(crate) fn malformed(words: &'static str) -> Self {
        Self::new(Fault::Malformed, words)
    }

    pub(crate) fn timed_out(limit: Duration) -> Self {
        Self::new(Fault::Timeout, format!("no answer within {} s", limit.as_secs()))
    }

    /// A tunnel was asked for, and it answered otherwise.
    pub(crate) fn upgrade(status: StatusCode) -> Self {
        Self::new(Fault::Upgrade, format!("{} is no agreement to the protocol it was asked for", status.as_u16()))
    }
}
