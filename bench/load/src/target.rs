//! What is loaded and how much: plain values, checked when the load starts.

use crate::load::StartError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Upper bounds of one generator.
const RATE_LIMIT: u32 = 20_000;
const OPEN_LIMIT: u32 = 10_000;

/// Where the load goes and what it is made of. Nothing is sent before `requests`, `sockets` or `streams` say so.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where connections go, whatever `host` resolves to.
    pub address: SocketAddr,
    /// Sent as SNI and `Host`; may carry a port (`tutor.localhost:8443`), which SNI leaves out.
    pub host: String,
    /// Whether TLS is spoken, and whom to believe.
    pub trust: Trust,
    /// Single requests.
    pub requests: Requests,
    /// WebSockets kept open.
    pub sockets: Sockets,
    /// Event streams kept open.
    pub streams: Streams,
    /// How long a release leaves WebSockets and streams alone, counted from `Handle::mark_release`.
    pub drain: Duration,
    /// How long any answer, echo or tick may take.
    pub deadline: Duration,
}

impl Target {
    /// HTTPS, believing only the authority in the PEM file `ca`.
    pub fn https(address: SocketAddr, host: impl Into<String>, ca: impl Into<PathBuf>) -> Self {
        Self { trust: Trust::Ca(ca.into()), ..Self::http(address, host) }
    }

    /// Plain HTTP.
    pub fn http(address: SocketAddr, host: impl Into<String>) -> Self {
        Self {
            address,
            host: host.into(),
            trust: Trust::Plain,
            requests: Requests::default(),
            sockets: Sockets::default(),
            streams: Streams::default(),
            drain: Duration::from_secs(30),
            deadline: Duration::from_secs(10),
        }
    }

    /// The host without its port.
    pub(crate) fn name(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &self.host,
        }
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let bounded = |what, asked, limit| if asked > limit { Err(StartError::TooMuch { what, asked, limit }) } else { Ok(()) };
        bounded("requests per second", self.requests.per_second, RATE_LIMIT)?;
        bounded("WebSockets", self.sockets.count, OPEN_LIMIT)?;
        bounded("event streams", self.streams.count, OPEN_LIMIT)?;
        if self.requests.per_second > 0 && (self.requests.asks.is_empty() || self.requests.mix.total() == 0) {
            return Err(StartError::NothingToAsk);
        }
        Ok(())
    }
}

/// Whom to believe.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Nobody needs believing: no TLS. HTTP/2 is then spoken with prior knowledge.
    Plain,
    /// The authorities in this PEM file, and no others.
    Ca(PathBuf),
}

/// Single requests, all of them GET.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Started per second, evenly; 0 for none.
    pub per_second: u32,
    /// Asked in turn.
    pub asks: Vec<Ask>,
    /// On which connections.
    pub mix: Mix,
}

impl Default for Requests {
    fn default() -> Self {
        Self { per_second: 0, asks: Vec::new(), mix: Mix { kept: 7, h2: 2, fresh: 1 } }
    }
}

/// One thing to ask for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// With query.
    pub path: String,
    /// What a 2xx answer's body must be.
    pub body: Expect,
}

impl Ask {
    /// Any body is right.
    pub fn any(path: impl Into<String>) -> Self {
        Self { path: path.into(), body: Expect::Any }
    }

    /// The body must be the version that the header `x-version` names.
    pub fn version(path: impl Into<String>) -> Self {
        Self { path: path.into(), body: Expect::Version }
    }
}

/// What a body must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Complete.
    Any,
    /// Equal to the header `x-version`: one answer, one release.
    Version,
    /// This text somewhere in it.
    Contains(String),
}

/// Shares of connections, in turn: of `kept + h2 + fresh` requests in a row, so many each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// HTTP/1.1 connections that are kept and used again.
    pub kept: u32,
    /// One HTTP/2 connection for all.
    pub h2: u32,
    /// An HTTP/1.1 connection for each.
    pub fresh: u32,
}

impl Mix {
    pub(crate) fn total(self) -> u64 {
        u64::from(self.kept) + u64::from(self.h2) + u64::from(self.fresh)
    }
}

/// WebSockets kept open: each sends a text at a fixed pace and expects the same text back; other texts are ignored. One that is
/// closed is opened again.
#[derive(Debug, Clone)]
pub struct Sockets {
    /// Where.
    pub path: String,
    /// How many at a time.
    pub count: u32,
    /// Between two texts of one of them.
    pub every: Duration,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { path: "/ws".into(), count: 0, every: Duration::from_secs(1) }
    }
}

/// Event streams (SSE) kept open: the `id:` of an event must be one more than that of the event before. One that has ended is
/// opened again.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    /// Where.
    pub path: String,
    /// How many at a time.
    pub count: u32,
}
