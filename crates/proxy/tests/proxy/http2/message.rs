//! Requests made of frames (RFC 9113 §8.1, §8.6): the length that was promised, trailers, and what ends when.

use super::wire::{code, data, fields, flag, get, headers, post, request, reset};
use super::{Case, Expect, case, keep};

/// A request that promises a length and sends these pieces.
fn promised(says: &'static str, length: &str, pieces: &[&[u8]]) -> Case {
    let mut case = case("9113 §8.1.1", says).send(headers(1, flag::END_HEADERS, &request("POST", "/len", &[("content-length", length)])));
    for (i, piece) in pieces.iter().enumerate() {
        let last = if i + 1 == pieces.len() { flag::END_STREAM } else { flag::NONE };
        case = case.send(data(1, last, piece));
    }
    case
}

fn trailers(list: &[(&str, &str)]) -> Vec<u8> {
    headers(1, flag::ALL, &fields(list))
}

#[tokio::test]
async fn a_length_is_kept() {
    let malformed = Expect::Malformed;
    keep(vec![
        promised("as long as it says", "6", &[b"abc", b"def"]).status(1, 200),
        promised("shorter than it says", "7", &[b"abc", b"def"]).expect(malformed(1)),
        promised("longer than it says", "5", &[b"abc", b"def"]).expect(malformed(1)),
        promised("longer in one piece", "2", &[b"abc"]).expect(malformed(1)),
        promised("nothing where something is promised", "1", &[b""]).expect(malformed(1)),
        // The request was complete with its head, so that it may have been answered already: then the rest is refused with NO_ERROR (§8.1).
        promised("something where nothing is promised", "0", &[b"x"]).expect(Expect::Either(1, &[code::PROTOCOL, code::NO_ERROR])),
        promised("no number", "x", &[b"x"]).expect(malformed(1)),
        promised("a sign before it", "+1", &[b"x"]).expect(malformed(1)),
        promised("below zero", "-1", &[b"x"]).expect(malformed(1)),
        promised("in hexadecimal", "0x1", &[b"x"]).expect(malformed(1)),
        promised("beyond 64 bits", "18446744073709551617", &[b"x"]).expect(malformed(1)),
        promised("twice in one field", "1, 2", &[b"x"]).expect(malformed(1)),
        case("9113 §8.1.1", "twice and different")
            .send(headers(1, flag::END_HEADERS, &request("POST", "/len", &[("content-length", "1"), ("content-length", "2")])))
            .send(data(1, flag::END_STREAM, b"x"))
            .expect(malformed(1)),
        case("9113 §8.1.1", "promised, and the request ends with its head")
            .send(headers(1, flag::ALL, &request("POST", "/len", &[("content-length", "1")])))
            .expect(malformed(1)),
        case("9113 §8.1.1", "0 promised, and the request ends with its head")
            .send(headers(1, flag::ALL, &request("POST", "/len", &[("content-length", "0")])))
            .status(1, 200),
    ])
    .await;
}

#[tokio::test]
async fn trailers_are_fields_that_end_the_stream() {
    let body = || case("9113 §8.1", "").send(post(1, "/len")).send(data(1, 0, b"body"));
    let says = |says: &'static str, mut case: Case| {
        case.says = says;
        case
    };
    keep(vec![
        says("trailers may follow the body", body().send(trailers(&[("x-sum", "1")])).status(1, 200)),
        says("trailers without a body", case("9113 §8.1", "").send(post(1, "/len")).send(trailers(&[("x-sum", "1")])).status(1, 200)),
        says(
            "trailers that do not end the stream",
            body().send(headers(1, flag::END_HEADERS, &fields(&[("x-sum", "1")]))).expect(Expect::Malformed(1)),
        ),
        says("a field in upper case in them", body().send(trailers(&[("X-Sum", "1")])).expect(Expect::Malformed(1))),
        says("a hop's field in them", body().send(trailers(&[("connection", "close")])).expect(Expect::Malformed(1))),
        says(
            "DATA after them",
            body().send(trailers(&[("x-sum", "1")])).send(data(1, 0, b"x")).expect(Expect::Either(1, &[code::STREAM_CLOSED])),
        ),
    ])
    .await;
}

/// RFC 9113 §8.1 wants these to be malformed. The library takes the pseudo fields away and carries the rest, so that what is forwarded is whole
/// and says nothing the client did not say in its place; to see them, every block would have to be decoded twice.
#[tokio::test]
async fn what_the_library_forgives() {
    let body = |says| case("9113 §8.1", says).send(post(1, "/len")).send(data(1, 0, b"body"));
    keep(vec![
        body("a pseudo field in trailers is dropped").send(trailers(&[(":method", "GET")])).expect(Expect::Body(1, 1)),
        body("a second request in place of trailers is none").send(get(1, "/9")).expect(Expect::Body(1, 1)),
    ])
    .await;
}

#[tokio::test]
async fn requests_are_independent() {
    keep(vec![
        case("9113 §5", "one that waits does not hold up another").send(get(1, "/never")).send(get(3, "/9")).expect(Expect::Body(3, 9)),
        case("9113 §5", "one that is malformed neither")
            .send(headers(1, flag::ALL, &request("GET", "/0", &[("connection", "close")])))
            .send(get(3, "/9"))
            .expect(Expect::BodyAfterReset(1, 3, 9)),
        case("9113 §8.1", "a body may be given up")
            .send(post(1, "/len"))
            .send(data(1, 0, b"x"))
            .send(reset(1, code::CANCEL))
            .send(get(3, "/0"))
            .status(3, 200),
        case("9113 §8.1", "HEAD has a length and no body")
            .send(headers(1, flag::ALL, &request("HEAD", "/9", &[])))
            .expect(Expect::Body(1, 0)),
        case("9113 §8.5", "CONNECT is not for this server")
            .send(headers(1, flag::END_HEADERS, &fields(&[(":method", "CONNECT"), (":authority", "shop.example:80")])))
            .status(1, 405),
        case("8441 §4", "a protocol nobody speaks")
            .send(headers(
                1,
                flag::END_HEADERS,
                &fields(&[
                    (":method", "CONNECT"),
                    (":protocol", "telnet"),
                    (":scheme", "https"),
                    (":authority", "shop.example"),
                    (":path", "/"),
                ]),
            ))
            .status(1, 501),
        case("9113 §8.1", "OPTIONS asks for a path too").send(headers(1, flag::ALL, &request("OPTIONS", "/0", &[]))).status(1, 200),
        case("9113 §8.1", "250 at once")
            .send((0..250).flat_map(|i| get(1 + 2 * i, "/0")).collect::<Vec<u8>>())
            .answered(499)
            .status(499, 200),
    ])
    .await;
}
