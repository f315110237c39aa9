//! The payloads of `cases/smuggling`, changed at random. What the proxy then writes to the application must be among the requests that a strict
//! reader finds in the client's bytes: the same method, target and body, in the same order, none twice.
//!
//! The same seed makes the same streams. `ATTACK_ROUNDS` and `ATTACK_SEED` make a longer run, or another; `bench/attack` does.

use crate::case;
use crate::harness::{application, start, table};
use crate::setting;
use crate::tap::Tap;
use crate::wire::{self, Request};
use http::Response;
use http_body_util::{BodyExt, Full};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ROUNDS: u64 = 1500;
/// Streams whose requests may still come: the wire notes them a moment after the client was answered.
const RECENT: usize = 8;
/// A proxy that neither answers nor closes for so long hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// What is put in somewhere.
const PIECES: [&str; 34] = [
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    "\n\n",
    " ",
    "\t",
    "\0",
    ":",
    ";",
    ",",
    "\x0b",
    "\x0c",
    "\x7f",
    "_",
    "-",
    "+",
    "0",
    "1",
    "00",
    "0x",
    "f",
    "%2f",
    "%00",
    "..",
    "\r\n ",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "0\r\n\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "chunked",
    "HTTP/1.0",
    "Host: shop.example\r\n",
];

/// Marsaglia's xorshift: enough to choose with, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }
}

fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    if bytes.is_empty() {
        bytes.push(b'G');
    }
    let at = dice.throw(bytes.len() + 1);
    let end = (at + 1 + dice.throw(12)).min(bytes.len());
    match dice.throw(8) {
        0 => drop(bytes.splice(at..at, PIECES[dice.throw(PIECES.len())].bytes())),
        1 => drop(bytes.splice(at..end, PIECES[dice.throw(PIECES.len())].bytes())),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => bytes.truncate(at.max(16)),
        5 => {
            let other = &others[dice.throw(others.len())];
            bytes.extend_from_slice(&other[dice.throw(other.len())..]);
        }
        6 => lines(bytes, dice),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.throw(8);
            }
        }
    }
}

/// Doubles a line, drops it, or puts it elsewhere.
fn lines(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let line = lines[dice.throw(lines.len())].clone();
    match dice.throw(3) {
        0 => lines.insert(dice.throw(lines.len() + 1), line),
        1 => drop(lines.remove(dice.throw(lines.len()))),
        _ => {
            let (one, other) = (dice.throw(lines.len()), dice.throw(lines.len()));
            lines.swap(one, other);
        }
    }
    *bytes = lines.concat();
}

/// Sends `bytes` in a few pieces, closes the client's end and reads to the end.
async fn say(proxy: SocketAddr, bytes: &[u8], pieces: usize) {
    let (mut from, mut to) = TcpStream::connect(proxy).await.unwrap().into_split();
    let write = async {
        for piece in bytes.chunks(bytes.len().div_ceil(pieces).max(1)) {
            if to.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = to.shutdown().await;
    };
    let mut answer = Vec::new();
    let read = from.read_to_end(&mut answer);
    let both = tokio::time::timeout(LIMIT, async { tokio::join!(write, read) }).await;
    assert!(both.is_ok(), "no end: {:?}", String::from_utf8_lossy(bytes));
}

/// Method, target and body.
type Essence = (String, String, Vec<u8>);

/// One that was sent.
struct Stream {
    text: Vec<u8>,
    /// Requests in it that have not been seen yet.
    meant: Vec<Essence>,
}

/// What must be the same on both sides: the target without scheme and host, with unreserved characters decoded.
fn essence(request: &Request) -> Essence {
    let target = match request.target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => &request.target,
    };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut decoded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()).map(char::from);
        match code.filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
            Some(plain) => decoded.push(plain),
            None => decoded.extend(["%", after.get(..2).unwrap_or_default()]),
        }
        rest = after.get(2..).unwrap_or_default();
    }
    decoded.push_str(rest);
    if let Some(query) = query {
        decoded.extend(["?", query]);
    }
    // A fragment is the client's own business and goes nowhere.
    let decoded = decoded.split('#').next().unwrap_or_default().to_owned();
    (request.method.clone(), decoded, request.body.clone())
}

#[tokio::test]
async fn mutated_streams_smuggle_nothing() {
    let address = application(|request| async move {
        let _ = request.into_body().collect().await;
        Response::new(Full::from("ok"))
    })
    .await;
    let proxy = start();
    let (tap, wire) = Tap::to(address).await;
    proxy.swap(&table(1, &[("/", "shop/web", wire)])).await;
    let payloads: Vec<Vec<u8>> = case::read("http1").iter().map(case::Case::bytes).filter(|bytes| bytes.len() < 2000).collect();
    let mut dice = Dice(setting("ATTACK_SEED", 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut recent: VecDeque<Stream> = VecDeque::new();
    let (mut sent, mut carried) = (0_u64, 0_u64);
    for round in 0..setting("ATTACK_ROUNDS", ROUNDS) {
        let mut bytes = payloads[dice.throw(payloads.len())].clone();
        // Half of the streams begin with what is valid, so that what follows meets a connection that is in use.
        if dice.throw(2) == 0 {
            bytes.splice(0..0, *b"POST /first HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        }
        for _ in 0..1 + dice.throw(4) {
            mutate(&mut bytes, &payloads, &mut dice);
        }
        // Targets differ from round to round, so that a late request is held against its own stream.
        let mark = format!(" /{round}.");
        let text: Vec<u8> = bytes.split(|b| *b == b' ').enumerate().fold(Vec::new(), |mut all, (index, part)| {
            let own = index > 0 && part.starts_with(b"/");
            all.extend_from_slice(if own {
                mark.as_bytes()
            } else if index > 0 {
                b" "
            } else {
                b""
            });
            all.extend_from_slice(if own { &part[1..] } else { part });
            all
        });
        let meant = wire::requests(&text).requests.iter().map(essence).collect::<Vec<_>>();
        sent += meant.len() as u64;
        recent.push_back(Stream { text, meant });
        if recent.len() > RECENT {
            recent.pop_front();
        }
        let text = &recent.back().unwrap().text;
        say(proxy.http, text, 1 + dice.throw(5)).await;
        for request in tap.take().iter().map(essence) {
            carried += 1;
            let found = recent.iter_mut().rev().find_map(|Stream { meant, .. }| {
                let at = meant.iter().position(|one| *one == request)?;
                // What comes before it cannot come any more.
                meant.drain(..=at);
                Some(())
            });
            let streams = recent.iter().map(|stream| String::from_utf8_lossy(&stream.text).into_owned()).collect::<Vec<_>>();
            assert!(found.is_some(), "round {round}: {request:?} was not meant by {streams:#?}");
        }
    }
    assert!(carried > 0 && carried <= sent, "{carried} of {sent}");
    proxy.handle.stop().unwrap();
}
