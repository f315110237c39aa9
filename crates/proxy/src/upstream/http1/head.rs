//! The head of an answer: read by httparse, and how long the body behind it is (RFC 9112 §6.3), decided without guessing.

use crate::edge::header::says_close;
use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode, Version};
use memchr::memmem;
use std::mem::MaybeUninit;

/// Header fields of an answer that there is room for at once, and those that one may have.
const USUAL_FIELDS: usize = 100;
const MAX_FIELDS: usize = 4096;
/// Room in the map for what the proxy adds on the answer's way, so that it need not grow.
const SPARE: usize = 8;
/// Bytes of an answer's head.
pub(crate) const MAX_HEAD: usize = 96 * 1024;
/// What is said of a larger one, and of one with more fields.
pub(crate) const TOO_LARGE: &str = "its head is larger than 96 KiB";
pub(crate) const TOO_MANY: &str = "its head has more than 4,096 fields";

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(u64),
    /// It says itself where it ends.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// A head and what it says about the connection.
#[derive(Debug)]
pub(crate) struct Head {
    pub(super) response: Response<()>,
    pub(super) length: Length,
    /// Another request may follow on this connection.
    pub(super) keep: bool,
}

/// Takes a head off the front of `input`; nothing if it is not whole yet. The error says what is wrong with it.
pub(super) fn take(input: &mut BytesMut, asked_head_only: bool) -> Result<Option<Head>, &'static str> {
    // Nothing new can be found before a line ends, so a head that comes byte by byte is not read again for each.
    // An empty line may end without CR, as httparse reads it.
    let whole = [&b"\n\r\n"[..], b"\n\n"].iter().any(|end| memmem::find(input, end).is_some());
    if !input.ends_with(b"\n") && !whole && input.len() <= MAX_HEAD {
        return Ok(None);
    }
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut many = Vec::new();
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let mut read = parser.parse_response_with_uninit_headers(&mut parsed, input, &mut usual);
    if read == Err(httparse::Error::TooManyHeaders) {
        many.resize_with(MAX_FIELDS, MaybeUninit::uninit);
        parsed = httparse::Response::new(&mut []);
        read = parser.parse_response_with_uninit_headers(&mut parsed, input, &mut many);
    }
    let end = match read {
        Ok(httparse::Status::Complete(end)) if end <= MAX_HEAD => end,
        // However much of it came at once.
        Ok(httparse::Status::Complete(_)) => return Err(TOO_LARGE),
        Ok(httparse::Status::Partial) if input.len() > MAX_HEAD => return Err(TOO_LARGE),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_MANY),
        Err(_) => return Err("its head is not HTTP/1.1"),
    };
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its status is none")?;
    let start = input.as_ptr().addr();
    let mut places = Vec::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a header's name is none")?;
        let at = field.value.as_ptr().addr() - start;
        places.push((name, at..at + field.value.len()));
    }
    let head = input.split_to(end).freeze();
    let mut headers = HeaderMap::with_capacity(places.len() + SPARE);
    for (name, place) in places {
        // Shares the head's memory instead of copying out of it.
        let value = HeaderValue::from_maybe_shared(head.slice(place)).map_err(|_| "a header's value is none")?;
        headers.append(name, value);
    }
    let length = length_of(status, version, &headers, asked_head_only)?;
    let clear = length != Length::UntilClose && !may_have_more(status, &headers, asked_head_only);
    let keep = version == Version::HTTP_11 && clear && !says_close(&headers);
    settle_length(status, &mut headers)?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(Some(Head { response, length, keep }))
}

/// The length that an answer's head states, however often it does (RFC 9110 §8.6).
fn stated(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let given = decimal(value.as_bytes()).ok_or("its Content-Length is none")?;
        if length.replace(given).is_some_and(|other| other != given) {
            return Err("it has two lengths");
        }
    }
    Ok(length)
}

/// Leaves one length where there are several equal ones, and none where there may be none (RFC 9110 §8.6): a client of HTTP/2 takes either for a
/// broken message.
pub(crate) fn settle_length(status: StatusCode, headers: &mut HeaderMap) -> Result<(), &'static str> {
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
        && let Some(length) = stated(headers)?
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok(())
}

