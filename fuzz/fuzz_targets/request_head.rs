//! Heads of requests. However they arrive they read alike, and what is accepted says once, in the strict words of RFC 9112, what it is and where it ends.

#![no_main]

use http::{HeaderMap, Version};
use landfall_fuzz::pieces::ways;
use landfall_proxy::fuzzing::{RequestHead, Requests};

/// What is read: every head, with how many bytes were left behind it, and whether something is refused.
fn read(parts: &[&[u8]], total: usize) -> (Vec<(RequestHead, usize)>, bool) {
    let (mut requests, mut heads, mut pushed) = (Requests::default(), Vec::new(), 0);
    for part in parts {
        requests.push(part);
        pushed += part.len();
        loop {
            match requests.take() {
                Err(_) => return (heads, true),
                Ok(None) => break,
                Ok(Some(head)) => {
                    let ended = head.length != Some(0);
                    heads.push((head, total - pushed + requests.rest().len()));
                    // What follows is its body.
                    if ended {
                        return (heads, false);
                    }
                }
            }
        }
    }
    (heads, false)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Reads the lines of a head without any library: method, target, version, fields.
fn slowly(text: &[u8]) -> (Vec<u8>, Vec<u8>, u8, Vec<(Vec<u8>, Vec<u8>)>) {
    let text = text.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    let text = String::from_utf8(text.iter().map(|b| if *b < 128 { *b } else { b'?' }).collect()).expect("ASCII");
    let mut lines = text.split("\r\n");
    let first = lines.next().expect("a first line");
    let [method, target, version] = first.split(' ').collect::<Vec<_>>()[..] else { panic!("{first:?} is no request line") };
    let minor = version.strip_prefix("HTTP/1.").expect("HTTP/1");
    let fields = lines.map(|line| {
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?} is more than a line");
        let (name, value) = line.split_once(':').expect("a field has a colon");
        assert!(is_token(name.as_bytes()), "{name:?} is no name");
        (name.to_ascii_lowercase().into_bytes(), value.trim_matches([' ', '\t']).as_bytes().to_vec())
    });
    assert!(is_token(method.as_bytes()) && !target.is_empty());
    (method.into(), target.into(), minor.parse().expect("a digit"), fields.collect())
}

fn only(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    assert!(values.len() <= 1, "two of {name}");
    values.first().map(|value| value.as_bytes().to_vec())
}

/// One accepted head against the bytes it was made of.
fn check(head: &RequestHead, text: &[u8]) {
    let (method, target, minor, fields) = slowly(text);
    assert_eq!(head.request.method().as_str().as_bytes(), method);
    assert_eq!(head.request.version(), if minor == 1 { Version::HTTP_11 } else { Version::HTTP_10 });
    assert!(!target.contains(&b' ') && target.iter().all(|b| *b > 32 && *b != 127));
    let headers = head.request.headers();
    assert_eq!(headers.len(), fields.len());
    for (name, value) in &fields {
        let same =
            |given: &http::HeaderValue| given.as_bytes().iter().map(|b| if *b < 128 { *b } else { b'?' }).collect::<Vec<_>>() == *value;
        assert!(headers.get_all(std::str::from_utf8(name).expect("ASCII")).iter().any(same), "{name:?} is lost or changed");
    }
    let (coding, length) = (only(headers, "transfer-encoding"), only(headers, "content-length"));
    match (coding, length) {
        (Some(coding), None) => assert!(coding.eq_ignore_ascii_case(b"chunked") && head.length.is_none() && minor == 1),
        (None, Some(length)) => {
            let length = String::from_utf8(length).expect("digits");
            assert_eq!(head.length.expect("a length").to_string(), length);
        }
        (None, None) => assert_eq!(head.length, Some(0)),
        (Some(_), Some(_)) => panic!("two ways to end"),
    }
    assert!(!head.keep || minor == 1);
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let [whole, bytes, cut] = ways(data).map(|parts| read(&parts, data.len()));
    for other in [&bytes, &cut] {
        assert_eq!(whole.1, other.1, "how it arrives decides whether it is refused");
        assert_eq!(format!("{:?}", whole.0), format!("{:?}", other.0), "how it arrives decides what is read");
    }
    let mut start = 0;
    for (head, left) in &whole.0 {
        let mut text = &data[start..data.len() - left];
        while let Some(rest) = text.strip_prefix(b"\r\n") {
            text = rest;
        }
        check(head, text);
        start = data.len() - left;
    }
});
