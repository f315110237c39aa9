//! A proxy that stops takes nothing down with it.

use crate::harness::{
    Options, application, listener, named, raw, read_head, read_to_end, read_until, soon, start, start_with, table, until,
};
use http::Response;
use http_body_util::Full;
use landfall_proxy::Listeners;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

#[tokio::test]
async fn requests_in_flight_are_answered_with_a_farewell() {
    let proxy = start();
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (finish, finishes) = mpsc::unbounded_channel::<()>();
    let finishes = Arc::new(tokio::sync::Mutex::new(finishes));
    let address = application(move |_| {
        let (begun, finishes) = (begun.clone(), Arc::clone(&finishes));
        async move {
            begun.send(()).unwrap();
            finishes.lock().await.recv().await;
            Response::new(Full::from("done"))
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let mut busy = TcpStream::connect(proxy.http).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    has_begun.recv().await.unwrap();
    let http = proxy.http;
    let stopped = tokio::task::spawn_blocking(move || proxy.handle.stop());
    until("it refuses", async || TcpStream::connect(http).await.is_err()).await;
    finish.send(()).unwrap();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    drop(busy);
    soon(stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_stays_idle_is_closed_in_the_end() {
    let proxy = start();
    proxy.swap(&table(1, &[("/", "shop/web", named("web").await)])).await;
    let mut idle = TcpStream::connect(proxy.http).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    read_until(&mut idle, "web /").await;
    let stopped = tokio::task::spawn_blocking(move || proxy.handle.stop());
    assert_eq!(soon(idle.read(&mut [0; 1])).await.unwrap(), 0);
    // What was on its way when it was closed does not turn the end into an error.
    idle.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    idle.shutdown().await.unwrap();
    assert_eq!(soon(idle.read(&mut [0; 1])).await.unwrap(), 0);
    soon(stopped).await.unwrap().unwrap();
}

/// One keep-alive client: asks without pause until told to stop, and connects anew only when an answer said so. Answers how often it was told so.
async fn keeps_asking(http: SocketAddr, client: usize, answered: Rc<Cell<usize>>, done: Rc<Cell<bool>>) -> usize {
    let mut farewells = 0;
    let mut kept = TcpStream::connect(http).await.unwrap();
    while !done.get() {
        let ask = if client.is_multiple_of(2) {
            "GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n"
        } else {
            "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc"
        };
        kept.write_all(ask.as_bytes()).await.unwrap();
        let answer = read_until(&mut kept, "web /x").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answered.set(answered.get() + 1);
        if answer.contains("connection: close") {
            farewells += 1;
            kept = TcpStream::connect(http).await.unwrap();
        } else if client % 8 == 7 {
            // Some speak only now and then.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    farewells
}

#[tokio::test]
async fn clients_that_keep_asking_lose_nothing_when_one_proxy_takes_over_from_another() {
    const CLIENTS: usize = 64;
    let shared = listener();
    let options = || {
        let listeners = Listeners { http: vec![shared.try_clone().unwrap()], ..Listeners::default() };
        Options { listeners, drain: Duration::from_secs(30), ..Options::default() }
    };
    let mut old = start_with(tempfile::tempdir().unwrap(), options());
    old.swap(&table(1, &[("/", "shop/web", named("web").await)])).await;
    let (http, done, answered) = (old.http, Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let local = LocalSet::new();
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| local.spawn_local(keeps_asking(http, client, Rc::clone(&answered), Rc::clone(&done)))).collect();
    let farewells = local
        .run_until(async {
            for _ in 0..3 {
                let before = answered.get();
                until("requests are answered", async || answered.get() > before + 10 * CLIENTS).await;
                let new = start_with(Arc::clone(&old.home), options());
                let handle = std::mem::replace(&mut old, new).handle;
                soon(tokio::task::spawn_blocking(move || handle.stop())).await.unwrap().unwrap();
            }
            done.set(true);
            let mut farewells = 0;
            for client in clients {
                farewells += soon(client).await.expect("no client lost a request");
            }
            farewells
        })
        .await;
    assert!(farewells >= CLIENTS, "every connection was told at least once, {farewells}");
    assert_eq!(old.status().await.failures, 0);
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
