//! Whom a request comes from when there are proxies before this one.

use crate::filters::{status, values};
use crate::harness::{Options, Running, application, read_to_end, soon, start, start_with, table, talk};
use http::Response;
use http_body_util::Full;
use landfall_model::filter::RateLimit;
use landfall_model::route::RouteTable;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// An app that says what it was told about the client.
async fn told(proxy: &Running, trusted: &[&str]) -> RouteTable {
    let address = application(|request| async move {
        let named = |name: &str| request.headers().get(name).map_or("-", |v| v.to_str().unwrap()).to_owned();
        let names = ["x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"];
        Response::new(Full::from(names.map(named).join(" ")))
    })
    .await;
    let mut table = table(1, &[("/", "shop/web", address)]);
    table.sites[0].front.trusted_proxies = trusted.iter().map(|n| n.parse().unwrap()).collect();
    proxy.swap(&table).await;
    table
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap_or_default().1
}

const CLAIMS: &str = "X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.shop.example\r\n\
    X-Forwarded-Port: 1\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX_Forwarded_For: 1.1.1.1\r\n";

fn ask(path: &str, claims: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{claims}Connection: close\r\n\r\n")
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_and_only_what_it_wrote_itself() {
    let proxy = start();
    let mut table = told(&proxy, &["10.0.0.0/8"]).await;
    let answer = talk(proxy.http, &ask("/", CLAIMS)).await;
    assert_eq!(body(&answer), "127.0.0.1 127.0.0.1 http shop.example - -", "a stranger's claims are deleted");

    table.generation = 2;
    table.sites[0].front.trusted_proxies = ["127.0.0.0/8".parse().unwrap()].into();
    proxy.swap(&table).await;
    let answer = talk(proxy.http, &ask("/", CLAIMS)).await;
    assert_eq!(body(&answer), "192.0.2.7 192.0.2.7 https www.shop.example - -");
    let answer = talk(proxy.http, &ask("/", "")).await;
    assert_eq!(body(&answer), "127.0.0.1 127.0.0.1 http shop.example - -", "a proxy that says nothing is the client");
}

#[tokio::test]
async fn limits_and_lists_are_for_the_client_behind_the_trusted_proxy() {
    let proxy = start();
    let mut table = told(&proxy, &["127.0.0.1"]).await;
    table.generation = 2;
    let filters = &mut table.sites[0].routes[0].filters;
    filters.deny = ["192.0.2.9".parse().unwrap()].into();
    filters.rate_limit = Some(RateLimit { requests: 1, per_ms: 3_600_000, burst: 0 });
    proxy.swap(&table).await;
    let from = |client: &str| ask("/", &format!("X-Forwarded-For: {client}\r\n"));
    assert_eq!(status(&talk(proxy.http, &from("192.0.2.9")).await), 403);
    assert_eq!(status(&talk(proxy.http, &from("192.0.2.7")).await), 200);
    assert_eq!(status(&talk(proxy.http, &from("192.0.2.7")).await), 429);
    assert_eq!(status(&talk(proxy.http, &from("192.0.2.9, 192.0.2.8")).await), 200, "another client, whatever it writes before");
}

#[tokio::test]
async fn https_that_ends_at_a_trusted_proxy_is_https() {
    let proxy = start();
    let mut table = told(&proxy, &["127.0.0.1"]).await;
    table.generation = 2;
    table.sites[0].https = true;
    proxy.swap(&table).await;
    let answer = talk(proxy.http, &ask("/", "X-Forwarded-Proto: https\r\n")).await;
    assert_eq!(status(&answer), 200, "no redirect to where the client is already");
    let answer = talk(proxy.http, &ask("/a?b", "X-Forwarded-Proto: http\r\n")).await;
    assert_eq!(values(&answer, "location"), ["https://shop.example/a?b"], "the port clients know is the trusted proxy's");
    let elsewhere = ask("/", "X-Forwarded-Proto: https\r\n").replace("shop.example", "www.shop.example");
    assert_eq!(values(&talk(proxy.http, &elsewhere).await, "location"), ["https://shop.example/"]);
}

/// The prelude of a load balancer that brings a connection of 192.0.2.7's.
const PRELUDE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x01\x02\x01\xbb";

async fn after(proxy: &Running, prelude: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    soon(stream.write_all(&[prelude, ask("/", "X-Forwarded-For: 9.9.9.9\r\n").as_bytes()].concat())).await.unwrap();
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_load_balancer_says_by_proxy_protocol_whose_connection_it_brings() {
    let proxied_by = vec!["127.0.0.0/8".parse().unwrap()];
    let proxy = start_with(tempfile::tempdir().unwrap(), Options { proxied_by, max_per_address: Some(1), ..Options::default() });
    told(&proxy, &[]).await;
    assert_eq!(body(&after(&proxy, PRELUDE).await), "192.0.2.7 192.0.2.7 http shop.example - -");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(body(&after(&proxy, local).await), "127.0.0.1 127.0.0.1 http shop.example - -", "its own health check");
    assert_eq!(after(&proxy, b"").await, "", "who must say it and does not is cut");
    assert_eq!(after(&proxy, b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n").await, "");

    // One client's connections are counted, not the load balancer's.
    let mut held = TcpStream::connect(proxy.http).await.unwrap();
    held.write_all(PRELUDE).await.unwrap();
    let other: Vec<u8> = PRELUDE.iter().enumerate().map(|(i, b)| if i == 19 { 8 } else { *b }).collect();
    assert_eq!(status(&after(&proxy, &other).await), 200);
    drop(held);
}

#[tokio::test]
async fn nobody_else_may_say_so() {
    let proxied_by = vec!["10.0.0.0/8".parse().unwrap()];
    let proxy = start_with(tempfile::tempdir().unwrap(), Options { proxied_by, ..Options::default() });
    told(&proxy, &[]).await;
    assert_eq!(status(&after(&proxy, PRELUDE).await), 400);
    assert_eq!(body(&after(&proxy, b"").await), "127.0.0.1 127.0.0.1 http shop.example - -");
}
