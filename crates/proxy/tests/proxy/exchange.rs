//! Requests and answers that overlap, wait for each other, end with trailers, or lie.

use crate::harness::{Running, final_answer, raw, read_head, read_to_end, read_until, soon, start, table, talk, until};
use crate::http2::wire::{Client, code, get, kind};
use crate::tls::{Authority, secured, secured_table};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const HOST: &str = "Host: shop.example\r\n";

async fn in_front_of(application: SocketAddr) -> Running {
    let proxy = start();
    proxy.swap(&table(1, &[("/", "shop/web", application)])).await;
    proxy
}

async fn open(proxy: &Running, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(format!("{head}\r\n{HOST}\r\n").as_bytes()).await.unwrap();
    stream
}

/// An application that gives this answer to every request, and ends.
async fn says(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    raw(move |mut stream| {
        let answer = answer.clone();
        async move {
            if read_head(&mut stream).await {
                let _ = stream.write_all(&answer).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_waits_to_go_on_is_told_by_the_application() {
    let (send, mut asked) = mpsc::unbounded_channel();
    let application = raw(move |mut stream| {
        let send = send.clone();
        async move {
            let head = read_until(&mut stream, "\r\n\r\n").await;
            assert!(head.contains("expect: 100-continue\r\n"), "{head}");
            let refuses = head.starts_with("POST /refused");
            send.send(()).unwrap();
            if refuses {
                stream.write_all(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await.unwrap();
                // The body never comes.
                assert_eq!(read_to_end(&mut stream).await, "");
                return;
            }
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            read_until(&mut stream, "body").await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let proxy = in_front_of(application).await;
    let mut stream = open(&proxy, "POST /taken HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4").await;
    soon(asked.recv()).await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 204 "));

    let mut stream = open(&proxy, "POST /refused HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4").await;
    let answer = read_until(&mut stream, "no").await;
    assert!(answer.starts_with("HTTP/1.1 417 "), "nobody told it to go on: {answer}");
}

#[tokio::test]
async fn an_application_that_does_not_know_the_question_gets_the_body_all_the_same() {
    let application = raw(|mut stream| async move {
        if read_head(&mut stream).await {
            read_until(&mut stream, "body").await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let proxy = in_front_of(application).await;
    let mut stream = open(&proxy, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4").await;
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_has_ended_and_both_go_on() {
    let application = raw(|mut stream| async move {
        if !read_head(&mut stream).await {
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        for word in ["one", "two", "six"] {
            read_until(&mut stream, word).await;
            stream.write_all(format!("3\r\n{word}\r\n").as_bytes()).await.unwrap();
        }
        read_until(&mut stream, "0\r\n\r\n").await;
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let proxy = in_front_of(application).await;
    let mut stream = open(&proxy, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked").await;
    read_until(&mut stream, "\r\n\r\n").await;
    for word in ["one", "two", "six"] {
        stream.write_all(format!("3\r\n{word}\r\n").as_bytes()).await.unwrap();
        read_until(&mut stream, &format!("3\r\n{word}\r\n")).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    read_until(&mut stream, "0\r\n\r\n").await;
}

#[tokio::test]
async fn trailers_pass_to_who_takes_them() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, set-cookie\r\n\r\n\
        2\r\nok\r\n0\r\nx-sum: 7\r\nset-cookie: a=b\r\n\r\n";
    let proxy = in_front_of(says(answer).await).await;
    let mut stream = open(&proxy, "GET / HTTP/1.1\r\nTE: trailers\r\nConnection: TE").await;
    let taken = read_until(&mut stream, "0\r\nx-sum: 7\r\n\r\n").await;
    assert!(taken.contains("trailer: x-sum"), "{taken}");
    let mut stream = open(&proxy, "GET / HTTP/1.1").await;
    assert!(!read_until(&mut stream, "0\r\n\r\n").await.contains("x-sum: 7"));
}

/// Answers that break off, go on too long, or cannot be understood.
fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = |text: String| text.into_bytes();
    vec![
        ("shorter than it says", text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into())),
        ("a chunk that breaks off", text(format!("{chunked}9\r\nhalf"))),
        ("no last chunk", text(format!("{chunked}4\r\nhalf\r\n"))),
        ("a chunk without a size", text(format!("{chunked}4\r\nhalf\r\nzz\r\nhalf\r\n0\r\n\r\n"))),
        ("a chunk of a size below zero", text(format!("{chunked}-4\r\nhalf\r\n0\r\n\r\n"))),
        ("a chunk of more than 64 bits", text(format!("{chunked}fffffffffffffffff\r\nhalf"))),
        ("a chunk longer than it says", text(format!("{chunked}2\r\nhalf\r\n0\r\n\r\n"))),
        ("trailers without an end", text(format!("{chunked}4\r\nhalf\r\n0\r\nx: y\r\n"))),
    ]
}

#[tokio::test]
async fn an_answer_that_lies_about_its_end_is_no_success() {
    for (what, answer) in lies() {
        let application = says(answer).await;
        let (proxy, authority) = (start(), Authority::new());
        let mut table = secured(&proxy, &authority, application).await;
        let mut client = Client::with(proxy.https, &authority, &[]).await;
        client.send(&get(1, "/")).await;
        loop {
            let frame = client.next().await.expect("HTTP/2 goes on");
            assert!(!frame.ends_stream(), "{what}: looks whole");
            if frame.kind == kind::RST_STREAM {
                assert_ne!(frame.number(0), code::NO_ERROR, "{what}");
                break;
            }
        }
        drop(client);
        table.generation += 1;
        table.sites[0].https = false;
        proxy.swap(&table).await;
        let answer = talk(proxy.http, &format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
        assert!(!answer.ends_with("0\r\n\r\n") && !answer.contains("content-length: 4\r\n"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_understood_is_answered_for() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X: y\r\n".repeat(5_000));
    for (what, answer) in [
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".to_owned()),
        ("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok".to_owned()),
        ("a status that is none", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
        ("a field without a colon", "HTTP/1.1 200 OK\r\nno field\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("nothing after 1xx", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1_000)),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le".to_owned()),
        ("a head that is too long", long),
        ("a head of too many fields", many),
    ] {
        let proxy = in_front_of(says(answer).await).await;
        let answer = talk(proxy.http, &format!("GET / HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n")).await;
        assert!(final_answer(&answer).starts_with("HTTP/1.1 502 "), "{what}: {}", &answer[..answer.len().min(300)]);
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    let secret = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    let application = says(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{secret}")).await;
    let proxy = in_front_of(application).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    for _ in 0..20 {
        stream.write_all(format!("GET / HTTP/1.1\r\n{HOST}\r\n").as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\nok").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("secret"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_faster_than_the_client_does() {
    let (send, mut written) = mpsc::unbounded_channel();
    let application = raw(move |mut stream| {
        let send = send.clone();
        async move {
            if !read_head(&mut stream).await {
                return;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
            let chunk = [b"10000\r\n", &[b'x'; 65_536][..], b"\r\n"].concat();
            let mut count = 0usize;
            while stream.write_all(&chunk).await.is_ok() {
                count += 1;
            }
            send.send(count).unwrap();
        }
    })
    .await;
    let proxy = in_front_of(application).await;
    let mut stream = open(&proxy, "GET / HTTP/1.1").await;
    let mut some = vec![0; 1_000_000];
    soon(stream.read_exact(&mut some)).await.unwrap();
    drop(stream);
    // The kernel's buffers and the proxy's, and not more.
    let count = soon(written.recv()).await.unwrap();
    assert!(count < 1_000, "{count} chunks of 64 KiB");
    until("nothing is held", async || proxy.status().await.endpoints.values().all(|e| e.requests == 0)).await;
}

#[tokio::test]
async fn what_an_application_says_before_its_answer_reaches_who_understands_it() {
    let (go, _) = tokio::sync::broadcast::channel::<()>(4);
    let gate = go.clone();
    let application = raw(move |mut stream| {
        let mut gate = gate.subscribe();
        async move {
            if !read_head(&mut stream).await {
                return;
            }
            let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: close\r\nContent-Length: 9\r\n\r\n";
            stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.unwrap();
            stream.write_all(hint.as_bytes()).await.unwrap();
            gate.recv().await.unwrap();
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody").await.unwrap();
        }
    })
    .await;
    let (proxy, authority) = (start(), Authority::new());
    proxy.swap(&table(1, &[("/", "shop/web", application)])).await;
    let mut stream = open(&proxy, "GET / HTTP/1.1").await;
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 102 Processing\r\n\r\n");
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, hint, "before the answer is there");
    go.send(()).unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 103 Early Hints\r\n\r\n");
    assert!(read_until(&mut stream, "body").await.starts_with("HTTP/1.1 200 OK\r\n"));

    // One that waits to send its body, and is told so between two hints.
    let mut stream = open(&proxy, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2").await;
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, hint);
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n", "after a second, as nobody said it");
    stream.write_all(b"ab").await.unwrap();
    go.send(()).unwrap();
    assert!(read_until(&mut stream, "body").await.starts_with("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"));

    // HTTP/1.0 has no such thing.
    let mut stream = open(&proxy, "GET / HTTP/1.0").await;
    until("it waits", async || proxy.endpoint("shop/web").await.is_some_and(|e| e.requests == 1)).await;
    while go.send(()).is_err() {
        tokio::task::yield_now().await;
    }
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));

    // Over TLS too, and over HTTP/2 only the answer.
    let mut secured = secured_table(proxy.home.path(), &authority, application);
    secured.generation = 2;
    proxy.swap(&secured).await;
    let mut stream = authority.connect(&proxy, "shop.example", "http/1.1").await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\n{HOST}\r\n").as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, hint);
    go.send(()).unwrap();
    assert!(read_until(&mut stream, "body").await.contains("HTTP/1.1 200 OK\r\n"));
    let mut client = Client::with(proxy.https, &authority, &[]).await;
    client.send(&get(1, "/")).await;
    until("it waits", async || proxy.endpoint("shop/web").await.is_some_and(|e| e.requests == 1) && go.send(()).is_ok()).await;
    let head = loop {
        let frame = soon(client.next()).await.expect("the answer");
        if frame.kind == kind::HEADERS {
            break frame;
        }
    };
    assert_eq!(head.status(), 200);
}
