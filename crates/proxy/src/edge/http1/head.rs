//! The head of a request: one reading of it, or none.
//!
//! httparse reads the fields; what it would let pass is refused here: a line that ends without CR, an empty line that is none, and every way of saying
//! twice, or unusually, how long the body is (RFC 9112 §6.3 allows to repair some of these; who sends them is an attack or a bug).

use crate::chunked::Chunked;
use crate::edge::header::says_close;
use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Uri, Version};
use memchr::memchr_iter;
use std::mem::MaybeUninit;

/// Bytes of a head.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
pub(crate) const MAX_FIELDS: usize = 100;
/// Longer bodies have lengths that are negative for some.
const MAX_LENGTH: u64 = i64::MAX as u64;
/// Room in the map for what the proxy adds on the request's way, so that it need not grow.
const SPARE: usize = 8;

/// How long a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked(Chunked),
}

/// A head and what it says about the connection.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) length: Length,
    /// The client waits to be told to send the body (RFC 9110 §10.1.1).
    pub(super) expects: bool,
    /// Another request may follow.
    pub(super) keep: bool,
}

/// Why it is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It can be understood in more than one way; says what.
    Ambiguous(&'static str),
    /// It is larger than a head may be.
    TooLarge,
}

/// Finds the end of a head that comes in pieces, looking at every byte once.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// Bytes seen so far.
    seen: usize,
    /// Where the line under way begins.
    line: usize,
}

impl Finder {
    /// Takes a head off the front of `input`; nothing if it is not whole yet.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Option<Head>, Bad> {
        let Some(end) = self.end(input)? else { return Ok(None) };
        *self = Self::default();
        parse(input, end).map(Some)
    }

    fn end(&mut self, input: &mut BytesMut) -> Result<Option<usize>, Bad> {
        // A server should ignore an empty line before a request (RFC 9112 §2.2).
        while self.line == 0 && input.starts_with(b"\r\n") {
            let _ = input.split_to(2);
            self.seen = 0;
        }
        for at in memchr_iter(b'\n', &input[self.seen..]) {
            let at = self.seen + at;
            if at == self.line || input[at - 1] != b'\r' {
                return Err(Bad::Ambiguous("where its lines end"));
            }
            if at - 1 == self.line {
                return if at < MAX_HEAD { Ok(Some(at + 1)) } else { Err(Bad::TooLarge) };
            }
            self.line = at + 1;
        }
        self.seen = input.len();
        match (self.seen >= MAX_HEAD, input.first()) {
            (true, _) => Err(Bad::TooLarge),
            (_, Some(b'\r')) if input.len() > 1 => Err(Bad::Ambiguous("where it begins")),
            _ => Ok(None),
        }
    }
}

fn parse(input: &mut BytesMut, end: usize) -> Result<Head, Bad> {
    const NONE: Bad = Bad::Ambiguous("its header");
    let text = input.split_to(end).freeze();
    if input.is_empty() {
        // What was split off shares its memory, which an idle connection must not hold.
        *input = BytesMut::new();
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(&text, &mut fields) {
        Ok(httparse::Status::Complete(read)) if read == end => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Bad::TooLarge),
        Ok(_) | Err(_) => return Err(NONE),
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(|_| NONE)?;
    let target = text.slice_ref(parsed.path.unwrap_or_default().as_bytes());
    let target = Uri::from_maybe_shared(target).map_err(|_| Bad::Ambiguous("its target"))?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + SPARE);
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| NONE)?;
        // Shares the head's memory instead of copying out of it.
        let value = if field.value.is_empty() {
            HeaderValue::from_static("")
        } else {
            HeaderValue::from_maybe_shared(text.slice_ref(field.value)).map_err(|_| NONE)?
        };
        headers.append(name, value);
    }
    let length = length(&headers, version)?;
    let keep = version == Version::HTTP_11 && !says_close(&headers);
    let expects = version == Version::HTTP_11 && length != Length::Known(0) && headers.contains_key(EXPECT);
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    Ok(Head { request, length, expects, keep })
}

