//! WebSockets and event streams: carried as they come, closed politely.

use crate::harness::{Running, raw, read_head, read_to_end, read_until, soon, start, table, until};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: eA==\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

/// An application that agrees and sends every byte back; what it got in all is sent to `seen` when the connection ends.
async fn echo(seen: mpsc::UnboundedSender<Vec<u8>>) -> SocketAddr {
    raw(move |mut stream| {
        let seen = seen.clone();
        async move {
            if !read_head(&mut stream).await {
                return;
            }
            stream.write_all(AGREED.as_bytes()).await.unwrap();
            let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                all.extend_from_slice(&buffer[..length]);
                if stream.write_all(&buffer[..length]).await.is_err() {
                    break;
                }
            }
            let _ = seen.send(all);
        }
    })
    .await
}

async fn open(proxy: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-accept: x"), "{head}");
    stream
}

async fn exchange(stream: &mut TcpStream, frame: &[u8]) {
    stream.write_all(frame).await.unwrap();
    let mut back = vec![0; frame.len()];
    soon(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, frame);
}

const CLOSE_1001: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

#[tokio::test]
async fn websockets_outlive_a_swap_and_are_closed_with_1001_when_asked() {
    let proxy = start();
    let (seen, mut got) = mpsc::unbounded_channel();
    let old = echo(seen).await;
    proxy.swap(&table(1, &[("/", "shop/old", old)])).await;
    let mut one = open(&proxy).await;
    let mut two = open(&proxy).await;
    exchange(&mut one, b"\x81\x05hello").await;

    let (seen, _got) = mpsc::unbounded_channel();
    proxy.swap(&table(2, &[("/", "shop/new", echo(seen).await)])).await;
    exchange(&mut one, b"\x81\x05again").await;
    exchange(&mut two, b"\x81\x05hello").await;
    let held = proxy.endpoint("shop/old").await.unwrap();
    assert_eq!((held.requests, held.streams), (0, 2));
    assert_eq!(proxy.status().await.connections, 2);

    proxy.close("shop/old").await;
    for stream in [&mut one, &mut two] {
        let mut close = [0; 4];
        soon(stream.read_exact(&mut close)).await.unwrap();
        assert_eq!(close, CLOSE_1001);
        stream.shutdown().await.unwrap();
        read_to_end(stream).await;
    }
    for _ in 0..2 {
        let all = soon(got.recv()).await.unwrap();
        assert_eq!(all[all.len() - 8..all.len() - 6], [0x88, 0x82], "a masked Close with two bytes");
    }
    until("the old one is forgotten", async || proxy.endpoint("shop/old").await.is_none()).await;
}

#[tokio::test]
async fn a_close_waits_for_the_end_of_the_frame() {
    let proxy = start();
    let address = raw(|mut stream| async move {
        if !read_head(&mut stream).await {
            return;
        }
        stream.write_all(AGREED.as_bytes()).await.unwrap();
        stream.write_all(b"\x81\x0Ahalf-").await.unwrap();
        // The other direction is between two frames, so the Close arrives here at once.
        let mut close = [0; 8];
        stream.read_exact(&mut close).await.unwrap();
        // The rest of the frame and another one, which comes too late.
        stream.write_all(b"whole\x81\x04next").await.unwrap();
        let _ = stream.read(&mut close).await;
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let mut stream = open(&proxy).await;
    let mut half = [0; 7];
    soon(stream.read_exact(&mut half)).await.unwrap();
    proxy.close("shop/web").await;
    let mut rest = [0; 9];
    soon(stream.read_exact(&mut rest)).await.unwrap();
    assert_eq!(rest[..5], *b"whole");
    assert_eq!(rest[5..], CLOSE_1001);
}

#[tokio::test]
async fn an_idle_websocket_is_closed_after_its_routes_time() {
    let proxy = start();
    let (seen, _got) = mpsc::unbounded_channel();
    let mut table = table(1, &[("/", "shop/web", echo(seen).await)]);
    table.sites[0].routes[0].idle_timeout_ms = 50;
    proxy.swap(&table).await;
    let mut stream = open(&proxy).await;
    let mut close = [0; 4];
    soon(stream.read_exact(&mut close)).await.unwrap();
    assert_eq!(close, CLOSE_1001);
}

#[tokio::test]
async fn events_come_one_by_one_and_the_stream_ends_whole_when_asked() {
    let proxy = start();
    let (event, events) = mpsc::unbounded_channel::<&'static str>();
    let events = std::sync::Arc::new(tokio::sync::Mutex::new(events));
    let address = raw(move |mut stream| {
        let events = std::sync::Arc::clone(&events);
        async move {
            if !read_head(&mut stream).await {
                return;
            }
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            while let Some(event) = events.lock().await.recv().await {
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                if stream.write_all(chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    for text in ["data: one\n\n", "data: two\n\n"] {
        event.send(text).unwrap();
        read_until(&mut stream, text).await;
    }
    let held = proxy.endpoint("shop/web").await.unwrap();
    assert_eq!((held.requests, held.streams), (0, 1));
    proxy.close("shop/web").await;
    let rest = read_until(&mut stream, "0\r\n\r\n").await;
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    until("nothing is held", async || proxy.endpoint("shop/web").await.unwrap().streams == 0).await;
}
