//! What an application's answers are judged by: the same for a request, a gate and a health check, and told in the log, the metrics and the status.

use crate::harness::{Running, raw, read_head, read_until, start, table, talk, until};
use crate::tls::{Authority, secured};
use http::StatusCode;
use landfall_model::control::{Answer, Ask, HttpProbe, Probe, Probed};
use landfall_model::fault::Fault;
use landfall_model::front::AccessLog;
use landfall_model::route::Protocol;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;

/// An application that gives this answer to every request, and ends.
async fn says(answer: &str) -> SocketAddr {
    let answer = answer.to_owned();
    raw(move |mut stream| {
        let answer = answer.clone();
        async move {
            if read_head(&mut stream).await {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await
}

async fn probed(proxy: &Running, address: SocketAddr, protocol: Protocol) -> Probed {
    let http = HttpProbe { path: "/up".into(), host: "shop.example".into(), protocol };
    match proxy.ask(&Ask::Probe(Probe { address, interface: None, http: Some(http) })).await {
        Answer::Probed(probed) => probed,
        other => panic!("{other:?}"),
    }
}

async fn serving(proxy: &Running, generation: u64, address: SocketAddr) {
    let mut table = table(generation, &[("/", "shop/web", address)]);
    table.sites[0].front.access_log = AccessLog { errors: true, ..AccessLog::default() };
    proxy.swap(&table).await;
}

#[tokio::test]
async fn what_would_only_give_502_passes_no_gate_and_says_why_everywhere() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {}\r\n\r\nok", "x".repeat(300_000));
    let fields = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{}\r\nok", "A: b\r\n".repeat(5000));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let proxy = start();
    let answers: [(String, Fault, &str); 11] = [
        (format!("HTTP/1.1 200 OK\r\n{chunked}{chunked}\r\n2\r\nok\r\n0\r\n\r\n"), Fault::Malformed, "more than one Transfer-Encoding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n".into(), Fault::Malformed, "not chunked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(), Fault::Malformed, "not chunked"),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{chunked}\r\n2\r\nok\r\n0\r\n\r\n"), Fault::Malformed, "two ways to end"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".into(), Fault::Malformed, "two lengths"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok".into(), Fault::Malformed, "Content-Length"),
        ("HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\nok".into(), Fault::Malformed, "not HTTP/1.1"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), Fault::Malformed, "two ways to end"),
        (large, Fault::TooLarge, "96 KiB"),
        (fields, Fault::TooLarge, "4,096"),
        (String::new(), Fault::Closed, "ended before the answer"),
    ];
    for (index, (answer, fault, words)) in answers.iter().enumerate() {
        let address = says(answer).await;
        serving(&proxy, index as u64 + 1, address).await;
        let shown = &answer[..answer.len().min(80)];
        let Probed::Failed { seen } = probed(&proxy, address, Protocol::Http1).await else { panic!("{shown:?} passes the gate") };
        assert!(seen.contains(words), "{shown:?}: {seen}");
        assert_eq!(proxy.get("shop.example", "/").await.0, StatusCode::BAD_GATEWAY, "{shown:?}");
        let told = proxy.status().await.faults["shop/web"].words.clone();
        assert!(told.starts_with(fault.word()) && told.contains(words), "{shown:?}: {told}");
    }
    let path = proxy.home.path().join("logs/access.log");
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    until("the lines", || async { lines().lines().count() >= answers.len() }).await;
    // Each worker writes its own when it has time.
    let lines: Vec<serde_json::Value> = lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (_, fault, words) in &answers {
        let told =
            |line: &serde_json::Value| line["fault"].as_str().is_some_and(|told| told.starts_with(fault.word()) && told.contains(words));
        assert!(lines.iter().any(told), "{fault} {words}: {lines:#?}");
    }
    let Answer::Metrics(metrics) = proxy.ask(&Ask::Metrics).await else { panic!() };
    for tally in [&metrics.routes[0].tally, &metrics.endpoints["shop/web"]] {
        assert_eq!(tally.faults, [0, 0, 1, 8, 2, 0, 0, 0]);
    }
}

#[tokio::test]
async fn what_can_be_passed_on_passes() {
    let proxy = start();
    let links = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{}\r\nok", "Link: </a>\r\n".repeat(120));
    let wide = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {}\r\n\r\nok", "x".repeat(70_000));
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        links.as_str(),
        wide.as_str(),
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        let address = says(answer).await;
        serving(&proxy, index as u64 + 1, address).await;
        assert_eq!(probed(&proxy, address, Protocol::Http1).await, Probed::Ready, "{}", &answer[..40]);
        assert!(proxy.get("shop.example", "/").await.0.as_u16() < 400, "{}", &answer[..40]);
    }
    assert!(proxy.status().await.faults.is_empty());
    // What the gate says of those that are none of the proxy's business is what it said before.
    let address = says("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(probed(&proxy, address, Protocol::Http1).await, Probed::Failed { seen: "GET /up answers 500".into() });
    let address = says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n").await;
    let Probed::Failed { seen } = probed(&proxy, address, Protocol::Http1).await else { panic!() };
    assert!(seen.contains("breaks off"), "{seen}");
    let nobody = crate::harness::listener().local_addr().unwrap();
    let refused = Probed::Refused { seen: format!("nothing listens on port {}", nobody.port()) };
    assert_eq!(probed(&proxy, nobody, Protocol::Http1).await, refused);
    let Probed::Failed { seen } = probed(&proxy, says("HTTP/1.1 200 OK\r\n\r\n").await, Protocol::H2c).await else { panic!() };
    assert!(seen.starts_with("GET /up gets "), "{seen}");
}

#[tokio::test]
async fn a_length_that_is_said_twice_goes_on_once() {
    let proxy = start();
    for (index, status) in ["200 OK", "404 Not Found"].into_iter().enumerate() {
        let address = says(&format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")).await;
        serving(&proxy, 10 + index as u64, address).await;
        let text = talk(proxy.http, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await;
        assert_eq!(text.matches("content-length: 2\r\n").count(), 1, "{text}");
    }
    let address = says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok").await;
    let (proxy, authority) = (start(), Authority::new());
    secured(&proxy, &authority, address).await;
    let stream = authority.connect(&proxy, "shop.example", "h2").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake::<_, _, http_body_util::Empty<bytes::Bytes>>(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://shop.example/").body(http_body_util::Empty::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let lengths: Vec<_> = response.headers().get_all("content-length").iter().collect();
    assert_eq!(lengths, ["2"]);
}

#[tokio::test]
async fn another_protocol_is_refused_and_never_becomes_a_plain_request() {
    let proxy = start();
    let asked = |upgrade: &str| {
        format!("POST /ts2021 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n")
    };
    serving(&proxy, 1, says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain").await).await;
    for (upgrade, status) in [("tailscale-control-protocol", 501), ("tcp", 501), ("SPDY/3.1", 501), ("h2c", 200), ("TLS/1.2", 200)] {
        let mut stream = tokio::net::TcpStream::connect(proxy.http).await.unwrap();
        stream.write_all(asked(upgrade).as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{upgrade}: {head}");
    }
    // One of HTTP/2 that does not say that it takes WebSockets.
    let mut h2c = table(2, &[("/", "shop/web", says("").await)]);
    h2c.upstreams.get_mut("shop/").unwrap().protocol = Protocol::H2c;
    proxy.swap(&h2c).await;
    let mut stream = tokio::net::TcpStream::connect(proxy.http).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 501 "), "{head}");
}

#[tokio::test]
async fn nobody_is_told_an_empty_host() {
    let proxy = start();
    let echo = raw(|mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}", head.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let mut open = table(1, &[("/", "shop/web", echo)]);
    open.sites[0].hosts.clear();
    open.sites[0].redirect_hosts.clear();
    proxy.swap(&open).await;
    let text = talk(proxy.http, "GET /health HTTP/1.0\r\n\r\n").await;
    assert!(text.contains("\r\nhost: 127.0.0.1\r\n") && text.contains("\r\nx-forwarded-host: 127.0.0.1\r\n"), "{text}");
    open.generation = 2;
    open.sites[0].https = true;
    proxy.swap(&open).await;
    let text = talk(proxy.http, "GET /health HTTP/1.0\r\n\r\n").await;
    assert!(text.contains(&format!("\r\nlocation: https://127.0.0.1:{}/health\r\n", proxy.https.port())), "{text}");
}
