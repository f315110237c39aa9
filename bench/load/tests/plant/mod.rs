//! Servers that fail on purpose, and waiting for what the load saw of it.

#![allow(dead_code, reason = "each test file plants other faults")]

use landfall_load::{Ask, Handle, Load, Mix, Report, Requests, Target};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server on a thread of its own that gives every connection to `serve`. It ends with the test process.
pub(crate) fn plant<F: Future<Output = ()> + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(stream));
            }
        });
    });
    address
}

/// Reads one request's head; false when the connection ended instead.
pub(crate) async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// Answers every request with these bytes, then closes.
pub(crate) fn answering(bytes: &'static str) -> SocketAddr {
    plant(async move |mut stream| {
        if read_head(&mut stream).await {
            stream.write_all(bytes.as_bytes()).await.unwrap();
        }
    })
}

/// Ends a connection with RST.
pub(crate) fn reset(stream: TcpStream) {
    let stream = socket2::Socket::from(stream.into_std().unwrap());
    stream.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Keeps a connection open and silent.
pub(crate) async fn fall_silent(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// A load of `ask`, each on a connection of its own.
pub(crate) fn fresh(address: SocketAddr, ask: Ask) -> Target {
    on(address, ask, Mix { kept: 0, h2: 0, fresh: 1 })
}

pub(crate) fn on(address: SocketAddr, ask: Ask, mix: Mix) -> Target {
    let mut target = Target::http(address, address.to_string());
    target.requests = Requests { per_second: 100, asks: vec![ask], mix };
    target
}

/// Waits for a condition; the test fails with the report when it does not come true.
pub(crate) fn wait(load: &Handle, done: impl Fn(&Report) -> bool) {
    load.wait(Duration::from_secs(30), done).unwrap_or_else(|report| panic!("never came true: {report}"));
}

/// Runs the load until the condition holds.
pub(crate) fn run_until(target: Target, done: impl Fn(&Report) -> bool) -> Report {
    let load = Load::start(target).unwrap();
    wait(&load, done);
    load.stop()
}
