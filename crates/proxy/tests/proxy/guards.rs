//! A guard holds for a path however the path is spelled, and whoever stands behind may fold spellings as they like.

use crate::filters::status;
use crate::harness::{Running, application, named, start, table, talk, until};
use http::Response;
use http_body_util::{BodyExt, Full};
use landfall_model::control::{Answer, Ask};
use landfall_model::filter::{self, Filters, Jwt, JwtAlgorithm, JwtKeys, JwtSecret, PasswordDigest, RateLimit, Respond};
use landfall_model::route::RouteTable;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// What servers and frameworks take for `/admin`, each by itself and together.
const SPELLINGS: [&str; 25] = [
    "//admin",
    "///admin",
    "/Admin",
    "/ADMIN/x",
    "/admin;x",
    "/admin;x=1/users",
    "/;x/admin",
    "/admin.",
    "/admin./users",
    "/%61dmin",
    "/%2561dmin",
    "/admin%20",
    "/admin%3Bx",
    "/admin%3Fx",
    "/admin%23x",
    "//Admin;x",
    "/admin.json",
    "//admin//users",
    "/.../admin",
    "/%41dmin.",
    // Only for one who decodes twice, or cuts parameters off in between.
    "/x/%252e%252e/admin/%25252e%25252e/y",
    "/;%252fadmin",
    "/x/a;b%252f..%252f..%252fadmin",
    "/Admin%2500.png",
    "/x/%253f/%252e%252e/%252e%252e/admin",
];

fn ask(path: &str, rest: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{rest}\r\n")
}

/// `/` for everybody, and `path` guarded by `filters`; all of one application.
async fn guarded(proxy: &Running, path: &str, filters: Filters) -> RouteTable {
    let web = named("web").await;
    guarded_at(proxy, path, filters, web).await
}

async fn guarded_at(proxy: &Running, path: &str, filters: Filters, web: SocketAddr) -> RouteTable {
    let mut table = table(1, &[("/", "shop/web", web), (path, "shop/web", web)]);
    table.upstreams.insert("shop/web".into(), table.upstreams["shop/"].clone());
    table.sites[0].routes.iter_mut().for_each(|route| route.upstream = "shop/web".into());
    table.sites[0].routes[1].filters = filters;
    proxy.swap(&table).await;
    table
}

fn jwt() -> Jwt {
    Jwt {
        keys: JwtKeys::Secret(JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap()),
        algorithms: [JwtAlgorithm::Hs256].into(),
        header: "authorization".parse().unwrap(),
        cookie: None,
        query: None,
        issuers: Default::default(),
        audiences: Default::default(),
        claims: BTreeMap::new(),
        leeway_s: 0,
    }
}

#[tokio::test]
async fn no_spelling_of_a_guarded_path_walks_round_its_guard() {
    let users = || [("ada".to_owned(), PasswordDigest::of("ada", "secret"))].into();
    let hidden = Respond { status: 404, body: String::new(), content_type: "text/plain".parse().unwrap() };
    let guards = [
        ("basic_auth", Filters { basic_auth: users(), ..Filters::default() }, 401),
        ("allow", Filters { allow: ["10.0.0.0/8".parse().unwrap()].into(), ..Filters::default() }, 403),
        ("deny", Filters { deny: ["127.0.0.0/8".parse().unwrap()].into(), ..Filters::default() }, 403),
        ("jwt", Filters { jwt: Some(jwt()), ..Filters::default() }, 401),
        ("respond", Filters { answer: Some(filter::Answer::Respond(hidden)), ..Filters::default() }, 404),
    ];
    for (name, filters, refused) in guards {
        let proxy = start();
        guarded(&proxy, "/admin", filters).await;
        for path in SPELLINGS {
            let answer = talk(proxy.http, &ask(path, "")).await;
            assert!([refused, 400].contains(&status(&answer)), "{name}: {path}: {answer}");
        }
        for path in ["/", "/administrator", "/x/admin", "/x/Admin", "/assets/admin.js"] {
            assert_eq!(status(&talk(proxy.http, &ask(path, "")).await), 200, "{name}: {path}");
        }
    }
}

#[tokio::test]
async fn limits_of_rate_and_size_are_guards_too() {
    let proxy = start();
    let limit = RateLimit { requests: 1, per_ms: 3_600_000, burst: 0 };
    guarded(&proxy, "=/login", Filters { rate_limit: Some(limit), ..Filters::default() }).await;
    assert_eq!(status(&talk(proxy.http, &ask("/login", "")).await), 200);
    for path in ["/login", "//login", "/%6cogin"] {
        assert_eq!(status(&talk(proxy.http, &ask(path, "")).await), 429, "{path}");
    }
    for path in ["/login/", "/Login", "/login;x", "/login.", "/login.json"] {
        assert_eq!(status(&talk(proxy.http, &ask(path, "")).await), 400, "{path}");
    }
    assert_eq!(status(&talk(proxy.http, &ask("/login/x", "")).await), 200, "that is another path");

    let proxy = start();
    guarded(&proxy, "/form", Filters { max_body: Some(3), ..Filters::default() }).await;
    for (path, expected) in [("/form", 413), ("//form", 413), ("/Form", 400), ("/other", 200)] {
        let post = format!("POST {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfour");
        assert_eq!(status(&talk(proxy.http, &post).await), expected, "{path}");
    }
}

