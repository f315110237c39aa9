//! What is kept of requests: counts, and lines in the access log.

use crate::filters::status;
use crate::harness::{Running, application, named, raw, read_head, read_until, start, table, talk, until};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use landfall_model::control::{Answer, Ask};
use landfall_model::filter::{Jwt, JwtAlgorithm, JwtKeys, JwtSecret, RateLimit};
use landfall_model::front::AccessLog;
use landfall_model::metrics::{Metrics, Tally};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

async fn metrics(proxy: &Running) -> Metrics {
    match proxy.ask(&Ask::Metrics).await {
        Answer::Metrics(metrics) => *metrics,
        other => panic!("{other:?}"),
    }
}

async fn tally(proxy: &Running, route: &str) -> Tally {
    let metrics = metrics(proxy).await;
    metrics.routes.into_iter().find(|r| (r.app.as_str(), r.route.as_str()) == ("shop", route)).unwrap().tally
}

/// Lines of the log, when there are as many as expected.
async fn lines(proxy: &Running, count: usize) -> Vec<Value> {
    let path = proxy.home.path().join("logs/access.log");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    until("the lines", || async { read().lines().count() >= count }).await;
    let lines: Vec<Value> = read().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

fn ask(method: &str, path: &str, rest: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{rest}")
}

#[tokio::test]
async fn requests_are_counted_by_route_and_endpoint_and_stay_counted_after_a_swap() {
    let proxy = start();
    let web = application(|request| async move {
        let path = request.uri().path().to_owned();
        let _ = request.into_body().collect().await;
        let status = path.trim_start_matches('/').parse().unwrap_or(StatusCode::OK);
        Response::builder().status(status).body(Full::from("0123456789")).unwrap()
    })
    .await;
    let mut table = table(1, &[("/", "shop/web", web), ("/limited", "shop/web", web)]);
    table.sites[0].routes[1].filters.rate_limit = Some(RateLimit { requests: 1, per_ms: 3_600_000, burst: 0 });
    proxy.swap(&table).await;
    for path in ["/", "/204", "/404", "/500"] {
        talk(proxy.http, &ask("GET", path, "\r\n")).await;
    }
    talk(proxy.http, &ask("POST", "/", "Content-Length: 5\r\n\r\nhello")).await;
    for expected in [200, 429, 429] {
        assert_eq!(status(&talk(proxy.http, &ask("GET", "/limited", "\r\n")).await), expected);
    }
    until("the last byte is counted", || async { tally(&proxy, "/").await.active == 0 }).await;
    let root = tally(&proxy, "/").await;
    assert_eq!((root.answers, root.bytes_in, root.bytes_out, root.left, root.broken), ([0, 3, 0, 1, 1], 5, 40, 0, 0));
    assert_eq!(root.times.iter().sum::<u64>(), 5);
    let limited = tally(&proxy, "/limited").await;
    assert_eq!((limited.answers, limited.limited), ([0, 1, 0, 2, 0], 2));
    assert_eq!(metrics(&proxy).await.endpoints["shop/web"].answers, [0, 4, 0, 1, 1], "whom a limit stops never gets there");

    table.generation = 2;
    proxy.swap(&table).await;
    talk(proxy.http, &ask("GET", "/", "\r\n")).await;
    assert_eq!(tally(&proxy, "/").await.answers, [0, 4, 0, 1, 1]);
}

#[tokio::test]
async fn who_leaves_and_what_breaks_off_is_counted_and_written_down() {
    let proxy = start();
    let web = raw(|mut stream| async move {
        if read_head(&mut stream).await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
        }
    })
    .await;
    let silent = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = tokio::io::AsyncReadExt::read_u8(&mut stream).await;
    })
    .await;
    proxy.swap(&table(1, &[("/half", "shop/web", web), ("/silent", "shop/silent", silent)])).await;
    let answer = talk(proxy.http, &ask("GET", "/half?a=b", "\r\n")).await;
    assert!(answer.ends_with("half"), "{answer}");
    let mut leaving = TcpStream::connect(proxy.http).await.unwrap();
    leaving.write_all(ask("GET", "/silent", "\r\n").as_bytes()).await.unwrap();
    until("it waits", || async { tally(&proxy, "/silent").await.active == 1 }).await;
    drop(leaving);
    until("it left", || async { tally(&proxy, "/silent").await.left == 1 }).await;
    let half = tally(&proxy, "/half").await;
    assert_eq!((half.broken, half.active, half.bytes_out), (1, 0, 4));
    let lines = lines(&proxy, 2).await;
    let by_path = |path: &str| lines.iter().find(|l| l["path"] == path).unwrap();
    let (half, left) = (by_path("/half"), by_path("/silent"));
    assert_eq!((half["status"].as_u64(), half["broken"].as_bool(), half["bytes"].as_u64()), (Some(200), Some(true), Some(4)), "{half}");
    assert_eq!(half.get("query"), None, "what is behind the `?` is nobody's business");
    assert_eq!((left["status"].as_u64(), left["upstream"].as_str()), (Some(499), Some("shop/silent")), "{left}");
}

