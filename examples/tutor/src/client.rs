//! One HTTP request with a name resolution and a connection of its own, and the kind of its failure.
//!
//! Deliberately without a cache, a pool or a retry: a caller that must prove that no call failed may not hide one.

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};
use tokio::net::TcpStream;

/// The longest answer that is read, bytes.
const BODY_LIMIT: usize = 1 << 20;

/// How long a call may take in all. Longer than the five seconds after which the C library repeats a lost question to DNS.
const DEADLINE: Duration = Duration::from_secs(10);

/// What came back, with a 2xx status.
pub struct Answer {
    /// The header `x-version`, or "none".
    pub version: String,
    /// Complete.
    pub body: Bytes,
}

/// Why nothing did.
#[derive(Debug)]
pub enum CallError {
    /// The address makes no sense.
    Address,
    /// The name has no address, or nobody knows.
    Resolve,
    /// Nobody listens.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer did.
    Closed,
    /// Not done within the deadline.
    Timeout,
    /// Answered with something else than 2xx.
    Status(StatusCode),
    /// Anything else.
    Other,
}

impl CallError {
    /// A stable word to count by, such as `refused` or `status-503`.
    pub fn kind(&self) -> String {
        match self {
            Self::Address => "address".into(),
            Self::Resolve => "resolve".into(),
            Self::Refused => "refused".into(),
            Self::Reset => "reset".into(),
            Self::Closed => "closed".into(),
            Self::Timeout => "timeout".into(),
            Self::Status(status) => format!("status-{}", status.as_u16()),
            Self::Other => "other".into(),
        }
    }

    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(e) = cause {
            if let Some(io) = e.downcast_ref::<io::Error>() {
                match io.kind() {
                    io::ErrorKind::ConnectionRefused => return Self::Refused,
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => return Self::Reset,
                    io::ErrorKind::UnexpectedEof => return Self::Closed,
                    _ => {}
                }
            }
            if e.downcast_ref::<hyper::Error>().is_some_and(|e| e.is_incomplete_message() || e.is_canceled()) {
                return Self::Closed;
            }
            cause = e.source();
        }
        Self::Other
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call failed: {}", self.kind())
    }
}

impl std::error::Error for CallError {}

/// GETs `url`, such as `http://backend:8000/api/version`.
pub async fn get(url: &str) -> Result<Answer, CallError> {
    tokio::time::timeout(DEADLINE, exchange(url)).await.unwrap_or(Err(CallError::Timeout))
}

async fn exchange(url: &str) -> Result<Answer, CallError> {
    let url: Uri = url.parse().map_err(|_| CallError::Address)?;
    let (Some(authority), Some(path)) = (url.authority(), url.path_and_query()) else { return Err(CallError::Address) };
    let request = Request::get(path.as_str())
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| CallError::Address)?;
    let addresses = tokio::net::lookup_host((authority.host(), authority.port_u16().unwrap_or(80))).await;
    let addresses: Vec<SocketAddr> = addresses.map_err(|_| CallError::Resolve)?.collect();
    let stream = TcpStream::connect(&addresses[..]).await.map_err(|e| CallError::of(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| CallError::of(&e))?;
    // Ends by itself: with the answer, or when `sender` is dropped at the deadline.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|e| CallError::of(&e))?;
    if !answer.status().is_success() {
        return Err(CallError::Status(answer.status()));
    }
    let version = answer.headers().get("x-version").and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned();
    let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await.map_err(|e| CallError::of(e.as_ref()))?.to_bytes();
    Ok(Answer { version, body })
}
