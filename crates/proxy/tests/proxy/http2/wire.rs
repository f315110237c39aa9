//! A client that speaks HTTP/2 frame by frame, so that a test can say what no library would.
//!
//! It knows how a frame is laid out (RFC 9113 §4.1) and how to write header blocks as plain literals (RFC 7541 §6.2.2). Of header blocks it only
//! reads the status, which needs neither a dynamic table, because it allows the server none, nor more of the Huffman code than digits.

use crate::harness::soon;
use crate::tls::Authority;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) mod flag {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
    /// A whole request without a body.
    pub(crate) const ALL: u8 = END_STREAM | END_HEADERS;
}

pub(crate) mod code {
    pub(crate) const NO_ERROR: u32 = 0;
    pub(crate) const PROTOCOL: u32 = 1;
    pub(crate) const FLOW_CONTROL: u32 = 3;
    pub(crate) const STREAM_CLOSED: u32 = 5;
    pub(crate) const FRAME_SIZE: u32 = 6;
    pub(crate) const REFUSED: u32 = 7;
    pub(crate) const CANCEL: u32 = 8;
    pub(crate) const COMPRESSION: u32 = 9;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Identifiers of settings.
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// A frame's head, which may lie about `length`.
pub(crate) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&head(payload.len(), kind, flags, stream), payload].concat()
}

pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(kind::SETTINGS, flag::NONE, 0, &payload)
}

pub(crate) fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, payload)
}

pub(crate) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, block)
}

pub(crate) fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::CONTINUATION, flags, stream, block)
}

pub(crate) fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, flag::NONE, stream, &by.to_be_bytes())
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, flag::NONE, stream, &code.to_be_bytes())
}

pub(crate) fn ping(payload: &[u8]) -> Vec<u8> {
    frame(kind::PING, flag::NONE, 0, payload)
}

/// A number with a prefix of so many bits (RFC 7541 §5.1); `first` has the bits before it.
pub(crate) fn integer(first: u8, prefix: u32, mut value: usize) -> Vec<u8> {
    let most = (1usize << prefix) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let mut bytes = vec![first | most as u8];
    value -= most;
    while value >= 128 {
        bytes.push((value % 128) as u8 | 0x80);
        value /= 128;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [integer(0, 7, text.len()), text.as_bytes().to_vec()].concat()
}

/// Fields as literals that no table keeps.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// The head of a request to `shop.example`, and more fields.
pub(crate) fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "https"), (":authority", "shop.example"), (":path", path)];
    fields(&[&own, more].concat())
}

/// A whole request.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, flag::ALL, &request("GET", path, &[]))
}

/// The beginning of one with a body.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, flag::END_HEADERS, &request("POST", path, &[]))
}

/// A frame the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & flag::END_STREAM != 0
    }

    /// The number at `at`.
    pub(crate) fn number(&self, at: usize) -> u32 {
        self.payload.get(at..at + 4).map_or(u32::MAX, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
    }

    /// The status a header block begins with; 0 for one without.
    pub(crate) fn status(&self) -> u16 {
        let mut block = &self.payload[..];
        // Sizes of the table, which may take several bytes.
        while let [0x20..0x40, rest @ ..] = block {
            let large = block[0] == 0x3f;
            block = rest;
            while large && block.first().is_some_and(|byte| byte & 0x80 != 0) {
                block = &block[1..];
            }
            block = if large { &block[1..] } else { block };
        }
        match block {
            [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
            // A literal with the indexed name `:status`; the value is three digits.
            [0x08 | 0x18 | 0x48, 3, digits @ ..] => digits[..3].iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')),
            [0x08 | 0x18 | 0x48, coded @ 0x81..=0xff, digits @ ..] => huffman_digits(&digits[..usize::from(coded & 0x7f)]),
            _ => 0,
        }
    }
}

/// Digits in the code of RFC 7541 appendix B: `0` to `2` have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |i| u16::from(byte >> i & 1)));
    let mut value = 0;
    for _ in 0..3 {
        let mut digit = bits.by_ref().take(5).fold(0, |n, bit| n << 1 | bit);
        if digit > 2 {
            digit = (digit << 1 | bits.next().unwrap_or(1)) - 0b01_1001 + 3;
        }
        value = value * 10 + digit;
    }
    value
}

/// A connection to the proxy.
pub(crate) struct Client {
    stream: TlsStream<TcpStream>,
}

impl Client {
    /// With no word spoken but TLS's.
    pub(crate) async fn silent(https: SocketAddr, authority: &Authority) -> Self {
        Self { stream: authority.connect_to(https, "shop.example", "h2").await.unwrap() }
    }

    /// With the usual beginning and these settings, acknowledged on both sides.
    pub(crate) async fn with(https: SocketAddr, authority: &Authority, values: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(https, authority).await;
        let own = [&[(setting::HEADER_TABLE_SIZE, 0)], values].concat();
        client.send(&[PREFACE, &settings(&own)].concat()).await;
        let (mut theirs, mut ours) = (false, false);
        while !(theirs && ours) {
            let frame = client.next().await.expect("the server's settings");
            if frame.kind == kind::SETTINGS && frame.flags & flag::ACK != 0 {
                ours = true;
            } else if frame.kind == kind::SETTINGS {
                theirs = true;
                client.send(&super::wire::frame(kind::SETTINGS, flag::ACK, 0, &[])).await;
            }
        }
        client
    }

    /// A server that has closed the connection already is not the sender's concern: what it said is read anyway.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = soon(async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await;
    }

    /// Sends and reads nothing; false when the server has ended the connection.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Splits it, to send while reading.
    pub(crate) fn split(self) -> (ReadHalf<TlsStream<TcpStream>>, WriteHalf<TlsStream<TcpStream>>) {
        tokio::io::split(self.stream)
    }

    /// The next frame; nothing when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        soon(self.read()).await.ok()
    }

    async fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }
}
