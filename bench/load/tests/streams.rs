//! Every way a WebSocket or an event stream can fail, planted, and seen as exactly that; and the polite ends, which are no failure.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plant;

use futures_util::{SinkExt as _, StreamExt as _};
use landfall_load::FaultKind as Kind;
use landfall_load::{Load, Report, Sockets, Streams, Target};
use plant::{answering, fall_silent, plant, read_head, reset, run_until, wait};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

type Socket = WebSocketStream<TcpStream>;

/// A server that answers the first text and then does `ending`.
fn socket_server<F: Future<Output = ()> + 'static>(ending: impl Fn(Socket) -> F + Clone + Send + 'static) -> SocketAddr {
    plant(move |stream| {
        let ending = ending.clone();
        async move {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
            if let Some(Ok(message @ Message::Text(_))) = socket.next().await {
                let _ = socket.send(Message::text("something else that is not an echo")).await;
                let _ = socket.send(message).await;
                ending(socket).await;
            }
        }
    })
}

async fn close(mut socket: Socket, code: u16) {
    let _ = socket.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await;
    while let Some(Ok(_)) = socket.next().await {}
}

fn sockets(address: SocketAddr) -> Target {
    let mut target = Target::http(address, address.to_string());
    target.sockets = Sockets { path: "/ws".into(), count: 2, every: Duration::from_millis(20) };
    target
}

fn only(report: &Report, kind: Kind) {
    assert_eq!(report.failed(), report.count(kind), "{report}");
}

#[test]
fn a_socket_that_echoes_stays_open() {
    let address = socket_server(async |mut socket| {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                let _ = socket.send(message).await;
            }
        }
    });
    let report = run_until(sockets(address), |r| r.sockets.echoes >= 20);
    assert_eq!((report.failed(), report.sockets.opened, report.sockets.open), (0, 2, 2), "{report}");
    assert!(report.sockets.closes.is_empty(), "{report}");
}

#[test]
fn a_close_without_a_release_is_early() {
    let report = run_until(sockets(socket_server(async |socket| close(socket, 1001).await)), |r| r.count(Kind::WsEarlyClose) >= 3);
    only(&report, Kind::WsEarlyClose);
    assert_eq!(report.sockets.closes.get(&1001), Some(&report.failed()), "{report}");
}

#[test]
fn a_close_after_the_drain_limit_of_a_release_is_fine_and_before_it_is_early() {
    let address = socket_server(async |socket| close(socket, 1001).await);
    let mut target = sockets(address);
    target.drain = Duration::ZERO;
    let load = Load::start(target).unwrap();
    load.mark_release("2");
    let before = load.snapshot().failed();
    wait(&load, |r| r.sockets.closes.get(&1001).is_some_and(|n| *n >= 5));
    assert_eq!(load.stop().failed(), before);

    let load = Load::start(sockets(address)).unwrap();
    load.mark_release("2");
    wait(&load, |r| r.count(Kind::WsEarlyClose) >= 3);
}

#[test]
fn an_end_without_a_close_frame_is_abnormal() {
    for address in [socket_server(async |socket| drop(socket)), socket_server(async |socket| reset(socket.into_inner()))] {
        let report = run_until(sockets(address), |r| r.count(Kind::WsAbnormalClose) >= 3);
        only(&report, Kind::WsAbnormalClose);
        assert_eq!(report.sockets.closes.get(&1006), Some(&report.failed()), "{report}");
    }
}

#[test]
fn a_close_with_an_error_code_is_abnormal() {
    let report = run_until(sockets(socket_server(async |socket| close(socket, 1011).await)), |r| r.count(Kind::WsAbnormalClose) >= 3);
    only(&report, Kind::WsAbnormalClose);
    assert!(report.sockets.closes.contains_key(&1011), "{report}");
}

#[test]
fn a_socket_that_falls_silent_has_no_echo() {
    let mut target = sockets(socket_server(async |mut socket| while let Some(Ok(_)) = socket.next().await {}));
    target.deadline = Duration::from_millis(200);
    let report = run_until(target, |r| r.count(Kind::WsNoEcho) >= 3);
    only(&report, Kind::WsNoEcho);
}

#[test]
fn a_socket_that_repeats_itself_has_a_wrong_echo() {
    let address = socket_server(async |mut socket| {
        let _ = socket.next().await;
        let _ = socket.send(Message::text("load of somebody else")).await;
        while let Some(Ok(_)) = socket.next().await {}
    });
    let report = run_until(sockets(address), |r| r.count(Kind::WsWrongEcho) >= 3);
    only(&report, Kind::WsWrongEcho);
}

#[test]
fn a_refused_upgrade_is_its_status() {
    let report = run_until(sockets(answering("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")), |r| r.count(Kind::Http5xx) >= 3);
    only(&report, Kind::Http5xx);
    assert_eq!(report.sockets.opened, 0);
}

#[test]
fn an_upgrade_that_never_comes_is_a_timeout() {
    let mut target = sockets(plant(fall_silent));
    target.deadline = Duration::from_millis(100);
    only(&run_until(target, |r| r.count(Kind::Timeout) >= 3), Kind::Timeout);
}

/// An event stream of these events, then `ending`.
fn stream_server<F: Future<Output = ()> + 'static>(
    ids: &'static [u32],
    ending: impl Fn(TcpStream) -> F + Clone + Send + 'static,
) -> SocketAddr {
    plant(move |mut stream| {
        let ending = ending.clone();
        async move {
            if !read_head(&mut stream).await {
                return;
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-version: 1\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for id in ids {
                let event = format!("id: {id}\ndata: x\n\n");
                stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.unwrap();
            }
            ending(stream).await;
        }
    })
}

fn streams(address: SocketAddr) -> Target {
    let mut target = Target::http(address, address.to_string());
    target.streams = Streams { path: "/events".into(), count: 2 };
    target
}

#[test]
fn a_stream_that_breaks_off_is_cut() {
    let report = run_until(streams(stream_server(&[5, 6, 7], async |_| {})), |r| r.count(Kind::SseCut) >= 3);
    only(&report, Kind::SseCut);
    assert!(report.streams.events >= 9 && report.streams.ended == 0, "{report}");
}

#[test]
fn a_stream_that_leaves_an_event_out_has_a_gap() {
    let report = run_until(streams(stream_server(&[5, 7], fall_silent)), |r| r.count(Kind::SseGap) >= 3);
    only(&report, Kind::SseGap);
}

#[test]
fn a_stream_that_falls_silent_is_stalled() {
    let mut target = streams(stream_server(&[0], fall_silent));
    target.deadline = Duration::from_millis(100);
    only(&run_until(target, |r| r.count(Kind::SseStalled) >= 3), Kind::SseStalled);
}

#[test]
fn a_stream_that_ends_is_early_unless_a_release_explains_it() {
    let address = stream_server(&[0, 1], async |mut stream| {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    });
    let report = run_until(streams(address), |r| r.count(Kind::SseEarlyEnd) >= 3);
    only(&report, Kind::SseEarlyEnd);

    let mut target = streams(address);
    target.drain = Duration::ZERO;
    let load = Load::start(target).unwrap();
    load.mark_release("2");
    let before = load.snapshot().failed();
    wait(&load, |r| r.streams.ended >= before + 5);
    assert_eq!(load.stop().failed(), before);
}
