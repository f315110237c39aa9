//! Applications behind both: each says what it was asked, and answers a WebSocket by saying everything again.

use crate::plans::Plan;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, SET_COOKIE, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Headers of a request that an application may depend on.
const SEEN: [&str; 8] =
    ["host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "accept-encoding", "content-length", "x-test"];

/// Every application of a plan, for as long as the set lives.
pub(crate) async fn start(plan: &Plan) -> JoinSet<()> {
    let mut running = JoinSet::new();
    for upstream in plan.upstreams {
        let listener = TcpListener::bind((upstream.address, upstream.port)).await.unwrap();
        running.spawn(serve(listener, upstream.service));
    }
    running
}

async fn serve(listener: TcpListener, name: &'static str) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let at = stream.local_addr().unwrap();
        tokio::spawn(async move {
            let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(request, name, at).await) });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

async fn answer(mut request: Request<Incoming>, name: &str, at: SocketAddr) -> Response<Full<Bytes>> {
    if request.headers().contains_key(UPGRADE) && request.uri().path().starts_with("/ws") {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let mut stream = TokioIo::new(upgraded);
            let mut bytes = [0; 64];
            while let Ok(n @ 1..) = stream.read(&mut bytes).await {
                let _ = stream.write_all(&bytes[..n]).await;
            }
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        return response;
    }
    let mut text = format!("seen: {name}\nmethod: {}\ntarget: {}\n", request.method(), request.uri());
    for header in SEEN {
        let values: Vec<&str> = request.headers().get_all(header).iter().filter_map(|v| v.to_str().ok()).collect();
        if !values.is_empty() {
            // Addresses of this test's own are none of its business.
            text.push_str(&format!("{header}: {}\n", values.join(" + ").replace(&at.to_string(), "the application's own address")));
        }
    }
    let status = request.uri().path().strip_prefix("/api/status/").and_then(|s| s.parse().ok()).unwrap_or(StatusCode::OK);
    let kind = if request.uri().path().ends_with("json") { "application/json" } else { "text/plain" };
    let large = request.uri().path().contains("large");
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    text.push_str(&format!("body: {} bytes\n", body.len()));
    if large {
        text.push_str(&"filler: a line that repeats itself\n".repeat(200));
    }
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("a=b; HttpOnly"));
    response
}
