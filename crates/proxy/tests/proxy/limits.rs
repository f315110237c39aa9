//! What one client may take: tries at passwords and keys, and requests that applications work on at the same time.

use crate::filters::{filtered, status, values};
use crate::harness::{Options, Running, application, named, read_to_end, soon, start, start_with, table, until};
use crate::http2::wire::{Client, Frame, get, kind};
use crate::tls::{Authority, secured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use landfall_model::control::{Answer, Ask};
use landfall_model::filter::{Filters, PasswordDigest};
use landfall_model::front::{Front, Maintenance};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;

/// A GET with these headers, from an address of this machine's choice.
async fn from(source: &str, proxy: &Running, headers: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(proxy.http).await.unwrap();
    let text = format!("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

async fn refused(proxy: &Running, reason: &str) -> u64 {
    let Answer::Metrics(metrics) = proxy.ask(&Ask::Metrics).await else { panic!("no metrics") };
    metrics.refused.get(reason).copied().unwrap_or_default()
}

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(pair))
}

#[tokio::test]
async fn who_guesses_passwords_waits_and_learns_nothing_meanwhile() {
    let proxy = start();
    let users = [("ada".to_owned(), PasswordDigest::of("ada", "secret"))];
    let mut table = filtered(&proxy, named("web").await, Filters { basic_auth: users.into(), ..Filters::default() }).await;
    for _ in 0..50 {
        assert_eq!(status(&from("127.0.0.2", &proxy, "").await), 401, "a browser that asks first is no guesser");
        assert_eq!(status(&from("127.0.0.2", &proxy, &basic("ada:secret")).await), 200);
    }
    for i in 0..10 {
        assert_eq!(status(&from("127.0.0.2", &proxy, &basic(&format!("ada:{i}"))).await), 401, "{i}");
    }
    for pair in ["ada:wrong", "eve:wrong", "ada:secret"] {
        let answer = from("127.0.0.2", &proxy, &basic(pair)).await;
        assert_eq!(status(&answer), 429, "{answer}");
        let wait: u32 = values(&answer, "retry-after")[0].parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    assert_eq!(status(&from("127.0.0.3", &proxy, &basic("ada:secret")).await), 200);
    assert_eq!(refused(&proxy, "failed-logins").await, 3, "the owner finds it");

    table.generation = 2;
    proxy.swap(&table).await;
    assert_eq!(status(&from("127.0.0.2", &proxy, &basic("ada:secret")).await), 429, "a swap forgets nothing");
    table.generation = 3;
    table.sites[0].routes[0].filters = Filters::default();
    proxy.swap(&table).await;
    assert_eq!(status(&from("127.0.0.2", &proxy, "").await), 200, "only what asks for a password is closed");
}

#[tokio::test]
async fn who_guesses_maintenance_keys_waits_too() {
    let proxy = start();
    let closed =
        Maintenance { allow: ["127.0.0.4/32".parse().unwrap()].into(), key: Some(Maintenance::key("open")), retry_after_s: 60, page: None };
    let mut table = table(1, &[("/", "shop/web", named("web").await)]);
    table.sites[0].front = Front { maintenance: Some(closed), ..Front::default() };
    proxy.swap(&table).await;
    for _ in 0..20 {
        assert_eq!(status(&from("127.0.0.2", &proxy, "").await), 503);
        assert_eq!(status(&from("127.0.0.4", &proxy, "X-Maintenance-Key: wrong\r\n").await), 200, "whom the file lets in guesses nothing");
    }
    for i in 0..10 {
        let header = if i % 2 == 0 { "X-Maintenance-Key: " } else { "Cookie: maintenance_key=" };
        assert_eq!(status(&from("127.0.0.2", &proxy, &format!("{header}{i}\r\n")).await), 503);
    }
    assert_eq!(status(&from("127.0.0.2", &proxy, "X-Maintenance-Key: open\r\n").await), 429);
    assert_eq!(status(&from("127.0.0.2", &proxy, "").await), 503);
    assert_eq!(status(&from("127.0.0.3", &proxy, "X-Maintenance-Key: open\r\n").await), 200);
    assert_eq!(refused(&proxy, "failed-logins").await, 1);
    let three = "X-Maintenance-Key: 1\r\nCookie: maintenance_key=2; maintenance_key=3\r\n";
    for _ in 0..4 {
        assert_eq!(status(&from("127.0.0.5", &proxy, three).await), 503);
    }
    assert_eq!(status(&from("127.0.0.5", &proxy, "X-Maintenance-Key: open\r\n").await), 429, "each key is a try");
}

type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// An application that answers `/wait` only when it is let.
fn waiting(gate: &Arc<Semaphore>) -> impl Fn(Request<Incoming>) -> Answering + Clone + Send + 'static {
    let gate = Arc::clone(gate);
    move |request| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            if request.uri().path() == "/wait" {
                gate.acquire().await.unwrap().forget();
            }
            Response::new(Full::default())
        })
    }
}

