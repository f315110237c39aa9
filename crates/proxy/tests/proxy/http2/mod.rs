//! HTTP/2 as RFC 9113 and RFC 7541 have it: for every rule a case that keeps or breaks it, named by its section.
//!
//! A case is what the client sends and what must come back. An error of a stream leaves the connection useful, which is tried each time; an
//! error of the connection is told by GOAWAY with its code, and the connection ends.

mod connection;
mod field;
mod flow;
mod hpack;
mod message;
mod stream;
pub(crate) mod wire;

use crate::harness::{Running, application, start};
use crate::tls::{Authority, secured};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use landfall_model::route::{Endpoint, Upstream};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use wire::{Client, Frame, code, flag, kind, ping};

/// What must come back.
#[derive(Debug)]
enum Expect {
    /// GOAWAY with one of these codes, then the end.
    Goaway(&'static [u32]),
    /// This stream is reset with one of these codes, and the connection goes on.
    Reset(u32, &'static [u32]),
    /// This stream is answered with this status, and the connection goes on.
    Status(u32, u16),
    /// This stream is reset with one of these codes, or the connection ends with one of them: both are allowed (§5.4.2).
    Either(u32, &'static [u32]),
    /// The request is malformed (§8.1.1): the stream is reset or answered with 400, or the connection ends, as it may for any error of a stream
    /// (§5.4.1).
    Malformed(u32),
    /// The stream's answer has so many bytes of body.
    Body(u32, usize),
    /// The first stream is malformed, and the second is answered with so many bytes.
    BodyAfterReset(u32, u32, usize),
    /// The stream's answer comes whole, and then the connection ends.
    Last(u32, usize),
    /// So many bytes of the stream's answer come, and no more for now.
    Held(u32, usize),
    /// So many SETTINGS are acknowledged.
    Acks(usize),
    /// A PING with this payload is answered.
    Pong(&'static [u8; 8]),
    /// The connection ends, with or without GOAWAY.
    Ends,
    /// Nothing happens, and the connection goes on.
    Alive,
}

enum Step {
    Send(Vec<u8>),
    /// Until the answer of this stream has ended.
    Answered(u32),
    /// Until so many bytes of this stream's answer have come.
    Data(u32, usize),
    /// Until the server has read all that was sent.
    Settled,
}

/// One rule.
struct Case {
    /// `9113 §6.1`.
    section: &'static str,
    says: &'static str,
    settings: Vec<(u16, u32)>,
    silent: bool,
    steps: Vec<Step>,
    expect: Expect,
}

fn case(section: &'static str, says: &'static str) -> Case {
    Case { section, says, settings: Vec::new(), silent: false, steps: Vec::new(), expect: Expect::Alive }
}

impl Case {
    fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    fn with(mut self, id: u16, value: u32) -> Self {
        self.settings.push((id, value));
        self
    }

    fn send(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    fn answered(mut self, stream: u32) -> Self {
        self.steps.push(Step::Answered(stream));
        self
    }

    fn until_data(mut self, stream: u32, length: usize) -> Self {
        self.steps.push(Step::Data(stream, length));
        self
    }

    fn settled(mut self) -> Self {
        self.steps.push(Step::Settled);
        self
    }

    fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    fn goaway(self, codes: &'static [u32]) -> Self {
        self.expect(Expect::Goaway(codes))
    }

    fn reset(self, stream: u32, codes: &'static [u32]) -> Self {
        self.expect(Expect::Reset(stream, codes))
    }

    fn status(self, stream: u32, status: u16) -> Self {
        self.expect(Expect::Status(stream, status))
    }

    /// What is wrong, if anything.
    async fn run(&self, proxy: &Running, authority: &Authority) -> Result<(), String> {
        let client = match self.silent {
            true => Client::silent(proxy.https, authority).await,
            false => Client::with(proxy.https, authority, &self.settings).await,
        };
        let mut watch = Watched { client, seen: Vec::new() };
        for step in &self.steps {
            match step {
                Step::Send(bytes) => watch.client.send(bytes).await,
                Step::Answered(stream) => drop(watch.until(|seen| ended(seen, *stream)).await?),
                Step::Data(stream, length) => drop(watch.until(|seen| body(seen, *stream) >= *length).await?),
                Step::Settled => watch.settle().await?,
            }
        }
        watch.judge(&self.expect).await
    }
}

/// A client and everything it was told.
struct Watched {
    client: Client,
    seen: Vec<Frame>,
}

impl Watched {
    /// Reads until `enough` is seen.
    async fn until(&mut self, enough: impl Fn(&[Frame]) -> bool) -> Result<(), String> {
        while !enough(&self.seen) {
            match self.client.next().await {
                Some(frame) => self.seen.push(frame),
                None => return Err(format!("the end after {}", told(&self.seen))),
            }
        }
        Ok(())
    }

    /// Until the server has read all that was sent, and has acted on it as far as it can without waiting.
    async fn settle(&mut self) -> Result<(), String> {
        let pongs = self.count(kind::PING);
        self.client.send(&ping(b"settled?")).await;
        self.until(|seen| seen.iter().filter(|f| f.kind == kind::PING).count() > pongs).await
    }

    fn count(&self, kind: u8) -> usize {
        self.seen.iter().filter(|f| f.kind == kind).count()
    }

    /// The connection is still of use.
    async fn alive(&mut self) -> Result<(), String> {
        self.settle().await?;
        if self.count(kind::GOAWAY) > 0 { Err(told(&self.seen)) } else { Ok(()) }
    }

    async fn ended(&mut self) {
        while let Some(frame) = self.client.next().await {
            self.seen.push(frame);
        }
    }

    async fn judge(&mut self, expect: &Expect) -> Result<(), String> {
        let is_reset =
            |f: &Frame, stream: u32, codes: &[u32]| f.kind == kind::RST_STREAM && f.stream == stream && codes.contains(&f.number(0));
        let is_goaway = |f: &Frame, codes: &[u32]| f.kind == kind::GOAWAY && codes.contains(&f.number(4));
        let right = match expect {
            Expect::Goaway(codes) => {
                self.ended().await;
                self.seen.iter().any(|f| is_goaway(f, codes))
            }
            Expect::Ends => {
                self.ended().await;
                true
            }
            Expect::Last(stream, length) => {
                self.ended().await;
                ended(&self.seen, *stream) && body(&self.seen, *stream) == *length
            }
            Expect::Reset(stream, codes) => {
                self.until(|seen| decided(seen, *stream)).await?;
                self.alive().await?;
                self.seen.iter().any(|f| is_reset(f, *stream, codes))
            }
            Expect::Either(stream, codes) => {
                self.until(|seen| seen.iter().any(|f| is_reset(f, *stream, codes) || is_goaway(f, codes))).await?;
                true
            }
            Expect::Malformed(stream) => {
                self.until(|seen| decided(seen, *stream)).await?;
                is_malformed(&self.seen, *stream) || self.seen.iter().any(|f| is_goaway(f, &[code::PROTOCOL, code::COMPRESSION]))
            }
            Expect::Status(stream, status) => {
                self.until(|seen| decided(seen, *stream)).await?;
                self.alive().await?;
                self.seen.iter().any(|f| f.kind == kind::HEADERS && f.stream == *stream && f.status() == *status)
            }
            Expect::Body(stream, length) => {
                self.until(|seen| ended(seen, *stream)).await?;
                self.alive().await?;
                body(&self.seen, *stream) == *length
            }
            Expect::BodyAfterReset(first, second, length) => {
                self.until(|seen| decided(seen, *first) && ended(seen, *second)).await?;
                is_malformed(&self.seen, *first) && body(&self.seen, *second) == *length
            }
            Expect::Held(stream, length) => {
                self.until(|seen| decided(seen, *stream) && body(seen, *stream) >= *length).await?;
                self.alive().await?;
                body(&self.seen, *stream) == *length && !ended(&self.seen, *stream)
            }
            Expect::Acks(count) => {
                self.until(|seen| seen.iter().filter(|f| f.kind == kind::SETTINGS && f.flags & flag::ACK != 0).count() >= *count).await?;
                true
            }
            Expect::Pong(payload) => {
                self.until(|seen| seen.iter().any(|f| f.kind == kind::PING && f.flags & flag::ACK != 0 && f.payload == **payload)).await?;
                true
            }
            Expect::Alive => {
                self.alive().await?;
                self.count(kind::RST_STREAM) == 0
            }
        };
        if right { Ok(()) } else { Err(told(&self.seen)) }
    }
}

/// The server has said what becomes of this stream, or of all.
fn decided(seen: &[Frame], stream: u32) -> bool {
    seen.iter().any(|f| f.kind == kind::GOAWAY || f.stream == stream && matches!(f.kind, kind::HEADERS | kind::RST_STREAM))
}

fn is_malformed(seen: &[Frame], stream: u32) -> bool {
    seen.iter().any(|f| {
        f.stream == stream && (f.kind == kind::HEADERS && f.status() == 400 || f.kind == kind::RST_STREAM && f.number(0) == code::PROTOCOL)
    })
}

fn ended(seen: &[Frame], stream: u32) -> bool {
    seen.iter().any(|f| f.stream == stream && f.ends_stream())
}

/// Bytes of this stream's answer.
fn body(seen: &[Frame], stream: u32) -> usize {
    seen.iter().filter(|f| f.stream == stream && f.kind == kind::DATA).map(|f| f.payload.len()).sum()
}

fn told(frames: &[Frame]) -> String {
    let line =
        |f: &Frame| format!("[kind {} flags {:#x} stream {} {:?}]", f.kind, f.flags, f.stream, &f.payload[..f.payload.len().min(16)]);
    frames.iter().map(line).collect::<Vec<_>>().join(" ")
}

/// A proxy with an application that answers with so many bytes as the path says, or with how many it got.
async fn proxy() -> (Running, Authority) {
    let (proxy, authority) = (start(), Authority::new());
    let address = application(|request| async move {
        let asked = request.uri().path().trim_start_matches('/').parse::<usize>();
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        let body = request.into_body().collect().await.map(|body| body.to_bytes().len());
        match (asked, body) {
            (Ok(length), _) => Response::new(Full::from(Bytes::from(vec![b'x'; length]))),
            (_, Ok(length)) => Response::new(Full::from(length.to_string())),
            (_, Err(_)) => Response::builder().status(400).body(Full::default()).unwrap(),
        }
    })
    .await;
    let mut table = secured(&proxy, &authority, address).await;
    table.generation += 1;
    let mut unread = table.sites[0].routes[0].clone();
    unread.path = "/unread".parse().unwrap();
    unread.upstream = "shop/unread".to_owned();
    table.sites[0].routes.push(unread);
    table.upstreams.insert(
        "shop/unread".to_owned(),
        Upstream { endpoints: vec![Endpoint { id: "shop/unread".to_owned(), address: full(), interface: None }], ..Upstream::default() },
    );
    proxy.swap(&table).await;
    (proxy, authority)
}

/// An address at which connections are neither accepted nor refused: a request to it waits, and nobody reads its body.
fn full() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The queue has room for one more than it says; both live as long as the test.
    std::mem::forget((std::net::TcpStream::connect(address).unwrap(), socket));
    address
}

/// Runs all of them and says which are broken.
async fn keep(cases: Vec<Case>) {
    let (proxy, authority) = proxy().await;
    let mut broken = Vec::new();
    for case in &cases {
        if let Err(what) = case.run(&proxy, &authority).await {
            broken.push(format!("RFC {} {}: wanted {:?}, got {what}", case.section, case.says, case.expect));
        }
    }
    assert!(broken.is_empty(), "{} of {} are broken:\n{}", broken.len(), cases.len(), broken.join("\n"));
}