fn length(headers: &HeaderMap, version: Version) -> Result<Length, Bad> {
    const WHERE: Bad = Bad::Ambiguous("where it ends");
    let only = |name| -> Result<Option<&HeaderValue>, Bad> {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        if values.next().is_some() { Err(WHERE) } else { Ok(first) }
    };
    match (only(TRANSFER_ENCODING)?, only(CONTENT_LENGTH)?) {
        (None, None) => Ok(Length::Known(0)),
        (None, Some(value)) => decimal(value.as_bytes()).filter(|length| *length <= MAX_LENGTH).map(Length::Known).ok_or(WHERE),
        (Some(coding), None) if version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Length::Chunked(Chunked::default()))
        }
        (Some(_), _) => Err(WHERE),
    }
}

/// A length in digits only: no sign, no space, no hexadecimal, and no zero before it, which makes it octal for some.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) || value.len() > 1 && value.starts_with(b"0") {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(text: &str) -> Result<Option<Head>, Bad> {
        Finder::default().take(&mut BytesMut::from(text))
    }

    #[test]
    fn requests_with_two_possible_ends_are_refused() {
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: +3",
            "Content-Length: 0x3",
            "Content-Length: 03",
            "Content-Length: 3, 3",
            "Content-Length:",
            "Content-Length: 9223372036854775808",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "X: bare line feed\nY: z",
            "X: folded\r\n line",
            "X : space",
            " X: space",
            "X\r\nY: z",
        ] {
            assert!(matches!(take(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n")), Err(Bad::Ambiguous(_))), "{headers}");
        }
        assert!(take("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        for start in ["\n", "\r\n\n", "\r\r\n", "\rG", "G\n", "GET / HTTP/1.1\n\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n"] {
            assert!(take(start).is_err(), "{start:?}");
        }
    }

    #[test]
    fn a_head_says_how_long_its_body_is_and_what_follows() {
        let head = |lines: &str| take(&format!("POST /x?y HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).unwrap().unwrap();
        assert_eq!(head("").length, Length::Known(0));
        assert_eq!(head("Content-Length: 5\r\n").length, Length::Known(5));
        assert!(matches!(head("Transfer-Encoding: Chunked\r\n").length, Length::Chunked(_)));
        assert!(head("").keep && !head("Connection: x, Close\r\n").keep);
        assert!(head("Content-Length: 5\r\nExpect: 100-continue\r\n").expects && !head("Expect: 100-continue\r\n").expects);
        assert!(!take("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep);
        assert_eq!(head("X:\r\nX: 1 \r\n").request.headers().get_all("x").iter().collect::<Vec<_>>(), ["", "1"]);
    }

    #[test]
    fn a_head_is_bounded() {
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(take(&long).unwrap_err(), Bad::TooLarge);
        assert_eq!(take(&format!("{long}\r\n\r\n")).unwrap_err(), Bad::TooLarge);
        assert_eq!(take(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101))).unwrap_err(), Bad::TooLarge);
    }

    proptest! {
        #[test]
        fn where_reads_end_makes_no_difference(cuts in proptest::collection::vec(1usize..20, 0..40)) {
            const TEXT: &[u8] = b"\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\nGET /y HTTP/1.1\r\n\r\nrest";
            let (mut finder, mut input, mut rest, mut paths) = (Finder::default(), BytesMut::new(), TEXT, Vec::new());
            for cut in cuts.into_iter().chain([TEXT.len()]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                input.extend_from_slice(now);
                rest = later;
                while let Some(head) = finder.take(&mut input).unwrap() {
                    paths.push(head.request.uri().path().to_owned());
                }
            }
            prop_assert_eq!(paths, ["/x", "/y"]);
            prop_assert_eq!(&input[..], b"rest");
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..300), step in 1usize..50) {
            let (mut finder, mut input) = (Finder::default(), BytesMut::new());
            for part in bytes.chunks(step) {
                input.extend_from_slice(part);
                while matches!(finder.take(&mut input), Ok(Some(_))) {}
            }
        }
    }
}
