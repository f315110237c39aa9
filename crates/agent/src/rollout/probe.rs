//! One health question, asked once.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_model::name::{AppName, ReplicaId};
use landfall_model::route::Protocol;
use landfall_runtime::{Runtime, Session};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// Of one HTTP question or TCP connection.
const LIMIT: Duration = Duration::from_secs(5);
/// Of what a healthcheck's command printed, shown with its failure.
const OUTPUT: u64 = 2048;

/// What a probe saw, in words that fit after "answers".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// In words.
    pub(super) words: String,
    /// Nobody listens there at all.
    pub(super) refused: bool,
}

impl Seen {
    fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), refused: false }
    }
}

/// Opens a TCP connection.
pub(super) async fn tcp(address: SocketAddr) -> Result<(), Seen> {
    connect(address).await.map(drop)
}

/// What is asked over HTTP.
pub(super) struct Question<'a> {
    /// With query.
    pub(super) path: &'a str,
    /// Whom it is for.
    pub(super) host: &'a str,
    /// How it is asked.
    pub(super) protocol: Protocol,
}

/// GET answers 2xx or 3xx.
pub(super) async fn http(address: SocketAddr, question: Question<'_>) -> Result<(), Seen> {
    let path = question.path;
    let stream = connect(address).await?;
    match timeout(LIMIT, status(TokioIo::new(stream), &question)).await {
        Ok(Ok(200..400)) => Ok(()),
        Ok(Ok(status)) => Err(Seen::new(format!("GET {path} answers {status}"))),
        Ok(Err(e)) if question.protocol == Protocol::H2c => Err(Seen::new(format!("GET {path} gets no answer by HTTP/2 ({e})"))),
        Ok(Err(e)) => Err(Seen::new(format!("GET {path} gets no HTTP answer ({e})"))),
        Err(_) => Err(Seen::new(format!("GET {path} gets no answer within {} s", LIMIT.as_secs()))),
    }
}

async fn status(io: TokioIo<TcpStream>, question: &Question<'_>) -> Result<u16, hyper::Error> {
    let Question { path, host, protocol } = *question;
    let (target, named) = match protocol {
        Protocol::Http1 => (path.to_owned(), Some(host)),
        // The host is part of the target there (RFC 9113 §8.3.1).
        Protocol::H2c => (format!("http://{host}{path}"), None),
    };
    let request = named.into_iter().fold(Request::get(target).header("user-agent", "landfall-gate"), |r, host| r.header("host", host));
    let Ok(request) = request.body(Empty::<Bytes>::new()) else { return Ok(0) };
    Ok(match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
            sender.send_request(request).await?.status().as_u16()
        }
        Protocol::H2c => {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
            sender.send_request(request).await?.status().as_u16()
        }
    })
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Seen> {
    match timeout(LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(Seen { words: format!("nothing listens on port {}", address.port()), refused: true })
        }
        Ok(Err(e)) => Err(Seen::new(format!("port {} cannot be reached ({e})", address.port()))),
        Err(_) => Err(Seen::new(format!("port {} does not answer within {} s", address.port(), LIMIT.as_secs()))),
    }
}

/// A command inside the replica ends with code 0.
pub(super) async fn command(runtime: &dyn Runtime, app: &AppName, id: &ReplicaId, argv: &[String], limit: Duration) -> Result<(), Seen> {
    let session = runtime.exec(app, id, argv, false).await.map_err(|e| Seen::new(format!("its healthcheck cannot be run ({e})")))?;
    let Session { mut stdin, stdout, stderr, control } = session;
    let output = async {
        let _ = stdin.shutdown().await;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(OUTPUT), stderr.take(OUTPUT));
        let _ = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
        out.extend(err);
        (control.wait().await, String::from_utf8_lossy(&out).trim().to_owned())
    };
    match timeout(limit, output).await {
        Ok((Ok(exit), _)) if exit.code == 0 => Ok(()),
        Ok((Ok(exit), output)) if output.is_empty() => Err(Seen::new(format!("its healthcheck ends with code {}", exit.code))),
        Ok((Ok(exit), output)) => Err(Seen::new(format!("its healthcheck ends with code {}: {}", exit.code, one_line(&output)))),
        Ok((Err(e), _)) => Err(Seen::new(format!("its healthcheck cannot be run ({e})"))),
        Err(_) => {
            control.kill().await;
            Err(Seen::new(format!("its healthcheck does not end within {} s", limit.as_secs())))
        }
    }
}

/// Whatever a program printed, on one line a terminal can bear.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
