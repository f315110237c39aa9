//! Header blocks: how they are cut into frames (RFC 9113 §4.3, §6.2, §6.10) and what may be in them (§8.2, §8.3).

use super::wire::{code, continuation, data, fields, flag, frame, get, headers, kind, ping, post, request, settings};
use super::{Case, Expect, case, keep};

const MALFORMED: &[u32] = &[code::PROTOCOL];

#[tokio::test]
async fn a_block_is_one_whole_however_it_is_cut() {
    let block = request("GET", "/9", &[("x-long", &"y".repeat(300))]);
    let cut = |at: usize| block.split_at(at);
    let open = |at| headers(1, flag::END_STREAM, cut(at).0);
    keep(vec![
        case("9113 §6.10", "CONTINUATION goes on with the block")
            .send(open(20))
            .send(continuation(1, flag::END_HEADERS, cut(20).1))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.10", "it may be cut within a field's name")
            .send(open(3))
            .send(continuation(1, flag::END_HEADERS, cut(3).1))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.10", "HEADERS may be empty")
            .send(open(0))
            .send(continuation(1, flag::END_HEADERS, &block))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.10", "so may CONTINUATION")
            .send(open(20))
            .send(continuation(1, 0, b""))
            .send(continuation(1, flag::END_HEADERS, cut(20).1))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.10", "several of them")
            .send(open(20))
            .send(block[20..].chunks(100).map(|part| continuation(1, 0, part)).collect::<Vec<_>>().concat())
            .send(continuation(1, flag::END_HEADERS, b""))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.10", "END_STREAM counts when the block has ended")
            .send(headers(1, 0, cut(20).0))
            .send(continuation(1, flag::END_HEADERS, cut(20).1))
            .send(data(1, flag::END_STREAM, b""))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.10", "CONTINUATION of another stream")
            .send(open(20))
            .send(continuation(3, flag::END_HEADERS, cut(20).1))
            .goaway(MALFORMED),
        case("9113 §6.10", "CONTINUATION on stream 0").send(open(20)).send(continuation(0, flag::END_HEADERS, cut(20).1)).goaway(MALFORMED),
        case("9113 §6.10", "HEADERS within a block").send(open(20)).send(get(3, "/0")).goaway(MALFORMED),
        case("9113 §6.10", "HEADERS of the same stream within a block").send(open(20)).send(get(1, "/0")).goaway(MALFORMED),
        case("9113 §6.10", "DATA within a block").send(open(20)).send(data(1, 0, b"x")).goaway(MALFORMED),
        case("9113 §6.10", "PING within a block").send(open(20)).send(ping(b"too soon")).goaway(MALFORMED),
        case("9113 §6.10", "SETTINGS within a block").send(open(20)).send(settings(&[])).goaway(MALFORMED),
        case("9113 §6.10", "PRIORITY within a block").send(open(20)).send(frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 1])).goaway(MALFORMED),
        case("9113 §6.10", "WINDOW_UPDATE within a block").send(open(20)).send(super::wire::window(0, 1)).goaway(MALFORMED),
        case("9113 §6.10", "RST_STREAM within a block").send(open(20)).send(super::wire::reset(1, code::CANCEL)).goaway(MALFORMED),
        case("9113 §6.10", "CONTINUATION after the end of the block")
            .send(post(1, "/len"))
            .send(continuation(1, flag::END_HEADERS, b""))
            .goaway(MALFORMED),
        case("9113 §6.10", "CONTINUATION after DATA")
            .send(post(1, "/len"))
            .send(data(1, 0, b"x"))
            .send(continuation(1, flag::END_HEADERS, b""))
            .goaway(MALFORMED),
        case("9113 §10.5.1", "a block larger than the server takes")
            .send(large())
            .expect(Expect::Either(1, &[code::ENHANCE_YOUR_CALM, code::PROTOCOL, code::COMPRESSION])),
        case("9113 §10.5.1", "a list a little larger than it takes is answered")
            .send(headers(1, flag::END_STREAM, &bulky()[..16_000]))
            .send(continuation(1, 0, &bulky()[16_000..32_000]))
            .send(continuation(1, flag::END_HEADERS, &bulky()[32_000..]))
            .status(1, 431),
    ])
    .await;
}

/// A request of 34,000 bytes, which is more than 32 KiB.
fn bulky() -> Vec<u8> {
    request("GET", "/0", &[("x-bulk", &"y".repeat(34_000))])
}

/// A request of a megabyte.
fn large() -> Vec<u8> {
    let block = request("GET", "/0", &[("x-bulk", &"y".repeat(1_000_000))]);
    let mut parts = block.chunks(16_000);
    let first = headers(1, flag::END_STREAM, parts.next().unwrap());
    let rest = parts.flat_map(|part| continuation(1, 0, part));
    first.into_iter().chain(rest).chain(continuation(1, flag::END_HEADERS, b"")).collect()
}

/// A request made of these fields alone must be taken for malformed.
fn malformed(says: &'static str, section: &'static str, list: &[(&str, &str)]) -> Case {
    case(section, says).send(headers(1, flag::ALL, &fields(list))).expect(Expect::Malformed(1))
}

