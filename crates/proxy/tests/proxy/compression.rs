//! Answers are made smaller for clients that want it, and only those that may be.

use crate::filters::filtered;
use crate::harness::{application, raw, read_head, read_until, soon, start};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use landfall_model::filter::Filters;
use std::io::Read;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A GET by a client that tells a whole answer from a part of one.
async fn get(proxy: SocketAddr, path: &str, accept: &str) -> (Response<()>, Option<Bytes>) {
    let stream = TcpStream::connect(proxy).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "shop.example").header("accept-encoding", accept);
    let (head, body) = soon(sender.send_request(request.body(Empty::<Bytes>::new()).unwrap())).await.unwrap().into_parts();
    let body = soon(body.collect()).await.ok().map(http_body_util::Collected::to_bytes);
    (Response::from_parts(head, ()), body)
}

fn header<'a>(response: &'a Response<()>, name: &str) -> &'a str {
    response.headers().get(name).map_or("-", |value| value.to_str().unwrap())
}

fn decoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        "gzip" => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut out).unwrap()),
        "br" => drop(brotli::Decompressor::new(body, 4096).read_to_end(&mut out).unwrap()),
        "zstd" => out = zstd::decode_all(body).unwrap(),
        "-" => out = body.to_vec(),
        other => panic!("{other}"),
    }
    out
}

/// Text of no great surprise.
fn page(size: usize) -> String {
    (0u32..)
        .map(|i| format!("line {} of a page\n", i.wrapping_mul(2_654_435_761)))
        .flat_map(String::into_bytes)
        .take(size)
        .map(char::from)
        .collect()
}

#[tokio::test]
async fn every_encoding_gives_back_what_the_application_said() {
    let proxy = start();
    let address = application(|request| async move {
        let size = request.uri().path()[1..].parse().unwrap();
        let response = Response::builder().header("content-type", "text/html").header("etag", "\"v1\"").header("accept-ranges", "bytes");
        response.body(Full::from(page(size))).unwrap()
    })
    .await;
    filtered(&proxy, address, Filters::default()).await;
    for encoding in ["gzip", "br", "zstd"] {
        for size in [600, 20_000, 3_000_000] {
            let (response, body) = get(proxy.http, &format!("/{size}"), encoding).await;
            let body = body.unwrap();
            assert_eq!((response.status(), header(&response, "content-encoding")), (StatusCode::OK, encoding));
            assert_eq!(header(&response, "vary"), "accept-encoding");
            assert_eq!(header(&response, "etag"), "W/\"v1\"");
            assert_eq!((header(&response, "content-length"), header(&response, "accept-ranges")), ("-", "-"));
            assert!(decoded(encoding, &body) == page(size).into_bytes(), "{encoding} {size}");
            assert!(body.len() * 2 < size, "{encoding} {size}: {}", body.len());
        }
    }
    let (response, body) = get(proxy.http, "/20000", "identity").await;
    assert_eq!((header(&response, "content-encoding"), header(&response, "vary")), ("-", "accept-encoding"));
    assert_eq!(header(&response, "etag"), "\"v1\"");
    assert_eq!(body.unwrap().len(), 20_000);
    let (response, _) = get(proxy.http, "/100", "gzip").await;
    assert_eq!((header(&response, "content-encoding"), header(&response, "vary")), ("-", "-"), "too small to gain");
}

#[tokio::test]
async fn a_tag_that_was_weakened_on_its_way_is_known_on_its_way_back() {
    let proxy = start();
    // It compares as it should, but knows its own tag only.
    let address = application(|request| async move {
        let has = |name: &str, tag: &str| {
            let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|list| list.split(',')).any(|one| one.trim() == tag)
        };
        let status = match request.method().as_str() {
            "PUT" if !has("if-match", "\"v1\"") => StatusCode::PRECONDITION_FAILED,
            "GET" if request.uri().path() == "/compares" && has("if-none-match", "\"v1\"") => StatusCode::NOT_MODIFIED,
            _ => StatusCode::OK,
        };
        let body = if status == StatusCode::OK { page(9000) } else { String::new() };
        Response::builder().status(status).header("content-type", "text/html").header("etag", "\"v1\"").body(Full::from(body)).unwrap()
    })
    .await;
    filtered(&proxy, address, Filters::default()).await;
    let tag = header(&get(proxy.http, "/", "gzip").await.0, "etag").to_owned();
    assert_eq!(tag, "W/\"v1\"");
    for (line, status) in [
        (format!("PUT / HTTP/1.1\r\nContent-Length: 0\r\nIf-Match: {tag}"), 200),
        ("PUT / HTTP/1.1\r\nContent-Length: 0\r\nIf-Match: W/\"v0\"".to_owned(), 412),
        (format!("GET /compares HTTP/1.1\r\nIf-None-Match: {tag}"), 304),
        (format!("GET /whole HTTP/1.1\r\nIf-None-Match: \"x\", {tag}"), 304),
        ("GET /compares HTTP/1.1\r\nIf-None-Match: W/\"v0\"".to_owned(), 200),
    ] {
        let request = format!("{line}\r\nHost: shop.example\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
        let text = crate::harness::talk(proxy.http, &request).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {}", &text[..text.len().min(200)]);
    }
}

