//! A proxy that stops takes nothing down with it.

use crate::harness::{Options, application, named, raw, read_head, read_to_end, read_until, soon, start, start_with, table};
use http::Response;
use http_body_util::Full;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[tokio::test]
async fn requests_in_flight_are_answered_and_idle_connections_closed() {
    let proxy = start();
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (finish, finishes) = mpsc::unbounded_channel::<()>();
    let finishes = std::sync::Arc::new(tokio::sync::Mutex::new(finishes));
    let address = application(move |_| {
        let (begun, finishes) = (begun.clone(), std::sync::Arc::clone(&finishes));
        async move {
            begun.send(()).unwrap();
            finishes.lock().await.recv().await;
            Response::new(Full::from("done"))
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address), ("/quick", "shop/quick", named("quick").await)])).await;
    let mut idle = TcpStream::connect(proxy.http).await.unwrap();
    idle.write_all(b"GET /quick HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    read_until(&mut idle, "quick /quick").await;
    let mut busy = TcpStream::connect(proxy.http).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    has_begun.recv().await.unwrap();

    let http = proxy.http;
    let stopped = tokio::task::spawn_blocking(move || proxy.handle.stop());
    assert_eq!(soon(idle.read(&mut [0; 1])).await.unwrap(), 0);
    crate::harness::until("it refuses", async || TcpStream::connect(http).await.is_err()).await;
    finish.send(()).unwrap();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    soon(stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn websockets_are_closed_politely_before_the_limit() {
    let options = Options { drain: Duration::from_secs(3), ..Options::default() };
    let proxy = start_with(tempfile::tempdir().unwrap(), options);
    let address = raw(|mut stream| async move {
        if !read_head(&mut stream).await {
            return;
        }
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").await.unwrap();
        let mut close = [0; 8];
        stream.read_exact(&mut close).await.unwrap();
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    let stopped = tokio::task::spawn_blocking(move || proxy.handle.stop());
    let mut close = [0; 4];
    soon(stream.read_exact(&mut close)).await.unwrap();
    assert_eq!(close, [0x88, 0x02, 0x03, 0xE9]);
    soon(stopped).await.unwrap().unwrap();
}
