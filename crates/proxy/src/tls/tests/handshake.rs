//! How a connection begins, and fails to.

use super::{Configs, accept, configs, configs_for, connect, connected, sockets};
use crate::tls::TlsStream;
use rustls::{ClientConfig, HandshakeKind};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

/// What the client's first bytes get: the error here, and the answer there.
async fn refused(configs: &Configs, first: &[u8]) -> (io::Error, Vec<u8>) {
    let (mut client, server) = sockets().await;
    let told = async {
        let mut answer = Vec::new();
        // The connection may be closed, or reset, before the client has sent all or read all.
        let _ = client.write_all(first).await;
        let _ = client.read_to_end(&mut answer).await;
        answer
    };
    let (error, answer) = tokio::join!(async { accept(configs, server).await.err().unwrap() }, told);
    (error, answer)
}

/// A record of this kind.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1, length[0], length[1]], content].concat()
}

#[tokio::test]
async fn garbage_gets_an_alert() {
    let configs = configs();
    let (error, answer) = refused(&configs, b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    // An alert of two bytes: fatal, and which one is rustls' business.
    assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, _]), "{answer:?}");
}

#[tokio::test]
async fn a_handshake_message_without_end_is_refused() {
    let configs = configs();
    // A ClientHello that says it has 128 KiB; and one that has as much as may be, in records of 4 KiB, and makes no sense.
    let too_long = record(22, &[1, 2, 0, 0]);
    let mut long = vec![1, 0, 255, 255];
    long.resize(4 + 65_535, b'x');
    let long: Vec<u8> = long.chunks(4096).flat_map(|chunk| record(22, chunk)).collect();
    for first in [too_long, long] {
        let (error, answer) = refused(&configs, &first).await;
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(matches!(answer[..], [] | [21, 3, _, 0, 2, 2, _]), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_an_error() {
    let configs = configs();
    let (client, server) = sockets().await;
    drop(client);
    assert_eq!(accept(&configs, server).await.err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn name_and_protocol_are_known() {
    let mut configs = configs();
    let (_client, server) = connected(&configs).await;
    assert_eq!((server.server_name(), server.alpn_protocol()), (Some("shop.example"), None));
    let offer = |configs: &mut Configs, protocol: &str| {
        let mut client = ClientConfig::clone(&configs.client);
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        configs.client = Arc::new(client);
    };
    offer(&mut configs, "http/1.1");
    let (_client, server) = connected(&configs).await;
    assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
    offer(&mut configs, "gopher");
    let (client, server) = sockets().await;
    let (client, server) = tokio::join!(connect(&configs, client), accept(&configs, server));
    assert_eq!(server.err().unwrap().kind(), io::ErrorKind::InvalidData);
    let told = client.err().unwrap().to_string();
    assert!(told.contains("NoApplicationProtocol"), "{told}");
}

async fn exchange(client: &mut super::Client, server: &mut TlsStream) {
    let mut both = [[0; 4]; 2];
    client.write_all(b"ping").await.unwrap();
    server.read_exact(&mut both[0]).await.unwrap();
    server.write_all(b"pong").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut both[1]).await.unwrap();
    assert_eq!(both, [*b"ping", *b"pong"]);
}

#[tokio::test]
async fn sessions_are_resumed_in_both_versions() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let configs = configs_for(&[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let (mut client, mut server) = connected(&configs).await;
            assert_eq!(server.handshake_kind(), Some(expected), "{version:?}");
            exchange(&mut client, &mut server).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_only_listens_gets_its_ticket() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);
    let (mut here, mut there) = ([0; 1], [0; 1]);
    let got = poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut here)).is_pending());
        assert!(std::pin::Pin::new(&mut client).poll_read(cx, &mut ReadBuf::new(&mut there)).is_pending());
        match client.get_ref().1.tls13_tickets_received() {
            0 => Poll::Pending,
            count => Poll::Ready(count),
        }
    });
    assert_eq!(got.await, 1);
}

#[tokio::test]
async fn a_client_may_change_its_keys() {
    let configs = configs();
    let (mut client, mut server) = connected(&configs).await;
    for _ in 0..3 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        exchange(&mut client, &mut server).await;
    }
    assert_eq!(server.session.kept(), 0);
}
