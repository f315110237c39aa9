//! Tables change under way and nobody notices.

use crate::harness::{application, named, read_until, start, table, until};
use http::Response;
use http_body_util::Full;
use landfall_model::route::InternalListener;
use std::cell::Cell;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

#[tokio::test]
async fn swaps_under_load_fail_no_request() {
    let proxy = Rc::new(start());
    let addresses = [named("a").await, named("b").await];
    proxy.swap(&table(1, &[("/", "shop/a", addresses[0])])).await;
    let (done, answered) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0u64)));
    let local = LocalSet::new();
    for client in 0..6 {
        let (proxy, done, answered) = (Rc::clone(&proxy), Rc::clone(&done), Rc::clone(&answered));
        local.spawn_local(async move {
            let mut kept = TcpStream::connect(proxy.http).await.unwrap();
            while !done.get() {
                // Half of the clients keep their connection, half come anew each time.
                if client % 2 == 0 {
                    kept = TcpStream::connect(proxy.http).await.unwrap();
                }
                let text = if client % 3 == 0 {
                    "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc"
                } else {
                    "GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n"
                };
                kept.write_all(text.as_bytes()).await.unwrap();
                let answer = read_until(&mut kept, " /x").await;
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                answered.set(answered.get() + 1);
            }
        });
    }
    local
        .run_until(async {
            for generation in 2..60u64 {
                let (id, address) = if generation % 2 == 0 { ("shop/b", addresses[1]) } else { ("shop/a", addresses[0]) };
                proxy.swap(&table(generation, &[("/", id, address)])).await;
                let before = answered.get();
                until("requests go on", async || answered.get() > before + 5).await;
            }
            done.set(true);
        })
        .await;
    local.await;
    let status = proxy.status().await;
    assert_eq!((status.generation, status.failures), (59, 0));
}

#[tokio::test]
async fn an_endpoint_that_left_is_shown_until_it_holds_nothing() {
    let proxy = start();
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (finish, finishes) = mpsc::unbounded_channel::<()>();
    let finishes = std::sync::Arc::new(tokio::sync::Mutex::new(finishes));
    let old = application(move |_| {
        let (begun, finishes) = (begun.clone(), std::sync::Arc::clone(&finishes));
        async move {
            begun.send(()).unwrap();
            finishes.lock().await.recv().await;
            Response::new(Full::from("old"))
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/old", old)])).await;
    let mut slow = TcpStream::connect(proxy.http).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.unwrap();
    has_begun.recv().await.unwrap();
    proxy.swap(&table(2, &[("/", "shop/new", named("new").await)])).await;
    assert_eq!(proxy.endpoint("shop/old").await.unwrap().requests, 1);
    assert!(proxy.get("shop.example", "/").await.1.ends_with("new /"));
    finish.send(()).unwrap();
    assert!(read_until(&mut slow, "old").await.starts_with("HTTP/1.1 200 "));
    until("it is forgotten", async || proxy.endpoint("shop/old").await.is_none()).await;
    assert_eq!(proxy.endpoint("shop/new").await.unwrap().requests, 0);
}

#[tokio::test]
async fn services_have_one_address_through_all_releases() {
    let proxy = start();
    let address = {
        let free = crate::harness::listener();
        free.local_addr().unwrap()
    };
    let (send, mut heads) = mpsc::unbounded_channel();
    let seen = application(move |request| {
        send.send(request.headers().clone()).unwrap();
        async { Response::new(Full::from("one")) }
    })
    .await;
    let mut first = table(1, &[("/", "shop/one", seen)]);
    first.internal.push(InternalListener { address, upstream: "shop/".into() });
    proxy.swap(&first).await;
    let ask = "GET /x HTTP/1.1\r\nHost: api\r\nX-Forwarded-For: 192.0.2.1\r\nX_y: z\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    read_until(&mut stream, "one").await;
    let head = heads.recv().await.unwrap();
    assert_eq!(head.get("x-forwarded-for").unwrap(), "192.0.2.1", "between services nothing is rewritten");
    assert!(head.contains_key("x_y") && !head.contains_key("x-real-ip") && head.get("host").unwrap() == "api");

    let mut second = table(2, &[("/", "shop/two", named("two").await)]);
    second.internal = first.internal.clone();
    proxy.swap(&second).await;
    stream.write_all(ask.as_bytes()).await.unwrap();
    read_until(&mut stream, "two /x").await;

    proxy.swap(&table(3, &[])).await;
    until("the listener is gone", async || TcpStream::connect(address).await.is_err()).await;
}
