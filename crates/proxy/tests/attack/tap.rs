//! A wire between the proxy and an application that keeps every byte the proxy wrote.

use crate::wire::{self, End, Reading, Request};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What went over it, by connection.
#[derive(Clone, Default)]
pub(crate) struct Tap {
    connections: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// A wire to `application`; the address is the proxy's end.
    pub(crate) async fn to(application: SocketAddr) -> (Self, SocketAddr) {
        let tap = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let own = tap.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(own.clone().carry(client, application));
            }
        });
        (tap, address)
    }

    async fn carry(self, client: TcpStream, application: SocketAddr) {
        let Ok(server) = TcpStream::connect(application).await else { return };
        let index = {
            let mut connections = self.connections.lock().unwrap();
            connections.push(Vec::new());
            connections.len() - 1
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let back = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            let _ = to_client.shutdown().await;
        });
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            self.connections.lock().unwrap()[index].extend_from_slice(&buffer[..length]);
            if to_server.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        let _ = to_server.shutdown().await;
        let _ = back.await;
    }

    /// Every whole request so far, and the heads of those that the proxy broke off.
    pub(crate) fn requests(&self) -> (Vec<Request>, Vec<Request>) {
        let (mut whole, mut broken_off) = (Vec::new(), Vec::new());
        for bytes in self.connections.lock().unwrap().iter() {
            let reading = read(bytes);
            whole.extend(reading.requests);
            if let End::Partial(Some(head)) = reading.end {
                broken_off.push(*head);
            }
        }
        (whole, broken_off)
    }

    /// Every whole request that came since the last time.
    pub(crate) fn take(&self) -> Vec<Request> {
        let mut whole = Vec::new();
        for bytes in self.connections.lock().unwrap().iter_mut() {
            let reading = read(bytes);
            whole.extend(reading.requests);
            bytes.drain(..reading.length);
        }
        whole
    }
}

/// Panics if the proxy wrote anything but requests that can be read in one way.
fn read(bytes: &[u8]) -> Reading {
    let reading = wire::requests(bytes);
    assert!(!matches!(reading.end, End::Broken(_)), "{:?}: {}", reading.end, String::from_utf8_lossy(bytes));
    for request in &reading.requests {
        let alias = request.names.iter().chain(&request.trailers).find(|name| name.contains('_'));
        let framing = request.trailers.iter().find(|name| matches!(name.as_str(), "content-length" | "transfer-encoding" | "host"));
        assert_eq!((alias, framing), (None, None), "{}", String::from_utf8_lossy(bytes));
    }
    reading
}
