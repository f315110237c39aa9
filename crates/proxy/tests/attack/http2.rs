//! HTTP/2 frames by hand, because every client library would refuse to send these requests. Header blocks are written as literals without
//! index or Huffman coding (RFC 7541 §6.2.2), so a name and a value can be any bytes.
//!
//! In a case each line is a field, `name: value`; after an empty line comes the body, after `[trailers]` come the fields of the trailer. An
//! answer is a status, `reset` (the stream) or `closed` (the connection).

use crate::case::{Case, unescape};
use crate::harness::{Running, soon};
use landfall_model::route::CertificateFiles;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const STREAM: u32 = 1;

/// A certificate for the site, in `directory`.
pub(crate) fn certificate(directory: &Path) -> CertificateFiles {
    let key = KeyPair::generate().unwrap();
    let chain = CertificateParams::new(["shop.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let file = |ending: &str| directory.join(format!("shop.{ending}")).display().to_string();
    std::fs::write(file("pem"), chain).unwrap();
    std::fs::write(file("key"), key.serialize_pem()).unwrap();
    CertificateFiles { hosts: vec!["shop.example".to_owned()], chain: file("pem"), key: file("key"), fingerprint: "shop".to_owned() }
}

/// A connection with TLS that speaks `protocol`.
pub(crate) async fn connect(proxy: &Running, protocol: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(proxy.home.path().join("shop.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(proxy.https).await.unwrap();
    let name = ServerName::try_from("shop.example").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// Sends the case's request and answers what came back.
pub(crate) async fn send(proxy: &Running, case: &Case) -> Vec<String> {
    let (mut from, mut to) = tokio::io::split(connect(proxy, "h2").await);
    let bytes = request(case);
    let write = async {
        let _ = to.write_all(&bytes).await;
        let _ = to.flush().await;
    };
    let (answers, ()) = soon(async { tokio::join!(answers(&mut from), write) }).await;
    answers
}

/// Asks for `path` with a window of zero and then only shows that it is alive, until the proxy has had enough.
pub(crate) async fn take_nothing(proxy: &Running, path: &str) {
    let (mut from, mut to) = tokio::io::split(connect(proxy, "h2").await);
    let fields = [":method: GET", ":scheme: https", ":authority: shop.example", &format!(":path: {path}")].map(str::to_owned);
    let no_window = [0, 4, 0, 0, 0, 0];
    let asked = frame(HEADERS, END_HEADERS | END_STREAM, STREAM, &block(&fields));
    to.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &no_window), &asked].concat()).await.unwrap();
    let mut answered = false;
    while let Some((head, payload)) = next(&mut from).await {
        match head[3] {
            PING if head[4] & ACK == 0 => to.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap(),
            HEADERS => answered = true,
            DATA => assert!(payload.is_empty(), "more than the window"),
            _ => {}
        }
    }
    assert!(answered);
}

fn request(case: &Case) -> Vec<u8> {
    let blank = case.lines.iter().position(String::is_empty);
    let (head, rest) = case.lines.split_at(blank.unwrap_or(case.lines.len()));
    let trailers = rest.iter().position(|line| line == "[trailers]");
    let (body, trailers) = rest.split_at(trailers.unwrap_or(rest.len()));
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let ends = |last: bool| if last { END_STREAM } else { 0 };
    bytes.extend(frame(HEADERS, END_HEADERS | ends(rest.is_empty()), STREAM, &block(head)));
    if !rest.is_empty() {
        let body = Case { lines: body[1..].to_vec(), ..case.clone() }.bytes();
        bytes.extend(frame(DATA, ends(trailers.is_empty()), STREAM, &body));
    }
    if let [_, fields @ ..] = trailers {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, STREAM, &block(fields)));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn block(fields: &[String]) -> Vec<u8> {
    let mut block = Vec::new();
    for field in fields {
        let (name, value) = field.split_at(1 + field[1..].find(": ").unwrap_or_else(|| panic!("{field:?} is no field")));
        block.push(0);
        for text in [unescape(name), unescape(&value[2..])] {
            length(&mut block, text.len());
            block.extend(text);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else { return block.push(u8::try_from(length).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The next frame: its nine bytes and its payload; nothing at the end.
async fn next(from: &mut (impl AsyncRead + Unpin)) -> Option<([u8; 9], Vec<u8>)> {
    let mut head = [0; 9];
    from.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    from.read_exact(&mut payload).await.ok()?;
    Some((head, payload))
}

async fn answers(from: &mut (impl AsyncRead + Unpin)) -> Vec<String> {
    let mut answers = Vec::new();
    loop {
        let Some((head, payload)) = next(from).await else {
            answers.push("closed".to_owned());
            return answers;
        };
        let own = head[5..] == STREAM.to_be_bytes();
        match head[3] {
            HEADERS if own => answers.push(status(&payload)),
            RST_STREAM if own && payload == [0; 4] => return answers,
            RST_STREAM if own => answers.push("reset".to_owned()),
            GOAWAY if payload[4..8] != [0; 4] => answers.push("closed".to_owned()),
            _ => {}
        }
        let ended = own && matches!(head[3], HEADERS | DATA) && head[4] & END_STREAM != 0;
        if ended || answers.iter().any(|answer| matches!(answer.as_str(), "reset" | "closed")) {
            return answers;
        }
    }
}

/// The first field of an answer: an entry of the static table, or the name of one and three digits in Huffman coding (RFC 7541, A and B).
fn status(block: &[u8]) -> String {
    let known = ["200", "204", "206", "304", "400", "404", "500"];
    if let Some(status) = block[0].checked_sub(0x88).and_then(|index| known.get(usize::from(index))) {
        return (*status).to_owned();
    }
    let mut bits = block[2..5].iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << 8;
    let mut digits = String::new();
    for _ in 0..3 {
        let short = bits >> 27;
        let (digit, length) = if short <= 2 { (short, 5) } else { ((bits >> 26) - 0x19 + 3, 6) };
        digits.push(char::from_digit(digit, 10).unwrap());
        bits <<= length;
    }
    digits
}
