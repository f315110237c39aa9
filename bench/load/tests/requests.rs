//! Every way a single request can fail, planted, and seen as exactly that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plant;

use landfall_load::FaultKind as Kind;
use landfall_load::{Ask, Expect, Load, Mix, StartError, Target};
use plant::{answering, fall_silent, fresh, on, plant, read_head, reset, run_until, wait};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Every failure seen is of this kind, none succeeded.
fn all_fail(address: SocketAddr, kind: Kind) {
    all_fail_asking(address, Ask::any("/"), kind);
}

fn all_fail_asking(address: SocketAddr, ask: Ask, kind: Kind) {
    let report = run_until(fresh(address, ask), |r| r.count(kind) >= 3);
    assert_eq!(report.failed(), report.count(kind), "{report}");
    assert_eq!((report.requests.ok, report.requests.sent), (0, report.failed()), "{report}");
}

#[test]
fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    all_fail(address, Kind::ConnectRefused);
}

#[test]
fn reset_instead_of_an_answer() {
    let address = plant(async |mut stream| {
        read_head(&mut stream).await;
        reset(stream);
    });
    all_fail(address, Kind::Reset);
}

#[test]
fn closed_instead_of_an_answer() {
    all_fail(answering(""), Kind::Closed);
}

#[test]
fn closed_within_the_head() {
    all_fail(answering("HTTP/1.1 200 OK\r\ncontent-le"), Kind::Closed);
}

#[test]
fn reset_within_the_body() {
    let address = plant(async |mut stream| {
        if read_head(&mut stream).await {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome").await.unwrap();
            // The reset must not overtake the answer: it drops what the client has not read yet.
            tokio::time::sleep(Duration::from_millis(50)).await;
            reset(stream);
        }
    });
    all_fail(address, Kind::Reset);
}

#[test]
fn less_than_the_content_length() {
    all_fail(answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome"), Kind::TruncatedBody);
}

#[test]
fn no_last_chunk() {
    all_fail(answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n"), Kind::TruncatedBody);
}

#[test]
fn statuses_by_class() {
    all_fail(answering("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"), Kind::Http3xx);
    all_fail(answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), Kind::Http4xx);
    all_fail(answering("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"), Kind::Http5xx);
}

#[test]
fn no_http_at_all() {
    all_fail(answering("220 mail.example.com ESMTP\r\n\r\n"), Kind::Protocol);
}

#[test]
fn a_body_that_should_be_another() {
    let address = answering("HTTP/1.1 200 OK\r\nx-version: 2\r\ncontent-length: 1\r\n\r\n1");
    all_fail_asking(address, Ask::version("/"), Kind::WrongBody);
    all_fail_asking(address, Ask { path: "/".into(), body: Expect::Contains("welcome".into()) }, Kind::WrongBody);
}

#[test]
fn no_answer_within_the_deadline() {
    let mut target = fresh(plant(fall_silent), Ask::any("/"));
    target.deadline = Duration::from_millis(100);
    let report = run_until(target, |r| r.count(Kind::Timeout) >= 3);
    assert_eq!(report.failed(), report.count(Kind::Timeout), "{report}");
}

#[test]
fn a_stalled_server_does_not_slow_the_schedule() {
    // A closed loop would send one request per connection and wait a minute for its answer.
    let mut target = fresh(plant(fall_silent), Ask::any("/"));
    target.deadline = Duration::from_secs(60);
    let load = Load::start(target).unwrap();
    wait(&load, |r| r.requests.sent >= 100);
    assert_eq!(load.snapshot().failed(), 0);
}

#[test]
fn an_answer_that_comes_late_counts_from_when_it_was_due() {
    // Every answer takes at least 50 ms, whatever the machine does.
    let address = plant(async |mut stream| {
        if read_head(&mut stream).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let report = run_until(fresh(address, Ask::any("/")), |r| r.requests.ok >= 5);
    assert!(report.requests.latency.p50_us >= 50_000, "{report}");
}

#[test]
fn a_kept_connection_closed_between_requests_is_asked_again_and_told() {
    let address = plant(async |mut stream| {
        if read_head(&mut stream).await {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            read_head(&mut stream).await;
        }
    });
    let report = run_until(on(address, Ask::any("/"), Mix { kept: 1, h2: 0, fresh: 0 }), |r| r.requests.retried >= 3);
    assert_eq!(report.failed(), 0, "{report}");
}

#[test]
fn a_load_that_makes_no_sense_does_not_start() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut target = fresh(address, Ask::any("/"));
    target.requests.asks.clear();
    assert!(matches!(Load::start(target), Err(StartError::NothingToAsk)));
    let mut target = fresh(address, Ask::any("/"));
    target.sockets.count = 1_000_000;
    assert!(matches!(Load::start(target), Err(StartError::TooMuch { what: "WebSockets", .. })));
    let target = Target::https(address, "localhost", "/nowhere/ca.pem");
    assert!(matches!(Load::start(target), Err(StartError::Ca { .. })));
}
