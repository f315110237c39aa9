//! How a WebSocket is opened: by an upgrade in HTTP/1.1 (RFC 6455 §4), by extended CONNECT in HTTP/2 (RFC 8441 §5).
//!
//! The application sees an upgrade either way. A client of HTTP/2 has no key for it, so the proxy makes one and checks the answer in the
//! client's place. Other protocols are upgraded to in HTTP/1.1 where the route names them; `h2c` is a way around every rule about headers, and never is.

use crate::edge::arriving::Arriving;
use crate::edge::connection::Conn;
use crate::edge::header;
use crate::stream::early::Early;
use crate::stream::tunnel::Framing;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, request, response};
use http_body::Body as _;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use landfall_model::filter::UpgradeName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

/// What every accept is made with (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// True for a CONNECT that names a protocol, which is a request for a path like any other.
pub(crate) fn is_extended_connect(request: &Request<Arriving>) -> bool {
    *request.method() == Method::CONNECT && request.extensions().get::<Protocol>().is_some()
}

/// A client's side of a tunnel, once it has the answer.
pub(crate) enum Side {
    /// Its whole connection.
    Http1(oneshot::Receiver<Tunnelled>),
    /// A stream of it.
    Http2(OnUpgrade),
}

impl Side {
    /// Nothing if the client has left.
    pub(crate) async fn open(self) -> Option<Tunnelled> {
        match self {
            Side::Http1(receiver) => receiver.await.ok(),
            Side::Http2(upgrade) => Some(tunnelled(TokioIo::new(upgrade.await.ok()?), Bytes::new())),
        }
    }
}

/// What goes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// A client's stream, whatever it is made of.
pub(crate) type Tunnelled = Early<Box<dyn Duplex>>;

/// For a stream with what came right behind the head of the request.
pub(crate) fn tunnelled(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, early: Bytes) -> Tunnelled {
    Early::new(Box::new(stream), early)
}

/// A client's wish for a WebSocket, or for another protocol its route allows.
pub(crate) struct Opening {
    /// The client's side, once it has the answer.
    pub(crate) client: Side,
    /// The key, where the proxy must check the answer in the client's place or make it in the application's: they speak different versions of HTTP.
    key: Option<HeaderValue>,
    protocol: HeaderValue,
}

impl Opening {
    /// Nothing if `request` asks for none. `others` are the protocols beside WebSocket that may be asked for.
    pub(crate) fn of(conn: &Conn, request: &mut Request<Arriving>, others: &[UpgradeName]) -> Option<Self> {
        // A body would have to be read to its end before its connection becomes a tunnel; no client sends one.
        let may_upgrade = request.version() == Version::HTTP_11 && request.body().is_end_stream();
        if may_upgrade && *request.method() == Method::GET && header::asks_for_websocket(request.headers()) {
            return Some(Self { client: Side::Http1(conn.await_tunnel()), key: None, protocol: WEBSOCKET });
        }
        if let Some(protocol) = header::asks_for_one_of(request.headers(), others).filter(|_| may_upgrade) {
            return Some(Self { client: Side::Http1(conn.await_tunnel()), key: None, protocol });
        }
        let connect = is_extended_connect(request) && request.extensions().get::<Protocol>()?.as_str().eq_ignore_ascii_case("websocket");
        if !connect {
            return None;
        }
        let mut key = [0; 16];
        rand::fill(&mut key).ok()?;
        let key = HeaderValue::try_from(STANDARD.encode(key)).ok()?;
        Some(Self { client: Side::Http2(hyper::upgrade::on(request)), key: Some(key), protocol: WEBSOCKET })
    }

    /// Makes the request one for a WebSocket in HTTP/2.
    pub(crate) fn prepare_connect(&mut self, head: &mut request::Parts) {
        head.method = Method::CONNECT;
        head.extensions.insert(Protocol::from_static("websocket"));
        let key = head.headers.remove(SEC_WEBSOCKET_KEY);
        self.key = key.filter(|_| matches!(self.client, Side::Http1(_)));
        head.headers.entry(SEC_WEBSOCKET_VERSION).or_insert(VERSION);
    }

    /// The answer for the client, when a stream of HTTP/2 has become the application's side.
    pub(crate) fn answer_connected(&self, head: &mut response::Parts) {
        header::remove_hop_by_hop(&mut head.headers);
        head.headers.remove(CONTENT_LENGTH);
        match &self.client {
            Side::Http2(_) => head.status = StatusCode::OK,
            Side::Http1(_) => {
                head.status = StatusCode::SWITCHING_PROTOCOLS;
                header::ask_for_upgrade(&mut head.headers, WEBSOCKET);
                if let Some(accept) = self.key.as_ref().and_then(|key| HeaderValue::try_from(accept_of(key)).ok()) {
                    head.headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
                }
            }
        }
    }

    /// Makes an upgrade of the request.
    pub(crate) fn prepare(&self, method: &mut Method, headers: &mut HeaderMap) {
        header::ask_for_upgrade(headers, self.protocol.clone());
        if let Some(key) = &self.key {
            *method = Method::GET;
            headers.insert(SEC_WEBSOCKET_KEY, key.clone());
            headers.entry(SEC_WEBSOCKET_VERSION).or_insert(VERSION);
        }
    }

    /// The client takes any success for a tunnel, and only 101 is one.
    pub(crate) fn misleads(&self, status: StatusCode) -> bool {
        self.key.is_some() && status.is_success()
    }

    /// Its bytes are frames of a WebSocket.
    pub(crate) fn framing(&self) -> Framing {
        if self.protocol == WEBSOCKET { Framing::WebSocket } else { Framing::Unknown }
    }

    /// The application has agreed to this opening, and not to something else.
    pub(crate) fn is_accepted(&self, headers: &HeaderMap) -> bool {
        let agreed = headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(self.protocol.as_bytes()));
        let expected = self.key.as_ref().map(accept_of);
        agreed && expected.is_none_or(|expected| headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|got| got.as_bytes() == expected.as_bytes()))
    }

    /// The answer for the client.
    pub(crate) fn answer(&self, head: &mut response::Parts) {
        header::remove_hop_by_hop(&mut head.headers);
        if self.key.is_some() {
            head.status = StatusCode::OK;
            head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        } else {
            header::ask_for_upgrade(&mut head.headers, self.protocol.clone());
        }
    }
}

fn accept_of(key: &HeaderValue) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID.as_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_rfc_shows() {
        assert_eq!(accept_of(&HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==")), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
