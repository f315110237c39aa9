//! What applications may say on a connection, and what it costs them: the proxy's own HTTP/1.1 client against applications that speak byte by byte.

use crate::harness::{Running, final_answer, raw, read_head, read_until, start, table, talk};
use http::StatusCode;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An application that answers every request of a connection with the next of `answers`, and then reads on. Counts its connections.
async fn speaks(answers: &'static [&'static str]) -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let address = raw(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            for (turn, answer) in answers.iter().cycle().enumerate() {
                if !read_head(&mut stream).await {
                    return;
                }
                // Health checks connect and say nothing.
                if turn == 0 {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, connections)
}

async fn serving(address: SocketAddr) -> Running {
    let proxy = start();
    proxy.swap(&table(1, &[("/", "shop/web", address)])).await;
    proxy
}

/// Asks `times` times, the proxy's worker being the same each time, and returns the last bodies.
async fn ask(proxy: &Running, head: &str, end: &str, times: usize) -> Vec<String> {
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..times {
        stream.write_all(format!("{head}\r\nHost: shop.example\r\n\r\n").as_bytes()).await.unwrap();
        answers.push(read_until(&mut stream, end).await);
    }
    answers
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    for answer in [
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n"],
        &["HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ] {
        let (address, connections) = speaks(answer).await;
        let proxy = serving(address).await;
        let end = if answer[0].contains("chunked") { "0\r\n\r\n" } else { "ok" };
        for text in ask(&proxy, "GET / HTTP/1.1", end, 5).await {
            assert!(final_answer(&text).starts_with("HTTP/1.1 200 ") && text.contains('k'), "{text}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1, "{answer:?}");
    }
    // An answer to HEAD says a length and has no body; some applications send one all the same, so the connection is not used again.
    let (address, connections) = speaks(&["HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"]).await;
    let proxy = serving(address).await;
    assert!(ask(&proxy, "HEAD / HTTP/1.1", "\r\n\r\n", 3).await.iter().all(|head| head.contains("content-length: 200")));
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_follows_an_answer_is_never_the_next_one() {
    let planted = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted";
    let bodiless = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted";
    for (answers, end) in [(planted, "ok"), (chunked, "0\r\n\r\n"), (bodiless, "\r\n\r\n")] {
        let (address, connections) = speaks(Box::leak(Box::new([answers]))).await;
        let proxy = serving(address).await;
        for text in ask(&proxy, "GET / HTTP/1.1", end, 3).await {
            assert!(!text.contains("planted"), "{text}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 3, "a connection that says too much is used once");
    }
}

#[tokio::test]
async fn answers_that_can_be_read_in_two_ways_are_refused() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded: x\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\nok",
        "ICY 200 OK\r\n\r\nok",
    ] {
        let (address, _) = speaks(Box::leak(Box::new([answer]))).await;
        let proxy = serving(address).await;
        assert_eq!(proxy.get("shop.example", "/").await.0, StatusCode::BAD_GATEWAY, "{answer:?}");
    }
    // Interim answers for ever, and a head without end.
    let address = raw(|mut stream| async move {
        if read_head(&mut stream).await {
            while stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {}
        }
    })
    .await;
    let (_, answer) = serving(address).await.get("shop.example", "/").await;
    assert!(final_answer(&answer).starts_with("HTTP/1.1 502 ") && answer.matches(" 103 ").count() == 16, "{answer}");
    let address = raw(|mut stream| async move {
        if read_head(&mut stream).await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
    })
    .await;
    assert_eq!(serving(address).await.get("shop.example", "/").await.0, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_malformed_chunk_never_looks_like_an_end() {
    for rest in ["zz\r\nmore", "5\r\nmore", "-1\r\n\r\n", "2\r\nokX\r\n0\r\n\r\n", "0\nX: y\n\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nhalf\r\n{rest}");
        let address = raw(move |mut stream| {
            let answer = answer.clone();
            async move {
                if read_head(&mut stream).await {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        })
        .await;
        let text = talk(serving(address).await.http, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
        assert!(text.contains("4\r\nhalf\r\n") && !text.contains("0\r\n\r\n"), "{rest:?}: {text}");
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_has_ended() {
    let address = raw(|mut stream| async move {
        if read_head(&mut stream).await {
            let _ = stream.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
            // What closes at once may reset, and take the answer along.
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        }
    })
    .await;
    let proxy = serving(address).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000000\r\n\r\nbegun").await.unwrap();
    let answer = read_until(&mut stream, "big").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_of_any_shape_arrives_as_it_was_sent() {
    let address = raw(|mut stream| async move {
        while read_head(&mut stream).await {
            let mut body = Vec::new();
            // Whatever comes until the last chunk, sent back byte for byte as text.
            while !body.ends_with(b"0\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => body.push(byte),
                    Err(_) => return,
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
    })
    .await;
    let proxy = serving(address).await;
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        for piece in ["1\r\na\r\n", "5\r\nbcdef\r\n", "0\r\n\r\n"] {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        let answer = read_until(&mut stream, "0\r\n\r\n").await;
        let data: String = answer.split("\r\n\r\n").nth(1).unwrap().split("\r\n").skip(1).step_by(2).collect();
        assert!(data.starts_with("abcdef"), "{answer}");
    }
}
