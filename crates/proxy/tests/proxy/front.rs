//! What an app shows when the proxy answers in its place, who comes in while it is closed, and limits that routes share.

use crate::filters::{status, values};
use crate::harness::{Running, application, start, table, talk};
use http::Response;
use http_body_util::Full;
use landfall_model::filter::RateLimit;
use landfall_model::front::{ErrorPage, Front, Maintenance};
use landfall_model::route::RouteTable;

const HTML: &str = "Accept: text/html,*/*\r\n";

async fn app() -> RouteTable {
    let address = application(|request| async move {
        let key = request.headers().get("x-maintenance-key").map_or("-", |v| v.to_str().unwrap()).to_owned();
        Response::builder().status(if request.uri().path() == "/404" { 404 } else { 200 }).body(Full::from(format!("app {key}"))).unwrap()
    })
    .await;
    let mut table = table(1, &[("/app", "shop/web", address), ("/gone", "shop/gone", address)]);
    table.upstreams.get_mut("shop/gone").unwrap().endpoints.clear();
    table
}

async fn ask(proxy: &Running, path: &str, headers: &str) -> String {
    talk(proxy.http, &format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}Connection: close\r\n\r\n")).await
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap_or_default().1
}

#[tokio::test]
async fn an_apps_own_pages_stand_for_the_proxys_words_and_for_nothing_else() {
    let proxy = start();
    let mut table = app().await;
    let pages = [(404, "<h1>lost</h1>"), (503, "<h1>soon</h1>")].map(|(status, html)| ErrorPage { status, html: html.to_owned() });
    table.sites[0].front = Front { error_pages: pages.into(), ..Front::default() };
    proxy.swap(&table).await;
    let lost = ask(&proxy, "/nowhere", HTML).await;
    assert_eq!(
        (status(&lost), body(&lost), values(&lost, "content-type")),
        (404, "<h1>lost</h1>", vec!["text/html; charset=utf-8".to_owned()])
    );
    let soon = ask(&proxy, "/gone", HTML).await;
    assert_eq!((status(&soon), body(&soon)), (503, "<h1>soon</h1>"));
    assert_eq!(values(&soon, "retry-after"), ["1"]);
    assert!(!values(&soon, "x-frame-options").is_empty(), "with the headers of every answer");
    let program = ask(&proxy, "/nowhere", "Accept: application/json\r\n").await;
    assert_eq!(values(&program, "content-type"), ["text/plain; charset=utf-8"], "a program is not shown a page");
    let head = talk(proxy.http, &format!("HEAD /nowhere HTTP/1.1\r\nHost: shop.example\r\n{HTML}Connection: close\r\n\r\n")).await;
    assert_eq!((values(&head, "content-length"), body(&head)), (vec!["13".to_owned()], ""));
    let own = ask(&proxy, "/app/404", HTML).await;
    assert!(body(&own).starts_with("app"), "what the application answers stays its own: {own}");
    let ambiguous = ask(&proxy, "/a/%2e%2e/b", HTML).await;
    assert_eq!(status(&ambiguous), 400, "no page for what belongs to nobody yet");
}

#[tokio::test]
async fn a_closed_app_lets_in_by_address_and_key_alone() {
    let proxy = start();
    let mut table = app().await;
    table.sites[0].front = Front {
        error_pages: vec![ErrorPage { status: 503, html: "<h1>soon</h1>".to_owned() }],
        trusted_proxies: ["127.0.0.1".parse().unwrap()].into(),
        maintenance: Some(Maintenance {
            page: Some("<h1>closed</h1>".into()),
            allow: ["192.0.2.0/24".parse().unwrap()].into(),
            key: Some(Maintenance::key("open sesame")),
            retry_after_s: 600,
        }),
        ..Front::default()
    };
    proxy.swap(&table).await;
    for headers in [
        "",
        "X-Maintenance-Key: open sesam\r\n",
        "X-Maintenance-Key: \r\n",
        "Cookie: maintenance_key=\r\n",
        "X-Forwarded-For: 198.51.100.1\r\n",
    ] {
        let closed = ask(&proxy, "/app", &format!("{HTML}{headers}")).await;
        assert_eq!(
            (status(&closed), body(&closed), values(&closed, "retry-after")),
            (503, "<h1>closed</h1>", vec!["600".to_owned()]),
            "{headers}"
        );
    }
    assert_eq!(
        body(&ask(&proxy, "/gone", &format!("{HTML}X-Maintenance-Key: open sesame\r\n")).await),
        "<h1>soon</h1>",
        "inside, 503 means something else"
    );
    for headers in ["X-Maintenance-Key: open sesame\r\n", "Cookie: a=b; maintenance_key=open sesame\r\n", "X-Forwarded-For: 192.0.2.9\r\n"]
    {
        let open = ask(&proxy, "/app", headers).await;
        assert_eq!(body(&open), "app -", "and the key goes no further: {open}");
    }
    let upload = "POST /app HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
    assert_eq!(status(&talk(proxy.http, upload).await), 503);

    table.generation = 2;
    table.sites[0].front.maintenance = None;
    proxy.swap(&table).await;
    assert_eq!(body(&ask(&proxy, "/app", "").await), "app -");
}

#[tokio::test]
async fn routes_that_name_one_limit_count_together() {
    let proxy = start();
    let mut table = app().await;
    let limit = RateLimit { requests: 1, per_ms: 3_600_000, burst: 2 };
    let route = |path: &str, bucket: Option<&str>, table: &RouteTable| {
        let mut route = table.sites[0].routes[0].clone();
        route.path = path.parse().unwrap();
        route.filters.rate_limit = Some(limit);
        route.filters.bucket = bucket.map(str::to_owned);
        route
    };
    table.sites[0].routes = [("/a", Some("api")), ("/b", Some("api")), ("/c", Some("other")), ("/d", None)]
        .map(|(path, bucket)| route(path, bucket, &table))
        .into();
    proxy.swap(&table).await;
    let mut answers = Vec::new();
    for path in ["/a", "/b", "/a", "/b", "/a", "/c", "/d"] {
        answers.push(status(&ask(&proxy, path, "").await));
    }
    assert_eq!(answers, [200, 200, 200, 429, 429, 200, 200]);
    // A route that joins finds what was counted, across a swap.
    table.generation = 2;
    let joins = route("/e", Some("api"), &table);
    table.sites[0].routes.insert(0, joins);
    proxy.swap(&table).await;
    assert_eq!(status(&ask(&proxy, "/e", "").await), 429);
    assert_eq!(status(&ask(&proxy, "/a", "").await), 429);
}
