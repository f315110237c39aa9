//! What is refused: everything that could be understood in two ways.

use crate::harness::{Options, application, named, raw, read_to_end, soon, start, start_with, table, talk, until};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn ambiguous_requests_never_reach_an_application() {
    let proxy = start();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let address = application(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Response::new(Full::default()) }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let host = "Host: shop.example\r\n";
    for head in [
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 4\r\nTransfer-Encoding: chunked"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 4"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: 0"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: 5"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: +3"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked"),
        format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding : chunked"),
        format!("GET / HTTP/1.1\r\n{host}{host}X: y"),
        format!("GET / HTTP/1.1\r\n{host}X: a\nY: b"),
        format!("GET / HTTP/1.1\r\n{host}X: a\r\n folded"),
        format!("GET http://other.example/ HTTP/1.1\r\n{host}X: y"),
        format!("GET /a%2fb HTTP/1.1\r\n{host}X: y"),
        format!("GET /a/%2e%2e/b HTTP/1.1\r\n{host}X: y"),
        format!("GET /../b HTTP/1.1\r\n{host}X: y"),
        format!("GET /%00 HTTP/1.1\r\n{host}X: y"),
        format!("OPTIONS * HTTP/1.1\r\n{host}X: y"),
        "GET / HTTP/1.1\r\nX: y".to_owned(),
        "GET / HTTP/1.1\r\nHost: shop.example/x".to_owned(),
    ] {
        let answer = talk(proxy.http, &format!("{head}\r\n\r\n{smuggled}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "), "{head:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{head:?}: {answer:?}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    assert_eq!(proxy.status().await.failures, 0, "a client's fault is no failure");
}

#[tokio::test]
async fn oversized_heads_and_odd_methods_are_refused() {
    let proxy = start();
    let many = "X: y\r\n".repeat(101);
    let long = format!("X: {}\r\n", "y".repeat(40_000));
    for (text, status) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{long}\r\n"), "431"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "405"),
    ] {
        let answer = talk(proxy.http, &text).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
}

#[tokio::test]
async fn a_body_is_followed_to_its_end_and_pipelined_requests_are_answered_in_order() {
    let proxy = start();
    let address = application(|request| async move {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(Full::from(format!("{path} {}", String::from_utf8_lossy(&body))))
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let chunked = "POST /one HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n";
    let sized = "POST /two HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nGET /";
    let last = "GET /three HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    let answer = talk(proxy.http, &format!("{chunked}{sized}{last}")).await;
    let (one, two, three) = (answer.find("/one GET /"), answer.find("/two GET /"), answer.find("/three "));
    assert!(one.is_some() && one < two && two < three, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn no_tunnel_opens_unless_the_application_agrees() {
    let proxy = start();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    // Answers 200 to an upgrade: what the client sends next is a request, not tunnelled bytes.
    let address = raw(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&buffer).to_ascii_lowercase();
                assert!(!text.contains("h2c"), "only WebSockets are asked for");
                counted.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
            }
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    for protocol in ["websocket", "h2c"] {
        let mut stream = TcpStream::connect(proxy.http).await.unwrap();
        let upgrade = format!("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        let bad = "GET /../admin HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        stream.write_all(format!("{upgrade}{bad}").as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_address_has_only_so_many_connections() {
    let options = Options { max_per_address: Some(2), ..Options::default() };
    let proxy = start_with(tempfile::tempdir().unwrap(), options);
    proxy.swap(&table(1, &[("/", "shop/web", named("web").await)])).await;
    let ask = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    // Two for each of two workers; which of them a connection gets is the kernel's choice.
    let mut kept = Vec::new();
    loop {
        let mut stream = TcpStream::connect(proxy.http).await.unwrap();
        let _ = stream.write_all(ask.as_bytes()).await;
        if !matches!(soon(stream.read(&mut [0; 1])).await, Ok(1)) {
            break;
        }
        kept.push(stream);
    }
    assert!((2..=4).contains(&kept.len()), "{}", kept.len());
    kept.clear();
    until("others are served when they are gone", async || proxy.get("shop.example", "/").await.0 == StatusCode::OK).await;
}