/// The next frame of this kind.
async fn next(client: &mut Client, wanted: u8) -> Frame {
    loop {
        let frame = soon(client.next()).await.expect("a frame");
        if frame.kind == wanted {
            return frame;
        }
    }
}

#[tokio::test]
async fn streams_give_a_client_no_more_requests_than_connections_would() {
    let options = Options { max_per_address: Some(3), ..Options::default() };
    let proxy = start_with(tempfile::tempdir().unwrap(), options);
    let (authority, gate) = (Authority::new(), Arc::new(Semaphore::new(0)));
    secured(&proxy, &authority, application(waiting(&gate)).await).await;
    let mut client = Client::with(proxy.https, &authority, &[]).await;
    client.send(&(0..4).flat_map(|i| get(1 + 2 * i, "/wait")).collect::<Vec<u8>>()).await;
    let frame = next(&mut client, kind::HEADERS).await;
    assert_eq!((frame.stream, frame.status()), (7, 429), "three wait, and the fourth is refused at once");
    assert_eq!(refused(&proxy, "client-in-flight").await, 1);
    gate.add_permits(1);
    let frame = next(&mut client, kind::HEADERS).await;
    assert_eq!(frame.status(), 200);
    client.send(&get(9, "/")).await;
    let frame = next(&mut client, kind::HEADERS).await;
    assert_eq!((frame.stream, frame.status()), (9, 200), "who is answered may ask again");
    gate.add_permits(2);
    assert_eq!(next(&mut client, kind::HEADERS).await.status(), 200);
    assert_eq!(next(&mut client, kind::HEADERS).await.status(), 200);
}

#[tokio::test]
async fn a_replica_that_has_as_many_requests_as_it_may_is_busy_and_not_sick() {
    let options = Options { max_per_replica: Some(2), ..Options::default() };
    let proxy = start_with(tempfile::tempdir().unwrap(), options);
    let gate = Arc::new(Semaphore::new(0));
    proxy.swap(&table(1, &[("/", "shop/web", application(waiting(&gate)).await)])).await;
    // Two for each of two workers; which of them a connection gets is the kernel's choice.
    let mut asked = tokio::task::JoinSet::new();
    while refused(&proxy, "replica-in-flight").await == 0 {
        assert!(asked.len() < 30);
        let (http, before) = (proxy.http, asked.len() as u64);
        let text = "GET /wait HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
        asked.spawn(async move { status(&crate::harness::talk(http, text).await) });
        until("it is held or refused", async || {
            let held = proxy.endpoint("shop/web").await.unwrap().requests;
            held + refused(&proxy, "replica-in-flight").await > before
        })
        .await;
    }
    let endpoint = proxy.endpoint("shop/web").await.unwrap();
    assert!(endpoint.healthy && (2..=4).contains(&endpoint.requests), "{endpoint:?}");
    gate.add_permits(30);
    let mut statuses = asked.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses.iter().filter(|&&s| s == 503).count(), statuses[0]), (1, 200), "{statuses:?}");
    until("it takes the next", async || proxy.get("shop.example", "/").await.0 == StatusCode::OK).await;
}
