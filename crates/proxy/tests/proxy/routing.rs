//! Where requests go and what they look like when they get there.

use crate::harness::{application, named, read_to_end, start, table, talk};
use crate::tls::{Authority, secured_table};
use http::{Response, StatusCode};
use http_body_util::Full;
use landfall_model::filter::{Answer, Filters, Redirect, Respond};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

#[tokio::test]
async fn hosts_and_paths_find_their_service() {
    let proxy = start();
    let (web, api) = (named("web").await, named("api").await);
    proxy.swap(&table(1, &[("/", "shop/web", web), ("/api", "shop/api", api)])).await;
    for (path, answer) in
        [("/", "web /"), ("/api", "api /api"), ("/api/x?q=%2F..", "api /api/x?q=%2F.."), ("/apix", "web /apix"), ("/%61pi", "api /%61pi")]
    {
        let (status, text) = proxy.get("Shop.Example.:8080", path).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.ends_with(answer), "{path}: {text}");
    }
    let status = proxy.status().await;
    assert_eq!((status.generation, status.requests, status.failures), (1, 5, 0));
}

#[tokio::test]
async fn what_nobody_serves_is_said_so() {
    let proxy = start();
    let (status, text) = proxy.get("shop.example", "/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "before the first table");
    assert!(text.contains("retry-after: 1"), "{text}");
    let mut table = table(1, &[("/api", "shop/api", named("api").await)]);
    proxy.swap(&table).await;
    assert_eq!(proxy.get("other.example", "/api").await.0, StatusCode::NOT_FOUND);
    assert_eq!(proxy.get("shop.example", "/").await.0, StatusCode::NOT_FOUND);
    table.generation = 2;
    for upstream in table.upstreams.values_mut() {
        upstream.endpoints.clear();
    }
    proxy.swap(&table).await;
    let (status, text) = proxy.get("shop.example", "/api").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("retry-after: 1"), "{text}");
}

#[tokio::test]
async fn other_domains_and_plain_http_are_redirected() {
    let proxy = start();
    let mut table = table(1, &[("/", "shop/web", named("web").await)]);
    proxy.swap(&table).await;
    let (status, text) = proxy.get("www.shop.example", "/a?b=c").await;
    assert_eq!(status, StatusCode::PERMANENT_REDIRECT);
    let port = proxy.http.port();
    assert!(text.contains(&format!("location: http://shop.example:{port}/a?b=c\r\n")), "{text}");

    (table.generation, table.sites[0].https) = (2, true);
    proxy.swap(&table).await;
    let port = proxy.https.port();
    for host in ["shop.example", "www.shop.example"] {
        let (status, text) = proxy.get(host, "/a?b=c").await;
        assert_eq!(status, StatusCode::PERMANENT_REDIRECT);
        assert!(text.contains(&format!("location: https://shop.example:{port}/a?b=c\r\n")), "{text}");
    }
}

#[tokio::test]
async fn the_application_learns_who_the_client_is_from_the_proxy_only() {
    let proxy = start();
    let (send, mut heads) = mpsc::unbounded_channel();
    let address = application(move |request| {
        send.send(request.headers().clone()).unwrap();
        async { Response::new(Full::default()) }
    })
    .await;
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    let claims = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
        X-Forwarded-Port: 1\r\nConnection: close, X-Real-IP\r\nTE: trailers\r\nAccept: a/b";
    crate::harness::talk(proxy.http, &format!("GET / HTTP/1.1\r\nHost: SHOP.example:81\r\n{claims}\r\n\r\n")).await;
    let head = heads.recv().await.unwrap();
    let mut lines: Vec<String> = head.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.retain(|line| !line.starts_with("x-request-id: "));
    lines.sort();
    assert_eq!(
        lines,
        [
            "accept: a/b",
            // This hop's own words: it takes trailers.
            "connection: te",
            "host: shop.example:81",
            "te: trailers",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: shop.example:81",
            "x-forwarded-proto: http",
            "x-real-ip: 127.0.0.1",
        ]
    );
}

