//! One HTTP request on a connection of its own, and the kind of its failure.
//!
//! Deliberately without a pool and without a retry: a worker that must prove that no call failed may not hide one.

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest answer that is read, bytes.
const BODY_LIMIT: usize = 1 << 20;

/// How long a call may take in all.
const DEADLINE: Duration = Duration::from_secs(5);

/// What came back, with a 2xx status.
pub(crate) struct Answer {
    /// The header `x-version`.
    pub(crate) version: String,
    /// Complete.
    pub(crate) body: Bytes,
}

/// Why nothing did.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The address makes no sense.
    Address,
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
    /// A stable word, counted by.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Address => "address".into(),
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

/// GETs `path` from the service at `base`, such as `http://127.0.0.1:20001`.
pub(crate) async fn get(base: &str, path: &str) -> Result<Answer, CallError> {
    tokio::time::timeout(DEADLINE, exchange(base, path)).await.unwrap_or(Err(CallError::Timeout))
}

async fn exchange(base: &str, path: &str) -> Result<Answer, CallError> {
    let base: Uri = base.parse().map_err(|_| CallError::Address)?;
    let authority = base.authority().ok_or(CallError::Address)?;
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| CallError::Address)?;
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await.map_err(|e| CallError::of(&e))?;
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
