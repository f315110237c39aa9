//! Speaks HTTP with one client: the handshake if there is one, then HTTP/1 or HTTP/2 until either side has enough.

use crate::accepted::Accepted;
use crate::certificate::ACME_TLS;
use crate::edge::arriving::Arriving;
use crate::edge::batch::batched;
use crate::edge::carry::carry;
use crate::edge::connection::{Conn, Order, Origin};
use crate::edge::http1;
use crate::edge::io::ClientIo;
use crate::worker::LocalExecutor;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// For a TLS handshake, or the first bytes of a connection without.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a request's head as HTTP/2 counts them, 32 for a field beside its text. What is below and still larger than a head may be is refused by
/// the proxy itself, which leaves a trace.
const MAX_HEAD_LIST: u32 = 64 * 1024;
/// Requests of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 250;
/// Of a request's body that may be under way in HTTP/2, per request and per connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Of an answer's body that HTTP/2 keeps for a client that does not take it yet.
const SEND_BUFFER: usize = 64 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(20);

/// How HTTP/2 is spoken.
pub(crate) fn http2_builder() -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_LIMIT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .enable_connect_protocol();
    builder
}

/// Serves a connection without TLS. Services may call each other by HTTP/2 from its first byte, as gRPC does; from outside that needs TLS.
pub(crate) async fn serve_http(accepted: Accepted, stream: TcpStream, peer: IpAddr, origin: Origin) {
    let mut conn = Conn::new(accepted, origin, (peer, local(&stream)));
    if matches!(origin, Origin::Internal(_)) {
        let Ok(http2) = tokio::time::timeout(HANDSHAKE_LIMIT, begins_http2(&stream)).await else { return };
        conn.http2 = http2;
    }
    if conn.http2 { serve_http2(conn, stream).await } else { http1::serve(conn, stream).await }
}

/// The address a client came to.
fn local(stream: &TcpStream) -> IpAddr {
    stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

/// No request of HTTP/1 begins so: the method is reserved (RFC 9113 §3.4).
async fn begins_http2(stream: &TcpStream) -> bool {
    let mut start = [0; 4];
    matches!(stream.peek(&mut start).await, Ok(4)) && start == *b"PRI "
}

/// Shakes hands and serves.
pub(crate) async fn serve_https(accepted: Accepted, stream: TcpStream, peer: IpAddr) {
    let (worker, local) = (Rc::clone(accepted.worker()), local(&stream));
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_LIMIT, worker.tls.accept(stream)).await else {
        return worker.count_handshake(None);
    };
    worker.count_handshake(stream.handshake_kind());
    if stream.alpn_protocol() == Some(ACME_TLS) {
        return;
    }
    let mut conn = Conn::new(accepted, Origin::Https, (peer, local));
    conn.server_name = stream.server_name().map(str::to_ascii_lowercase);
    conn.http2 = stream.alpn_protocol() == Some(b"h2");
    if conn.http2 { serve_http2(conn, stream).await } else { http1::serve(conn, stream).await }
}

async fn serve_http2<S>(conn: Conn, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let conn = Rc::new(conn);
    let (io, turn) = batched(ClientIo::new(stream, conn.watch.clone()));
    let io = TokioIo::new(io);
    let carried = Rc::clone(&conn);
    // Boxed: hyper and the task list would move all of it, several times.
    let service = service_fn(move |request: Request<Incoming>| Box::pin(carry(Rc::clone(&carried), request.map(Arriving::Http2))));
    let connection = conn.worker.http2.serve_connection(io, service);
    drive(&conn, connection, |connection| connection.graceful_shutdown(), |cx| turn.poll_end(cx)).await;
}

/// Polls the connection until it ends, passing on orders; `end` ends each of its turns. HTTP/2 has a way to end without losing a request
/// (RFC 9113 §6.8: GOAWAY twice), so it is told at once.
async fn drive<C: Future>(
    conn: &Rc<Conn>,
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    end: impl Fn(&mut Context<'_>) -> Poll<io::Result<()>>,
) {
    let _listed = conn.worker.list(conn);
    let mut connection = pin!(connection);
    let mut told = false;
    poll_fn(|cx| {
        let order = conn.poll_order(cx);
        // How a connection ends, well or badly, concerns its client only.
        if order == Order::Cut || connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if order == Order::Finish && !told {
            told = true;
            finish(connection.as_mut());
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        match end(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    })
    .await;
}
