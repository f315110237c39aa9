//! What is done to requests and answers on their way, through the whole proxy.

use crate::harness::{Running, application, named, read_head, read_to_end, soon, start, table, talk};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use landfall_model::filter::{Filters, PasswordDigest, RateLimit};
use landfall_model::route::RouteTable;
use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// The values of a header in an answer.
pub(crate) fn values(answer: &str, name: &str) -> Vec<String> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()).collect()
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// `shop.example` with one route, filtered.
pub(crate) async fn filtered(proxy: &Running, address: SocketAddr, filters: Filters) -> RouteTable {
    let mut table = table(1, &[("/", "shop/web", address)]);
    table.sites[0].routes[0].filters = filters;
    proxy.swap(&table).await;
    table
}

fn headers(pairs: &[(&str, Option<&str>)]) -> Filters {
    let parse = |(name, value): &(&str, Option<&str>)| (name.parse().unwrap(), value.map(|v| v.parse().unwrap()));
    Filters { headers: pairs.iter().map(parse).collect(), ..Filters::default() }
}

#[tokio::test]
async fn answers_get_headers_that_protect_unless_the_application_or_the_file_says_otherwise() {
    let proxy = start();
    let address = application(|_| async {
        let response = Response::builder().header("X-Frame-Options", "DENY").header("Content-Security-Policy", "default-src *");
        response.body(Full::from("hello")).unwrap()
    })
    .await;
    let mut table = filtered(&proxy, address, Filters::default()).await;
    let (_, answer) = proxy.get("shop.example", "/").await;
    assert_eq!(values(&answer, "x-content-type-options"), ["nosniff"]);
    assert_eq!(values(&answer, "x-frame-options"), ["DENY"], "the application knows better than the default");
    assert_eq!(values(&answer, "referrer-policy"), ["strict-origin-when-cross-origin"]);
    assert_eq!(values(&answer, "content-security-policy"), ["default-src *"]);
    assert!(values(&answer, "strict-transport-security").is_empty(), "not over plain HTTP");

    table.generation = 2;
    table.sites[0].routes[0].filters = headers(&[
        ("Content-Security-Policy", Some("default-src 'self'")),
        ("X-Content-Type-Options", None),
        ("Referrer-Policy", Some("no-referrer")),
        ("Cross-Origin-Opener-Policy", Some("same-origin")),
    ]);
    proxy.swap(&table).await;
    let (_, answer) = proxy.get("shop.example", "/").await;
    assert_eq!(values(&answer, "content-security-policy"), ["default-src 'self'"], "the file knows better than the application");
    assert_eq!(values(&answer, "x-content-type-options"), [""; 0]);
    assert_eq!(values(&answer, "referrer-policy"), ["no-referrer"]);
    assert_eq!(values(&answer, "cross-origin-opener-policy"), ["same-origin"]);

    table.generation = 3;
    table.upstreams.values_mut().for_each(|upstream| upstream.endpoints.clear());
    proxy.swap(&table).await;
    let (status, answer) = proxy.get("shop.example", "/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(values(&answer, "content-security-policy"), ["default-src 'self'"], "the proxy's own answers as well");
}

#[tokio::test]
async fn every_request_has_a_name_of_its_own_that_the_application_and_the_client_see() {
    let proxy = start();
    let (send, mut seen) = mpsc::unbounded_channel();
    let address = application(move |request| {
        send.send(request.headers()["x-request-id"].to_str().unwrap().to_owned()).unwrap();
        async { Response::new(Full::default()) }
    })
    .await;
    filtered(&proxy, address, Filters::default()).await;
    let ask = "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n";
    let mut ids = HashSet::new();
    for _ in 0..20 {
        let answer = talk(proxy.http, ask).await;
        let id = seen.recv().await.unwrap();
        assert_eq!(values(&answer, "x-request-id"), [id.as_str()]);
        assert!(id.len() == 32 && ids.insert(id.clone()), "{id}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_the_application_hears_of_it() {
    let proxy = start();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let address = application(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let body = request.into_body().collect().await.map(|body| body.to_bytes().len());
            Response::new(Full::from(format!("{}", body.unwrap_or(0))))
        }
    })
    .await;
    filtered(&proxy, address, Filters { max_body: Some(1000), ..Filters::default() }).await;
    let head = "POST / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n";
    let answer = talk(proxy.http, &format!("{head}Content-Length: 1000\r\n\r\n{}", "x".repeat(1000))).await;
    assert_eq!((status(&answer), answer.ends_with("1000")), (200, true), "{answer}");

    // Far more than fits into the sockets' buffers: the client is still sending when it is answered, and must be able to read that.
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    let large = "x".repeat(8_000_000);
    soon(stream.write_all(format!("{head}Content-Length: 8000000\r\n\r\n{large}").as_bytes())).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!(status(&answer), 413, "{answer}");
    assert_eq!(values(&answer, "connection"), ["close"]);
    assert_eq!(seen.load(Ordering::SeqCst), 1, "the application heard of the first only");

    // A client that asks first is answered at once.
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(format!("{head}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(status(&read_to_end(&mut stream).await), 413);
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_on_its_way() {
    let proxy = start();
    let (send, mut seen) = mpsc::unbounded_channel();
    let address = application(move |request| {
        let send = send.clone();
        async move {
            let body = request.into_body().collect().await;
            send.send(body.is_ok()).unwrap();
            Response::new(Full::from("read"))
        }
    })
    .await;
    filtered(&proxy, address, Filters { max_body: Some(1000), ..Filters::default() }).await;
    let head = "POST / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |size: usize| format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    let answer = talk(proxy.http, &format!("{head}{}{}0\r\n\r\n", chunk(600), chunk(400))).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(seen.recv().await, Some(true));
    let answer = talk(proxy.http, &format!("{head}{}{}0\r\n\r\n", chunk(600), chunk(401))).await;
    assert_eq!(status(&answer), 413, "{answer}");
    assert_eq!(seen.recv().await, Some(false), "the application does not take a part for the whole");
}

/// A GET from an address of this machine's choice.
async fn from(source: &str, proxy: &Running) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(proxy.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await.unwrap();
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let proxy = start();
    let limit = RateLimit { requests: 1, per_ms: 3_600_000, burst: 4 };
    let mut table = filtered(&proxy, named("web").await, Filters { rate_limit: Some(limit), ..Filters::default() }).await;
    // Over many connections, and so over both workers: the limit is the proxy's.
    for _ in 0..5 {
        assert_eq!(status(&from("127.0.0.2", &proxy).await), 200);
    }
    let answer = from("127.0.0.2", &proxy).await;
    assert_eq!(status(&answer), 429, "{answer}");
    let wait: u32 = values(&answer, "retry-after")[0].parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(status(&from("127.0.0.3", &proxy).await), 200);

    table.generation = 2;
    proxy.swap(&table).await;
    assert_eq!(status(&from("127.0.0.2", &proxy).await), 429, "a swap forgets nothing");
    assert_eq!(proxy.status().await.failures, 0, "a client's fault is no failure");

    (table.generation, table.sites[0].routes[0].filters) = (3, Filters::default());
    proxy.swap(&table).await;
    assert_eq!(status(&from("127.0.0.2", &proxy).await), 200);
}

#[tokio::test]
async fn calls_between_services_are_carried_as_they_are() {
    let proxy = start();
    let (send, mut heads) = mpsc::unbounded_channel();
    let address = crate::harness::raw(move |mut stream| {
        let send = send.clone();
        async move {
            if read_head(&mut stream).await {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
                let _ = send.send(());
            }
        }
    })
    .await;
    let limit = RateLimit { requests: 1, per_ms: 3_600_000, burst: 0 };
    let mut table = filtered(&proxy, address, Filters { rate_limit: Some(limit), max_body: Some(0), ..Filters::default() }).await;
    let internal = crate::harness::listener().local_addr().unwrap();
    let upstream = table.sites[0].routes[0].upstream.clone();
    table.internal.push(landfall_model::route::InternalListener { address: internal, upstream });
    table.generation = 2;
    proxy.swap(&table).await;
    for _ in 0..3 {
        let answer = talk(internal, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(values(&answer, "x-content-type-options").is_empty(), "{answer}");
    }
    assert!(heads.recv().await.is_some());
}

#[tokio::test]
async fn an_application_may_be_mounted_where_it_does_not_know() {
    let proxy = start();
    let address = application(|request| async move {
        let prefix = request.headers().get("x-forwarded-prefix").map_or("-", |v| v.to_str().unwrap());
        Response::new(Full::from(format!("{} {prefix}", request.uri())))
    })
    .await;
    let mut table = table(1, &[("/api", "shop/api", address), ("/v1", "shop/v1", address)]);
    table.sites[0].routes[0].filters.rewrite = Some("/".parse().unwrap());
    table.sites[0].routes[1].filters.rewrite = Some("/api/v1".parse().unwrap());
    proxy.swap(&table).await;
    for (path, seen) in [
        ("/api/x?q=/api", "/x?q=/api /api"),
        ("/api", "/ /api"),
        ("/api//x", "/x /api"),
        ("/v1/x", "/api/v1/x -"),
        ("/%76%31/%2e%61", "/api/v1/%2e%61 -"),
    ] {
        let (status, answer) = proxy.get("shop.example", path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{seen}")), "{path}: {answer}");
    }
    assert_eq!(proxy.get("shop.example", "/api/../x").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_no_others() {
    let proxy = start();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let address = application(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        // An application that allows everything: its word does not count here.
        async { Response::builder().header("Access-Control-Allow-Origin", "*").body(Full::from("hello")).unwrap() }
    })
    .await;
    let cors = landfall_model::filter::Cors {
        origins: ["https://app.example", "https://*.shop.example"].map(|o| o.parse().unwrap()).into(),
        methods: ["PUT".to_owned()].into(),
        headers: BTreeSet::new(),
        expose: ["x-total".parse().unwrap()].into(),
        credentials: true,
        max_age_s: 60,
    };
    // What a browser asks before it calls has no password in it.
    let users = [("ada".to_owned(), PasswordDigest::of("ada", "secret"))];
    filtered(&proxy, address, Filters { cors: Some(cors), basic_auth: users.into(), ..Filters::default() }).await;
    let ask = async |method: &str, headers: &str| {
        let text = format!("{method} / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n");
        talk(proxy.http, &text).await
    };
    let question = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, content-type\r\n";
    for origin in ["https://app.example", "https://a.shop.example"] {
        let answer = ask("OPTIONS", &format!("Origin: {origin}\r\n{question}")).await;
        assert_eq!(status(&answer), 204, "{answer}");
        assert_eq!(values(&answer, "access-control-allow-origin"), [origin]);
        assert_eq!(values(&answer, "access-control-allow-methods"), ["PUT"]);
        assert_eq!(values(&answer, "access-control-allow-headers"), ["x-a, content-type"]);
        assert_eq!(values(&answer, "access-control-allow-credentials"), ["true"]);
        assert_eq!(values(&answer, "access-control-max-age"), ["60"]);
        assert!(values(&answer, "vary").contains(&"origin".to_owned()), "{answer}");
    }
    for origin in ["https://evil.example", "null", "https://shop.example", "https://app.example.evil.example"] {
        let answer = ask("OPTIONS", &format!("Origin: {origin}\r\n{question}")).await;
        assert_eq!((status(&answer), values(&answer, "access-control-allow-origin").len()), (204, 0), "{answer}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the proxy answers");

    let login = "Authorization: Basic YWRhOnNlY3JldA==\r\n";
    let answer = ask("GET", &format!("Origin: https://app.example\r\n{login}")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(values(&answer, "access-control-allow-origin"), ["https://app.example"]);
    assert_eq!(values(&answer, "access-control-expose-headers"), ["x-total"]);
    let answer = ask("GET", &format!("Origin: https://evil.example\r\n{login}")).await;
    assert_eq!((status(&answer), values(&answer, "access-control-allow-origin").len()), (200, 0), "{answer}");
    let answer = ask("GET", "Origin: https://app.example\r\n").await;
    assert_eq!(status(&answer), 401);
    assert_eq!(values(&answer, "access-control-allow-origin"), ["https://app.example"], "a page may read why it was refused");
}

#[tokio::test]
async fn a_password_opens_the_door_and_stays_there() {
    let proxy = start();
    let (send, mut seen) = mpsc::unbounded_channel();
    let address = application(move |request| {
        let text = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        send.send((text("authorization"), text("x-forwarded-user"))).unwrap();
        async { Response::new(Full::default()) }
    })
    .await;
    let users = [("ada".to_owned(), PasswordDigest::of("ada", "secret"))];
    filtered(&proxy, address, Filters { basic_auth: users.into(), ..Filters::default() }).await;
    let ask = async |headers: &str| {
        talk(proxy.http, &format!("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n")).await
    };
    for headers in ["", "Authorization: Basic YWRhOndyb25n\r\n", "Authorization: Bearer x\r\n", "X-Forwarded-User: ada\r\n"] {
        let answer = ask(headers).await;
        assert_eq!(status(&answer), 401, "{headers}");
        assert!(values(&answer, "www-authenticate")[0].starts_with("Basic realm="), "{answer}");
    }
    assert_eq!(status(&ask("Authorization: Basic YWRhOnNlY3JldA==\r\nX-Forwarded-User: root\r\n").await), 200);
    assert_eq!(seen.recv().await, Some((None, Some("ada".to_owned()))), "and nobody else was let through");
}

#[tokio::test]
async fn a_browsers_question_passes_a_login_only_where_the_route_says_so() {
    let proxy = start();
    let (send, mut seen) = mpsc::unbounded_channel();
    let address = application(move |request| {
        let names = ["x-forwarded-user", "x-user-id"].map(|name| request.headers().contains_key(name));
        send.send((request.method().clone(), names)).unwrap();
        async { Response::new(Full::default()) }
    })
    .await;
    let users = [("ada".to_owned(), PasswordDigest::of("ada", "secret"))];
    let filters = Filters { basic_auth: users.into(), ..Filters::default() };
    let mut table = filtered(&proxy, address, filters.clone()).await;
    let question = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\nX-Forwarded-User: ada\r\n";
    let ask = async |method: &str, headers: &str| {
        let head = format!("{method} / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n");
        status(&talk(proxy.http, &head).await)
    };
    assert_eq!(ask("OPTIONS", question).await, 401);
    table.generation = 2;
    table.sites[0].routes[0].filters = Filters { preflight: true, ..filters };
    proxy.swap(&table).await;
    assert_eq!(ask("OPTIONS", question).await, 200);
    assert_eq!(seen.recv().await, Some((http::Method::OPTIONS, [false; 2])), "and it is nobody's");
    for (method, headers) in [("GET", question), ("OPTIONS", ""), ("OPTIONS", "Origin: https://app.example\r\n"), ("PUT", question)] {
        assert_eq!(ask(method, headers).await, 401, "{method} {headers}");
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn clients_are_let_in_and_kept_out_by_address() {
    let proxy = start();
    let allow = ["127.0.0.0/29".parse().unwrap()].into();
    let deny = ["127.0.0.3".parse().unwrap()].into();
    filtered(&proxy, named("web").await, Filters { allow, deny, ..Filters::default() }).await;
    for (source, expected) in [("127.0.0.2", 200), ("127.0.0.3", 403), ("127.0.0.9", 403)] {
        assert_eq!(status(&from(source, &proxy).await), expected, "{source}");
    }
}
