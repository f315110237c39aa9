//! One question to one of the two, and what of the answer is compared.

use crate::plans::Plan;
use crate::wire::{Root, connect};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CONNECTION, HOST, HeaderName, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where one of the two is reached.
pub(crate) struct Front {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) root: Root,
}

pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) plain: bool,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Bytes of the body.
    pub(crate) body: usize,
}

impl Question {
    /// Over HTTPS.
    pub(crate) const GET: Self = Self { name: "", plain: false, method: "GET", host: "", path: "/", headers: &[], body: 0 };
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Headers of an answer that clients act upon.
const MATTER: [&str; 22] = [
    "accept-ranges",
    "allow",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "etag",
    "last-modified",
    "location",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "upgrade",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];

pub(crate) async fn ask(front: &Front, plan: &Plan, question: &Question) -> Answer {
    let host = if question.host.is_empty() { plan.hosts[0] } else { question.host };
    if question.plain {
        let stream = TcpStream::connect(front.http).await.unwrap();
        exchange(front, stream, host, question).await
    } else {
        let stream = connect(front.https, host, &front.root, &[]).await.unwrap();
        exchange(front, stream, host, question).await
    }
}

async fn exchange<S>(front: &Front, stream: S, host: &str, question: &Question) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::builder().method(question.method).uri(question.path).header(HOST, host);
    for (name, value) in question.headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(vec![b'x'; question.body]))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    read(front, response).await
}

async fn read(front: &Front, mut response: Response<Incoming>) -> Answer {
    let status = response.status();
    let mut headers = BTreeMap::new();
    for name in MATTER.map(HeaderName::from_static) {
        let values: Vec<String> = response.headers().get_all(&name).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        if !values.is_empty() {
            // Both listen at ports of the test's.
            let text = values.join(" + ");
            let text = [front.http, front.https].iter().fold(text, |text, at| text.replace(&format!(":{}", at.port()), ""));
            headers.insert(name.to_string(), text);
        }
    }
    if let Some(vary) = headers.get_mut("vary") {
        vary.make_ascii_lowercase();
    }
    // That there is one, and whether it is weak, matters; not what it is.
    if let Some(tag) = headers.get_mut("etag") {
        *tag = if tag.starts_with("W/") { "weak" } else { "strong" }.into();
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        assert!(response.headers().get(CONNECTION).is_some() && response.headers().get(UPGRADE).is_some());
        let mut tunnel = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
        tunnel.write_all(b"to and fro").await.unwrap();
        let mut back = [0; 10];
        tunnel.read_exact(&mut back).await.unwrap();
        return Answer { status: status.as_u16(), headers, body: String::from_utf8(back.to_vec()).unwrap() };
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let body = if headers.get("content-encoding").is_some_and(|e| e == "gzip") {
        let mut text = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        text
    } else {
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Answer { status: status.as_u16(), headers, body }
}
