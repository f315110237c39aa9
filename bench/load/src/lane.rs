//! The connections that single requests go over: kept ones, one of HTTP/2, and new ones.
//!
//! A request is asked a second time only when a connection that had served before was closed without a byte of an answer, as
//! every browser does; that is reported. Nothing else is repeated.

use crate::dial::{Dial, Protocol};
use crate::fault::{Fault, FaultKind, Stage};
use crate::record::{Record, version_of};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::cell::RefCell;
use std::rc::Rc;

/// The longest answer that is read, bytes.
const BODY_LIMIT: usize = 16 << 20;

/// Kept connections at most; more are closed after use.
const IDLE_LIMIT: usize = 256;

/// Which connection a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Kept,
    H2,
    Fresh,
}

/// A complete 2xx answer.
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) body: Bytes,
}

/// The connections there are.
pub(crate) struct Lanes {
    pub(crate) dial: Rc<Dial>,
    pub(crate) host: String,
    pub(crate) record: std::sync::Arc<Record>,
    idle: RefCell<Vec<http1::SendRequest<Empty<Bytes>>>>,
    h2: tokio::sync::Mutex<Option<http2::SendRequest<Empty<Bytes>>>>,
}

impl Lanes {
    pub(crate) fn new(dial: Rc<Dial>, host: String, record: std::sync::Arc<Record>) -> Self {
        Self { dial, host, record, idle: RefCell::default(), h2: tokio::sync::Mutex::default() }
    }

    /// Asks for `path` and reads the whole answer.
    pub(crate) async fn ask(&self, lane: Lane, path: &str) -> Result<Answer, Fault> {
        match lane {
            Lane::Fresh => self.over_h1(self.open_h1().await?, path, false).await,
            Lane::Kept => self.kept(path).await,
            Lane::H2 => self.over_h2(path).await,
        }
    }

    async fn kept(&self, path: &str) -> Result<Answer, Fault> {
        let idle = self.take_idle();
        let Some(idle) = idle else { return self.over_h1(self.open_h1().await?, path, true).await };
        match self.over_h1(idle, path, true).await {
            Err(fault) if fault.unanswered() => {
                self.record.count(|r| r.requests.retried += 1);
                self.over_h1(self.open_h1().await?, path, true).await
            }
            other => other,
        }
    }

    fn take_idle(&self) -> Option<http1::SendRequest<Empty<Bytes>>> {
        let mut idle = self.idle.borrow_mut();
        std::iter::from_fn(|| idle.pop()).find(|sender| sender.is_ready())
    }

    async fn over_h1(&self, mut sender: http1::SendRequest<Empty<Bytes>>, path: &str, keep: bool) -> Result<Answer, Fault> {
        let connection = if keep { "keep-alive" } else { "close" };
        let request = Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::CONNECTION, connection)
            .body(Empty::new())
            .map_err(|e| Fault::new(FaultKind::Protocol, e))?;
        let answer = sender.send_request(request).await.map_err(|e| Fault::of(Stage::Head, &e))?;
        let answer = read(answer, path).await?;
        if keep && sender.ready().await.is_ok() && self.idle.borrow().len() < IDLE_LIMIT {
            self.idle.borrow_mut().push(sender);
        }
        Ok(answer)
    }

    async fn over_h2(&self, path: &str) -> Result<Answer, Fault> {
        let (sender, used) = self.h2_sender().await?;
        match self.once_over_h2(sender, path).await {
            Err(fault) if used && fault.unanswered() => {
                self.record.count(|r| r.requests.retried += 1);
                let (sender, _) = self.h2_sender().await?;
                self.once_over_h2(sender, path).await
            }
            other => other,
        }
    }

    async fn once_over_h2(&self, mut sender: http2::SendRequest<Empty<Bytes>>, path: &str) -> Result<Answer, Fault> {
        let request = Request::get(format!("{}://{}{path}", self.dial.scheme(), self.host))
            .version(http::Version::HTTP_2)
            .body(Empty::new())
            .map_err(|e| Fault::new(FaultKind::Protocol, e))?;
        match sender.send_request(request).await {
            Ok(answer) => read(answer, path).await,
            Err(e) => {
                // Whatever happened, the next request deserves a connection without a past.
                self.h2.lock().await.take_if(|_| sender.is_closed());
                Err(Fault::of(Stage::Head, &e))
            }
        }
    }

    /// The connection for all, and whether it was there before.
    async fn h2_sender(&self) -> Result<(http2::SendRequest<Empty<Bytes>>, bool), Fault> {
        let mut shared = self.h2.lock().await;
        if let Some(sender) = shared.as_mut()
            && !sender.is_closed()
            && sender.ready().await.is_ok()
        {
            return Ok((sender.clone(), true));
        }
        let io = TokioIo::new(self.dial.connect(Protocol::H2).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(|e| Fault::of(Stage::Handshake, &e))?;
        tokio::spawn(connection);
        Ok((shared.insert(sender).clone(), false))
    }

    async fn open_h1(&self) -> Result<http1::SendRequest<Empty<Bytes>>, Fault> {
        open_h1(&self.dial).await
    }
}

/// A new HTTP/1.1 connection, driven until its sender is dropped.
pub(crate) async fn open_h1(dial: &Dial) -> Result<http1::SendRequest<Empty<Bytes>>, Fault> {
    let io = TokioIo::new(dial.connect(Protocol::H1).await?);
    let (sender, connection) = http1::handshake(io).await.map_err(|e| Fault::of(Stage::Handshake, &e))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn read(answer: Response<Incoming>, path: &str) -> Result<Answer, Fault> {
    if !answer.status().is_success() {
        return Err(Fault::status(answer.status(), path));
    }
    let version = version_of(answer.headers());
    let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await.map_err(|e| {
        if e.is::<http_body_util::LengthLimitError>() {
            Fault::new(FaultKind::WrongBody, format_args!("{path}: longer than {BODY_LIMIT} bytes"))
        } else {
            Fault::of(Stage::Body, e.as_ref())
        }
    })?;
    Ok(Answer { version, body: body.to_bytes() })
}