#[tokio::test]
async fn the_log_has_what_the_app_asks_for() {
    let proxy = start();
    let web = named("web").await;
    let mut table = table(1, &[("/", "shop/web", web), ("/gone", "shop/gone", web), ("/ws", "shop/web", web)]);
    table.upstreams.get_mut("shop/gone").unwrap().endpoints.clear();
    table.sites[0].front.trusted_proxies = ["127.0.0.1".parse().unwrap()].into();
    let secret = JwtKeys::Secret(JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap());
    table.sites[0].routes[2].filters.jwt = Some(Jwt {
        keys: secret,
        algorithms: [JwtAlgorithm::Hs256].into(),
        header: "authorization".parse().unwrap(),
        cookie: None,
        query: Some("token".into()),
        issuers: Default::default(),
        audiences: Default::default(),
        leeway_s: 0,
        claims: Default::default(),
    });
    proxy.swap(&table).await;
    talk(proxy.http, &ask("GET", "/a", "\r\n")).await;
    let answer = talk(proxy.http, &ask("GET", "/gone/x?secret=1", "X-Forwarded-For: 192.0.2.7\r\n\r\n")).await;
    assert_eq!(status(&answer), 503);
    let first = lines(&proxy, 1).await.remove(0);
    let id = crate::filters::values(&answer, "x-request-id").remove(0);
    for (key, value) in [
        ("app", "shop"),
        ("route", "/gone"),
        ("method", "GET"),
        ("scheme", "http"),
        ("host", "shop.example"),
        ("path", "/gone/x"),
        ("client", "192.0.2.7"),
        ("id", id.as_str()),
        ("protocol", "HTTP/1.1"),
    ] {
        assert_eq!(first[key], value, "{first}");
    }
    assert!(first["time"].as_str().unwrap().ends_with('Z') && first["duration_ms"].as_f64().unwrap() >= 0.0, "{first}");

    table.generation = 2;
    table.sites[0].front.access_log = AccessLog { errors: true, sample: AccessLog::ALL, query: true };
    proxy.swap(&table).await;
    talk(proxy.http, &ask("GET", "/b?c=d", "\r\n")).await;
    talk(proxy.http, &ask("GET", "/ws?token=eyJ.eyJ.sig&a=1", "\r\n")).await;
    talk(proxy.http, &ask("GET", "/", "\r\n").replace("shop.example", "www.shop.example")).await;
    let lines = lines(&proxy, 4).await;
    assert!(!format!("{lines:?}").contains("eyJ"), "a token in a log could be used by whoever reads it");
    let by_path = |path: &str, host: &str| lines.iter().find(|l| l["path"] == path && l["host"] == host).unwrap();
    assert_eq!(by_path("/b", "shop.example")["query"], "c=d");
    assert_eq!((&by_path("/ws", "shop.example")["query"], &by_path("/ws", "shop.example")["status"]), (&"a=1".into(), &401.into()));
    let redirect = by_path("/", "www.shop.example");
    assert_eq!((redirect["status"].as_u64(), redirect.get("route")), (Some(308), None));

    table.generation = 3;
    table.sites[0].front.access_log = AccessLog { errors: false, sample: 0, query: false };
    proxy.swap(&table).await;
    talk(proxy.http, &ask("GET", "/gone", "\r\n")).await;
    let home = std::sync::Arc::clone(&proxy.home);
    tokio::task::spawn_blocking(move || proxy.handle.stop()).await.unwrap().unwrap();
    let text = std::fs::read_to_string(home.path().join("logs/access.log")).unwrap();
    assert_eq!(text.lines().count(), 4, "what was asked for was written before the end, and nothing else");
}

#[tokio::test]
async fn a_stream_is_active_as_long_as_it_lasts() {
    let proxy = start();
    let (end, ended) = tokio::sync::watch::channel(false);
    let web = raw(move |mut stream| {
        let mut ended = ended.clone();
        async move {
            if read_head(&mut stream).await {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\n\n\r\n")
                    .await;
                let _ = ended.wait_for(|e| *e).await;
                let _ = stream.write_all(b"0\r\n\r\n").await;
            }
        }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", web)])).await;
    let mut client = TcpStream::connect(proxy.http).await.unwrap();
    client.write_all(ask("GET", "/", "\r\n").as_bytes()).await.unwrap();
    read_until(&mut client, "a\n\n\r\n").await;
    let now = tally(&proxy, "/").await;
    assert_eq!((now.active, now.answers[1]), (1, 1));
    end.send_replace(true);
    until("it ended", || async { tally(&proxy, "/").await.active == 0 }).await;
    assert_eq!(tally(&proxy, "/").await.broken, 0);
}