#[tokio::test]
async fn a_guard_asks_nothing_of_who_passes_the_same_one_or_is_named_by_the_file() {
    let proxy = start();
    let users = || Filters { basic_auth: [("ada".to_owned(), PasswordDigest::of("ada", "secret"))].into(), ..Filters::default() };
    let mut table = guarded(&proxy, "/admin", users()).await;
    let open = "/admin/public".parse().unwrap();
    let mut route = table.sites[0].routes[0].clone();
    route.path = open;
    table.sites[0].routes.push(route);
    table.generation = 2;
    proxy.swap(&table).await;
    for (path, expected) in [("/admin/public/x", 200), ("/admin/public//X;y", 200), ("/Admin/public", 400), ("/admin/Public", 401)] {
        assert_eq!(status(&talk(proxy.http, &ask(path, "")).await), expected, "{path}");
    }
    table.sites[0].routes[0].filters = users();
    table.generation = 3;
    proxy.swap(&table).await;
    let login = "Authorization: Basic YWRhOnNlY3JldA==\r\n";
    for path in ["/Admin", "/admin;x", "//admin"] {
        assert_eq!(status(&talk(proxy.http, &ask(path, login)).await), 200, "{path}");
        assert_eq!(status(&talk(proxy.http, &ask(path, "")).await), 401, "{path}");
    }
}