#[tokio::test]
async fn routes_that_answer_by_themselves_need_no_application() {
    let proxy = start();
    let web = named("web").await;
    let nobody = "127.0.0.1:1".parse().unwrap();
    let mut table =
        table(1, &[("/", "shop/web", web), ("=/health", "shop/a", nobody), ("/old", "shop/b", nobody), ("=/docs", "shop/c", nobody)]);
    let redirect = |to: &str, status, keep_rest| Answer::Redirect(Redirect { to: to.parse().unwrap(), status, keep_rest });
    let text = Respond { status: 200, body: "healthy\n".into(), content_type: "text/plain".parse().unwrap() };
    let answers = [Answer::Respond(text), redirect("/new", 301, true), redirect("https://docs.example.com/?v=2", 302, false)];
    for (route, answer) in table.sites[0].routes.iter_mut().skip(1).zip(answers) {
        route.filters = Filters { answer: Some(answer), ..Filters::default() };
    }
    proxy.swap(&table).await;

    let (status, text) = proxy.get("shop.example", "/health?x").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.ends_with("\r\n\r\nhealthy\n") && text.contains("content-type: text/plain\r\n") && text.contains("x-request-id: "),
        "{text}"
    );
    assert!(proxy.get("shop.example", "/health/x").await.1.ends_with("web /health/x"), "one path alone");
    let head = crate::harness::talk(proxy.http, "HEAD /health HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 8\r\n") && head.ends_with("\r\n\r\n"), "{head}");

    let port = proxy.http.port();
    let (status, text) = proxy.get("shop.example", "/old//evil.example?q").await;
    assert_eq!(status, StatusCode::MOVED_PERMANENTLY);
    assert!(text.contains(&format!("location: http://shop.example:{port}/new//evil.example?q\r\n")), "{text}");
    let (status, text) = proxy.get("shop.example", "/docs?q").await;
    assert_eq!(status, StatusCode::FOUND);
    assert!(text.contains("location: https://docs.example.com/?v=2\r\n"), "{text}");
}

#[tokio::test]
async fn a_probe_is_answered_at_hosts_that_nobody_serves() {
    let proxy = start();
    let mut table = table(1, &[("/", "shop/web", named("web").await)]);
    let authority = Authority::new();
    table.sites[0].front.probe = Some("/up".parse().unwrap());
    proxy.swap(&table).await;
    let probes = ["GET /up HTTP/1.0\r\n\r\n", "GET /up HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n"];
    for probe in probes {
        let answer = talk(proxy.http, probe).await;
        assert!(answer.contains(" 200 OK\r\n") && answer.ends_with("ok\n"), "{answer}");
        assert!(talk(proxy.http, &probe.replace("/up", "/other")).await.contains(" 404 "));
    }
    let (status, answer) = proxy.get("shop.example", "/up").await;
    assert!(status == StatusCode::OK && answer.ends_with("web /up"), "at its own host the path is the service's: {answer}");

    table.generation = 2;
    table.upstreams.values_mut().for_each(|upstream| upstream.endpoints.clear());
    proxy.swap(&table).await;
    assert!(talk(proxy.http, probes[0]).await.contains(" 503 "));

    // Over HTTPS by address, as a monitor without a name for the server asks.
    let mut table = secured_table(proxy.home.path(), &authority, named("web").await);
    table.generation = 3;
    table.sites[0].front.probe = Some("/up".parse().unwrap());
    proxy.swap(&table).await;
    let mut stream = authority.connect(&proxy, "shop.example", "http/1.1").await.unwrap();
    stream.write_all(probes[1].as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.contains(" 200 OK\r\n"));
    assert!(talk(proxy.http, probes[0]).await.contains(" 200 OK\r\n"), "no redirect");
}