#[tokio::test]
async fn pseudo_fields_are_few_and_come_first() {
    const METHOD: (&str, &str) = (":method", "GET");
    const SCHEME: (&str, &str) = (":scheme", "https");
    const HOST: (&str, &str) = (":authority", "shop.example");
    const PATH: (&str, &str) = (":path", "/0");
    let section = "9113 §8.3";
    keep(vec![
        malformed("one nobody knows", section, &[METHOD, SCHEME, HOST, PATH, (":version", "2")]),
        malformed("one of answers", section, &[METHOD, SCHEME, HOST, PATH, (":status", "200")]),
        malformed("one after a usual field", section, &[METHOD, SCHEME, HOST, ("x", "y"), PATH]),
        malformed("one that is empty but for the colon", section, &[METHOD, SCHEME, HOST, PATH, (":", "x")]),
        malformed("no method", "9113 §8.3.1", &[SCHEME, HOST, PATH]),
        malformed("no scheme", "9113 §8.3.1", &[METHOD, HOST, PATH]),
        malformed("no path", "9113 §8.3.1", &[METHOD, SCHEME, HOST]),
        malformed("an empty path", "9113 §8.3.1", &[METHOD, SCHEME, HOST, (":path", "")]),
        malformed("a path without a slash", "9113 §8.3.1", &[METHOD, SCHEME, HOST, (":path", "0")]),
        malformed("two methods", "9113 §8.3.1", &[METHOD, METHOD, SCHEME, HOST, PATH]),
        malformed("two schemes", "9113 §8.3.1", &[METHOD, SCHEME, SCHEME, HOST, PATH]),
        malformed("two paths", "9113 §8.3.1", &[METHOD, SCHEME, HOST, PATH, PATH]),
        malformed("two authorities", "9113 §8.3.1", &[METHOD, SCHEME, HOST, HOST, PATH]),
        malformed("no authority and no Host", "9113 §8.3.1", &[METHOD, SCHEME, PATH]),
        malformed("an authority with a user", "9113 §8.3.1", &[METHOD, SCHEME, (":authority", "me@shop.example"), PATH]),
        malformed("Host says something else", "9113 §8.3.1", &[METHOD, SCHEME, HOST, PATH, ("host", "other.example")]),
        case("9113 §8.3.1", "Host says the same")
            .send(headers(1, flag::ALL, &fields(&[METHOD, SCHEME, HOST, PATH, ("host", "shop.example")])))
            .status(1, 200),
        case("9113 §8.3.1", "Host alone")
            .send(headers(1, flag::ALL, &fields(&[METHOD, SCHEME, PATH, ("host", "shop.example")])))
            .status(1, 200),
        case("9113 §8.3.1", "in any order").send(headers(1, flag::ALL, &fields(&[PATH, HOST, SCHEME, METHOD]))).status(1, 200),
        malformed("an empty method", "9113 §8.3.1", &[(":method", ""), SCHEME, HOST, PATH]),
        malformed("a method that is no token", "9113 §8.3.1", &[(":method", "GE T"), SCHEME, HOST, PATH]),
        malformed("a path with a blank", "9113 §8.3.1", &[METHOD, SCHEME, HOST, (":path", "/0 HTTP/1.1")]),
        malformed("`*` without OPTIONS", "9113 §8.3.1", &[METHOD, SCHEME, HOST, (":path", "*")]),
        malformed("CONNECT with a path and no protocol", "9113 §8.5", &[(":method", "CONNECT"), SCHEME, HOST, PATH]),
        malformed("a protocol without CONNECT", "8441 §4", &[METHOD, SCHEME, HOST, PATH, (":protocol", "websocket")]),
    ])
    .await;
}

#[tokio::test]
async fn fields_are_lower_case_and_have_no_hop_to_hop_meaning() {
    let with = |section, says, name: &str, value: &str| {
        case(section, says).send(headers(1, flag::ALL, &request("GET", "/0", &[(name, value)]))).expect(Expect::Malformed(1))
    };
    keep(vec![
        with("9113 §8.2", "a name in upper case", "X-Upper", "y"),
        with("9113 §8.2.1", "a name with one letter in upper case", "x-uppeR", "y"),
        with("9113 §8.2.1", "an empty name", "", "y"),
        with("9113 §8.2.1", "a name with a blank", "x y", "z"),
        with("9113 §8.2.1", "a name with a colon", "x:y", "z"),
        with("9113 §8.2.1", "a name with a line end", "x\r\ny", "z"),
        with("9113 §8.2.1", "a name beyond ASCII", "x-\u{e9}", "z"),
        with("9113 §8.2.1", "a value with NUL", "x", "a\0b"),
        with("9113 §8.2.1", "a value with a line feed", "x", "a\nsmuggled: yes"),
        with("9113 §8.2.1", "a value with a carriage return", "x", "a\rb"),
        with("9113 §8.2.1", "a value with a whole request", "x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: shop.example"),
        with("9113 §8.2.2", "Connection", "connection", "keep-alive"),
        with("9113 §8.2.2", "Keep-Alive", "keep-alive", "timeout=5"),
        with("9113 §8.2.2", "Proxy-Connection", "proxy-connection", "keep-alive"),
        with("9113 §8.2.2", "Transfer-Encoding", "transfer-encoding", "chunked"),
        with("9113 §8.2.2", "Upgrade", "upgrade", "websocket"),
        with("9113 §8.2.2", "TE with more than trailers", "te", "trailers, deflate"),
        case("9113 §8.2.2", "TE: trailers").send(headers(1, flag::ALL, &request("GET", "/0", &[("te", "trailers")]))).status(1, 200),
        case("9113 §8.2.3", "Cookie may be cut")
            .send(headers(1, flag::ALL, &request("GET", "/0", &[("cookie", "a=1"), ("cookie", "b=2")])))
            .status(1, 200),
    ])
    .await;
}
