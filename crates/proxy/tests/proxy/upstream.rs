//! What happens when applications misbehave.

use crate::harness::{application, named, raw, read_until, soon, start, table, talk, until};
use http::{Response, StatusCode};
use http_body_util::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An application that answers with `answer` and closes.
async fn says(answer: &'static str) -> std::net::SocketAddr {
    raw(move |mut stream| async move {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn a_short_answer_never_looks_whole() {
    let proxy = start();
    let sized = says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    let chunked = says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    proxy.swap(&table(1, &[("/sized", "shop/sized", sized), ("/chunked", "shop/chunked", chunked)])).await;
    let answer = talk(proxy.http, "GET /sized HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
    assert!(answer.contains("content-length: 100") && answer.ends_with("half"), "{answer}");
    let answer = talk(proxy.http, "GET /chunked HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
    assert!(answer.contains("transfer-encoding: chunked") && answer.ends_with("half\r\n"), "{answer}");
}

#[tokio::test]
async fn applications_that_do_not_answer_properly_are_answered_for() {
    let proxy = start();
    let silent = says("").await;
    let garbage = says("garbage\r\n\r\n").await;
    let switching = says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").await;
    let slow = raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut table = table(
        1,
        &[("/silent", "shop/a", silent), ("/garbage", "shop/b", garbage), ("/101", "shop/c", switching), ("/slow", "shop/d", slow)],
    );
    table.sites[0].routes[3].timeout_ms = 50;
    proxy.swap(&table).await;
    for (path, status) in [("/silent", 502), ("/garbage", 502), ("/101", 502), ("/slow", 504)] {
        assert_eq!(proxy.get("shop.example", path).await.0.as_u16(), status, "{path}");
    }
    assert_eq!(proxy.status().await.failures, 4);
    until("nothing is held", async || proxy.status().await.endpoints.values().all(|e| e.requests == 0)).await;
}

#[tokio::test]
async fn a_requests_body_is_not_waited_for() {
    let proxy = start();
    let (send, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let address = raw(move |mut stream| {
        let send = send.clone();
        async move {
            let mut all = Vec::new();
            while !all.ends_with(b"end") {
                if stream.read_buf(&mut all).await.unwrap_or(0) == 0 {
                    return;
                }
                if all.ends_with(b"the") {
                    send.send(()).unwrap();
                }
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n").await.unwrap();
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"the").await.unwrap();
    soon(arrived.recv()).await.unwrap();
    stream.write_all(b"end").await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn a_request_that_was_not_sent_goes_elsewhere() {
    let proxy = start();
    let refusing = crate::harness::listener().local_addr().unwrap();
    let web = named("web").await;
    proxy.swap(&table(1, &[("/", "shop/dead", refusing), ("/", "shop/web", web)])).await;
    for _ in 0..20 {
        let post = "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
        let answer = talk(proxy.http, post).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(!proxy.endpoint("shop/dead").await.unwrap().healthy);
    assert_eq!(proxy.status().await.failures, 0);
}

#[tokio::test]
async fn connections_the_application_closes_while_they_are_idle_fail_no_request() {
    let proxy = start();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    // Says nothing of closing, and closes when the second request has come: what the client sees of a server whose idle time ran out just then.
    let address = raw(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.read(&mut buffer).await;
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    for _ in 0..10 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\nok").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(proxy.status().await.failures, 0);
    assert!(connections.load(Ordering::SeqCst) >= 5);
}

#[tokio::test]
async fn unhealthy_endpoints_come_back() {
    let proxy = start();
    let listener = crate::harness::listener();
    let address = listener.local_addr().unwrap();
    drop(listener);
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    assert_eq!(proxy.get("shop.example", "/").await.0, StatusCode::BAD_GATEWAY);
    assert!(!proxy.endpoint("shop/web").await.unwrap().healthy);
    let _listener = std::net::TcpListener::bind(address).unwrap();
    until("it is healthy", async || proxy.endpoint("shop/web").await.unwrap().healthy).await;
}

#[tokio::test]
async fn errors_are_html_for_browsers_and_text_for_others() {
    let proxy = start();
    let address = application(|_| async { Response::new(Full::default()) }).await;
    proxy.swap(&table(1, &[("/api", "shop/web", address)])).await;
    let html = talk(proxy.http, "GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html,*/*\r\nConnection: close\r\n\r\n").await;
    assert!(html.contains("content-type: text/html") && html.contains("<h1>404</h1>"), "{html}");
    let text = talk(proxy.http, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await;
    assert!(text.contains("content-type: text/plain") && text.ends_with("There is nothing at this address.\n"), "{text}");
    let head = talk(proxy.http, "HEAD / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: ") && head.ends_with("\r\n\r\n"), "{head}");
}