#[tokio::test]
async fn a_route_can_be_left_as_it_is() {
    let proxy = start();
    let address =
        application(|_| async { Response::builder().header("content-type", "text/plain").body(Full::from(page(9000))).unwrap() }).await;
    filtered(&proxy, address, Filters { uncompressed: true, ..Filters::default() }).await;
    let (response, body) = get(proxy.http, "/", "gzip, br, zstd").await;
    assert_eq!((header(&response, "content-encoding"), header(&response, "vary")), ("-", "-"));
    assert_eq!(body.unwrap().len(), 9000);
}

/// An application that sends `head`, then a first part, and the rest when the client has seen that.
async fn slow(head: &'static str, ends: bool) -> (SocketAddr, tokio::sync::mpsc::Sender<()>) {
    let (send, receive) = tokio::sync::mpsc::channel::<()>(1);
    let receive = std::sync::Arc::new(tokio::sync::Mutex::new(receive));
    let address = raw(move |mut stream| {
        let receive = std::sync::Arc::clone(&receive);
        async move {
            if !read_head(&mut stream).await {
                return;
            }
            let start = format!("HTTP/1.1 200 OK\r\n{head}\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nfirst.\n\r\n");
            stream.write_all(start.as_bytes()).await.unwrap();
            receive.lock().await.recv().await.unwrap();
            if ends {
                stream.write_all(b"5\r\nlast.\r\n0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    (address, send)
}

#[tokio::test]
async fn what_an_application_says_slowly_arrives_as_it_is_said() {
    let proxy = start();
    let (address, go_on) = slow("Content-Type: text/plain", true).await;
    filtered(&proxy, address, Filters::default()).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n").await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    soon(async {
        while plain != b"first.\n" {
            wire.push(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap());
            plain.clear();
            let mut decoder = flate2::write::GzDecoder::new(Vec::new());
            let _ = std::io::Write::write_all(&mut decoder, &unchunked(&wire));
            let _ = std::io::Write::flush(&mut decoder);
            plain.clone_from(decoder.get_ref());
        }
    })
    .await;
    go_on.send(()).await.unwrap();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut wire)).await.unwrap();
    assert_eq!(decoded("gzip", &unchunked(&wire)), b"first.\nlast.");
}

/// What chunks carry, as far as they are there.
fn unchunked(mut wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = wire.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&wire[..end]).unwrap(), 16).unwrap();
        let data = &wire[end + 2..];
        out.extend_from_slice(&data[..size.min(data.len())]);
        if size == 0 || data.len() < size + 2 {
            break;
        }
        wire = &data[size + 2..];
    }
    out
}

#[tokio::test]
async fn an_event_stream_is_never_compressed() {
    let proxy = start();
    let (address, _go_on) = slow("Content-Type: text/event-stream", true).await;
    filtered(&proxy, address, Filters::default()).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nAccept-Encoding: gzip, br, zstd\r\n\r\n").await.unwrap();
    let text = read_until(&mut stream, "first.\n").await;
    assert!(!text.contains("content-encoding"), "{text}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    for encoding in ["gzip", "br", "zstd"] {
        let proxy = start();
        let (address, go_on) = slow("Content-Type: text/plain", false).await;
        filtered(&proxy, address, Filters::default()).await;
        go_on.send(()).await.unwrap();
        let (response, body) = get(proxy.http, "/", encoding).await;
        assert_eq!(header(&response, "content-encoding"), encoding);
        assert_eq!(body, None, "the end is missing, and the client can tell");
    }
}

#[tokio::test]
async fn what_a_client_chose_is_not_compressed_together_with_a_secret() {
    let proxy = start();
    let address = application(|request| async move {
        let mut response = Response::builder().header("content-type", "text/html");
        if request.uri().path() == "/session" {
            response = response.header("set-cookie", "session=secret");
        }
        response.body(Full::from(page(5000))).unwrap()
    })
    .await;
    filtered(&proxy, address, Filters::default()).await;
    for (path, encoding) in [("/session?q=session%3Ds", "-"), ("/session", "gzip"), ("/other?q=x", "gzip")] {
        let (response, body) = get(proxy.http, path, "gzip").await;
        assert_eq!(header(&response, "content-encoding"), encoding, "{path}");
        assert_eq!(decoded(encoding, &body.unwrap()), page(5000).into_bytes());
    }
}