#[tokio::test]
async fn a_path_is_chosen_by_what_it_means_and_forwarded_as_it_was_sent() {
    let proxy = start();
    let (web, api) = (named("web").await, named("api").await);
    let mut table = table(1, &[("/", "shop/web", web), ("/api/v1", "shop/api", api), ("/cut", "shop/api", api)]);
    table.sites[0].routes[2].filters.rewrite = Some("/".parse().unwrap());
    proxy.swap(&table).await;
    for (path, seen) in [
        ("/api//v1", "api /api//v1"),
        ("//api/v1/x//y?z=//", "api //api/v1/x//y?z=//"),
        ("/%61pi/v1/%7euser", "api /%61pi/v1/%7euser"),
        ("//x", "web //x"),
        ("/cut//evil.example/", "api /evil.example/"),
        ("//cut///x?y", "api /x?y"),
        ("/c%75t//%78", "api /%78"),
        ("/cut", "api /"),
        ("/cut?//x", "api /?//x"),
    ] {
        let answer = talk(proxy.http, &ask(path, "")).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{seen}")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn nobody_hands_another_path_to_a_framework_in_a_header() {
    let proxy = start();
    let web = application(|request| async move {
        let mut names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
        names.retain(|name| ["x-original-url", "x-rewrite-url", "proxy"].contains(name));
        Response::new(Full::from(format!("{names:?}")))
    })
    .await;
    guarded_at(&proxy, "/admin", Filters::default(), web).await;
    let answer = talk(proxy.http, &ask("/", "X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nProxy: evil.example\r\n")).await;
    assert!(answer.ends_with("\r\n\r\n[]"), "{answer}");
}

#[tokio::test]
async fn nobody_forges_what_a_token_says_on_any_route_of_the_app() {
    let proxy = start();
    let (send, mut seen) = mpsc::unbounded_channel();
    let web = application(move |request| {
        let send = send.clone();
        async move {
            let (head, body) = request.into_parts();
            let mut names: Vec<String> = head.headers.keys().map(ToString::to_string).collect();
            let trailers = body.collect().await.ok().and_then(|body| body.trailers().cloned()).unwrap_or_default();
            names.extend(trailers.keys().map(|name| format!("trailer {name}")));
            names.retain(|name| ["user", "id", "sum", "strange", "token"].iter().any(|part| name.contains(part)));
            names.retain(|name| name != "x-request-id");
            names.sort();
            send.send(names).unwrap();
            Response::new(Full::default())
        }
    })
    .await;
    let claims = BTreeMap::from([("sub".to_owned(), "x-user-id".parse().unwrap())]);
    let mut table = guarded_at(&proxy, "/api", Filters { jwt: Some(Jwt { claims, ..jwt() }), ..Filters::default() }, web).await;
    table.sites[0].routes[0].filters.underscore_headers = ["access_token", "x_user_id"].map(|n| n.parse().unwrap()).into();
    let mut other = table.sites[0].clone();
    other.hosts = vec!["other.example".parse().unwrap()];
    other.redirect_hosts.clear();
    other.routes.truncate(1);
    table.sites.push(other);
    table.generation = 2;
    proxy.swap(&table).await;
    let forged = "X-User-Id: 1\r\nX_User_Id: 1\r\nX.User.Id: 1\r\nx-user_id: 1\r\naccess_token: 1\r\nother_token: 1\r\n";
    for host in ["shop.example", "other.example"] {
        let head = format!("GET /other HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{forged}\r\n");
        assert_eq!(status(&talk(proxy.http, &head).await), 200);
        assert_eq!(seen.recv().await.unwrap(), ["access_token"], "{host}");
        let trailers = "X-User-Id: 1\r\nX-Sum: 1\r\nX-Strange: 1\r\nX-Request-Id: 1\r\n";
        let post = format!(
            "POST /other HTTP/1.1\r\nHost: {host}\r\nConnection: close, X-Sum\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum, X-User-Id, X-Request-Id\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n"
        );
        assert_eq!(status(&talk(proxy.http, &post).await), 200);
        assert_eq!(seen.recv().await.unwrap(), ["trailer x-sum"], "{host}: what was announced and says who nobody is");
    }
    let Answer::Metrics(metrics) = proxy.ask(&Ask::Metrics).await else { panic!("no metrics") };
    let dropped: u64 = metrics.routes.iter().map(|route| route.tally.headers_dropped).sum();
    assert_eq!(dropped, 2 * 5, "each is counted");
}

#[tokio::test]
async fn what_nobody_could_carry_is_counted_and_written_down() {
    let proxy = start();
    guarded(&proxy, "/admin", Filters { allow: ["10.0.0.0/8".parse().unwrap()].into(), ..Filters::default() }).await;
    let fields: String = (0..101).map(|i| format!("X-{i}: 1\r\n")).collect();
    let asked = [
        ask("/Admin", ""),
        ask("/a/%2e%2e/b", ""),
        ask("/a%2fb", ""),
        ask("/", "Host: second.example\r\n"),
        ask("/", &fields),
        ask("/", "").replace("GET", "TRACE"),
        ask("/", "Expect: more\r\n"),
        "GET / HTTP/1.1\nHost: shop.example\n\n".to_owned(),
    ];
    for text in &asked {
        assert!((400..=431).contains(&status(&talk(proxy.http, text).await)), "{text}");
    }
    let path = proxy.home.path().join("logs/access.log");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    until("the lines", || async { read().lines().count() >= asked.len() }).await;
    let lines: Vec<serde_json::Value> = read().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), asked.len(), "{lines:#?}");
    assert!(lines.iter().all(|line| line["refused"].is_string() && line["client"] == "127.0.0.1"), "{lines:#?}");
    let spelled = lines.iter().find(|line| line["path"] == "/Admin").unwrap();
    assert_eq!((spelled["app"].as_str(), spelled["status"].as_u64()), (Some("shop"), Some(400)), "{spelled}");
    let Answer::Metrics(metrics) = proxy.ask(&Ask::Metrics).await else { panic!("no metrics") };
    let counted = |reason: &str| metrics.refused.get(reason).copied();
    assert_eq!(counted("respelled"), Some(1));
    assert_eq!(counted("malformed"), Some(4));
    assert_eq!(counted("head-too-large"), Some(1));
    assert_eq!((counted("method"), counted("expectation")), (Some(1), Some(1)));
}

#[tokio::test]
async fn a_route_may_let_encoded_slashes_pass_but_not_around_a_guard() {
    let proxy = start();
    let deny = Filters { allow: ["10.0.0.0/8".parse().unwrap()].into(), ..Filters::default() };
    let mut table = guarded(&proxy, "/admin", deny).await;
    assert_eq!(status(&talk(proxy.http, &ask("/g%2Fp", "")).await), 400);
    table.sites[0].routes[0].filters.encoded_slashes = true;
    table.generation = 2;
    proxy.swap(&table).await;
    for path in ["/api/v4/projects/g%2Fp", "/@s%2fpkg", "/a%5Cb"] {
        let answer = talk(proxy.http, &ask(path, "")).await;
        assert!(answer.ends_with(&format!("web {path}")), "{answer}");
    }
    for path in ["/x%2F..%2Fadmin", "/%2Fadmin", "/admin%2Fx", "/admin%5cx", "/.%2Fadmin", "/x%2f..;y%2fadmin", "/x%5C..%5Cadmin"] {
        assert_eq!(status(&talk(proxy.http, &ask(path, "")).await), 400, "{path}");
    }
}