fn length_of(status: StatusCode, version: Version, headers: &HeaderMap, asked_head_only: bool) -> Result<Length, &'static str> {
    let coding = one(headers, &TRANSFER_ENCODING, "it has more than one Transfer-Encoding")?;
    let length = stated(headers)?;
    if let Some(coding) = coding {
        if length.is_some() || version == Version::HTTP_10 {
            return Err("it has two ways to end");
        }
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err("its Transfer-Encoding is not chunked");
        }
    }
    if asked_head_only || status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Ok(Length::Known(0));
    }
    Ok(match (coding, length) {
        (Some(_), _) => Length::Chunked,
        (None, Some(length)) => Length::Known(length),
        (None, None) => Length::UntilClose,
    })
}

/// True for an answer that must have no body and may have one all the same: every answer to HEAD (a bare WSGI function behind gunicorn sends
/// what it would send to GET), and 204 or 304 with a length. Those bytes would be the beginning of the answer to whoever is next on the connection.
fn may_have_more(status: StatusCode, headers: &HeaderMap, asked_head_only: bool) -> bool {
    let says = |name| headers.get(name).is_some_and(|value| value != "0");
    let bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    asked_head_only || bare && (says(CONTENT_LENGTH) || says(TRANSFER_ENCODING))
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName, several: &'static str) -> Result<Option<&'a HeaderValue>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(several) } else { Ok(first) }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(Length, bool)>, &'static str> {
        take(&mut BytesMut::from(text), false).map(|head| head.map(|head| (head.length, head.keep)))
    }

    #[test]
    fn a_body_has_one_length() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (Length::Known(5), true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", (Length::Known(5), true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", (Length::Chunked, true)),
            ("HTTP/1.1 204 OK\r\n\r\n", (Length::Known(0), true)),
            ("HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n", (Length::Known(0), false)),
            ("HTTP/1.1 304 OK\r\nTransfer-Encoding: chunked\r\n\r\n", (Length::Known(0), false)),
            ("HTTP/1.1 304 OK\r\nConnection: x, Close\r\n\r\n", (Length::Known(0), false)),
            ("HTTP/1.1 200 OK\r\n\r\n", (Length::UntilClose, false)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", (Length::Known(0), false)),
        ] {
            assert_eq!(read(text), Ok(Some(expected)), "{text}");
        }
        let head = take(&mut BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), true).unwrap().unwrap();
        assert_eq!((head.length, head.keep), (Length::Known(0), false));
    }

    #[test]
    fn one_length_goes_on_and_none_where_there_is_no_body() {
        let lengths = |text: &str| {
            let head = take(&mut BytesMut::from(text), false).unwrap().unwrap();
            head.response.headers().get_all(CONTENT_LENGTH).iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(lengths("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 005\r\n\r\n"), ["5"]);
        assert_eq!(lengths("HTTP/1.1 304 No\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), ["5"]);
        assert!(lengths("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n").is_empty());
    }

    #[test]
    fn what_could_end_in_two_places_is_no_answer() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -1",
            "Content-Length: 0x5",
            "Content-Length:",
            "Content-Length: 99999999999999999999999",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Content-Length : 5",
            "X: a\r\n Content-Length: 5",
        ] {
            assert!(read(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")).is_err(), "{lines}");
        }
        assert!(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(read("HTTP/2 200 OK\r\n\r\n").is_err() && read("HTTP/1.1 99 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_head_is_waited_for_and_bounded() {
        let whole = "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\nrest";
        for end in 0..whole.len() - 4 {
            assert_eq!(read(&whole[..end]), Ok(None), "{end}");
        }
        let mut input = BytesMut::from(whole);
        let head = take(&mut input, true).unwrap().unwrap();
        assert_eq!(head.response.headers().get_all("a").iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(&input[..], b"rest");
        // However its lines end, and whether its body comes with it.
        for head in ["HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n\n", "HTTP/1.1 200 OK\nA: b\n\r\n"] {
            let mut input = BytesMut::from(&format!("{head}body")[..]);
            assert!(take(&mut input, false).unwrap().is_some(), "{head:?} is waited for");
            assert_eq!(&input[..], b"body");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD));
        assert_eq!(read(&long), Err(TOO_LARGE));
        let fields = |count| read(&format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{}\r\n", "A: b\r\n".repeat(count)));
        assert_eq!([fields(100), fields(MAX_FIELDS - 1)], [const { Ok(Some((Length::Known(5), true))) }; 2]);
        assert_eq!(fields(MAX_FIELDS), Err(TOO_MANY));
        let wide = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: {}\r\n\r\n", "x".repeat(80 * 1024));
        assert_eq!(read(&wide), Ok(Some((Length::Known(5), true))));
    }
}
