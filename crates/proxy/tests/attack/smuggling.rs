//! Every payload of `cases/smuggling`, through the proxy, to every server. A payload is judged three times: by its answers and the requests
//! the proxy wrote, which are what its file says; by those bytes, which are requests read in one way only; and by the server, which saw
//! just these requests and no other.

use crate::backend::{Backend, SERVERS};
use crate::case::{self, Case};
use crate::harness::{Running, application, start, table};
use crate::tap::Tap;
use crate::wire::Request;
use crate::{client, http2};
use http::Response;
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For a server to write down what it has answered already.
const WRITING: Duration = Duration::from_secs(5);

/// Servers that answer some requests themselves, so that no application sees them, and close the connection without saying so.
const KEPT_FROM: [(&str, &str); 1] = [("uvicorn", "an upgrade that nobody agrees to")];

/// Who stands behind the wire.
enum Behind {
    Server(Backend),
    Hyper(SocketAddr, Arc<Mutex<Vec<String>>>),
}

impl Behind {
    async fn hyper() -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&log);
        let address = application(move |request| {
            let log = Arc::clone(&own);
            async move {
                let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
                let line = format!("{} {} {}", request.method(), request.uri(), host.unwrap_or_default());
                if let Ok(body) = request.into_body().collect().await {
                    log.lock().unwrap().push(format!("{line} {}", body.to_bytes().len()));
                }
                Response::new(Full::from("ok"))
            }
        })
        .await;
        Self::Hyper(address, log)
    }

    fn address(&self) -> SocketAddr {
        match self {
            Behind::Server(backend) => backend.address,
            Behind::Hyper(address, _) => *address,
        }
    }

    fn seen(&self) -> Vec<String> {
        match self {
            Behind::Server(backend) => backend.seen(),
            Behind::Hyper(_, log) => log.lock().unwrap().clone(),
        }
    }
}

fn line(request: &Request) -> String {
    format!("{} {} {} {}", request.method, request.target, request.host, request.body.len())
}

/// What of `all` is not among `known`, each of which counts once.
fn without<T: Clone + PartialEq>(all: &[T], known: &[T]) -> Vec<T> {
    let mut known = known.to_vec();
    let mut rest = all.to_vec();
    rest.retain(|one| known.iter().position(|other| other == one).map(|at| known.swap_remove(at)).is_none());
    rest
}

/// What came to the wire since `before`.
fn added(before: &[Request], now: &[Request]) -> Vec<String> {
    without(now, before).iter().map(|request| format!("{} {} {}", request.method, request.target, request.body.len())).collect()
}

async fn judge(name: &str, behind: Behind) -> Vec<String> {
    let proxy: Running = start();
    let (tap, wire) = Tap::to(behind.address()).await;
    let mut table = table(1, &[("/", "shop/web", wire)]);
    table.certificates.push(http2::certificate(proxy.home.path()));
    proxy.swap(&table).await;
    let mut wrong = Vec::new();
    let http1 = case::read("http1");
    let http2 = case::read("http2");
    let cases = http1.iter().map(|case| (case, false)).chain(http2.iter().map(|case| (case, true)));
    let mut count = 0;
    for (case, is_http2) in cases {
        count += 1;
        if KEPT_FROM.iter().any(|(server, start)| name == *server && case.name.starts_with(start)) {
            continue;
        }
        let (before, _) = tap.requests();
        let answers = if is_http2 { http2::send(&proxy, case).await } else { client::send(proxy.http, case).await };
        let seen = added(&before, &tap.requests().0);
        if answers != case.answers || seen != case.seen {
            let Case { name: entry, answers: expected, seen: meant, .. } = case;
            wrong.push(format!("{name}: {entry}: answers {answers:?}, expected {expected:?}; seen {seen:?}, expected {meant:?}"));
        }
    }
    assert!(count >= 80, "{count} payloads");
    let (meant, broken_off) = tap.requests();
    let meant: Vec<String> = meant.iter().map(line).collect();
    let start = Instant::now();
    while behind.seen().len() < meant.len() && start.elapsed() < WRITING {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seen = behind.seen();
    let mut unexplained = without(&seen, &meant);
    // Some servers tell their application about a body that was broken off as if it were whole; without a buffer that is theirs to know.
    for head in &broken_off {
        let start = format!("{} {} {} ", head.method, head.target, head.host);
        if let Some(at) = unexplained.iter().position(|line| line.starts_with(&start)) {
            unexplained.swap_remove(at);
        }
    }
    let unseen = without(&meant, &seen);
    if !unexplained.is_empty() || !unseen.is_empty() {
        wrong.push(format!("{name}: saw but was not sent {unexplained:?}; was sent but did not see {unseen:?}"));
    }
    if let Some(smuggled) = seen.iter().chain(&meant).find(|line| line.contains("canary")) {
        wrong.push(format!("{name}: {smuggled}"));
    }
    proxy.handle.stop().unwrap();
    wrong
}

#[tokio::test]
async fn no_server_sees_a_request_that_was_not_meant() {
    let mut wrong = judge("hyper", Behind::hyper().await).await;
    for name in SERVERS {
        wrong.extend(judge(name, Behind::Server(Backend::start(name).await)).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
