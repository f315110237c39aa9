//! Hosts and targets: the first line is a target, the others are `Host` fields. What is decided on is written once and for all: read again, it is the same.

#![no_main]

use http::{HeaderMap, HeaderValue, Uri, Version};
use landfall_proxy::fuzzing::{host, target};

/// A part of a path as applications may read it.
fn decoded(part: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (part.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match pair.filter(|_| *byte == b'%') {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let mut lines = data.split(|b| *b == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    if let Some(canonical) = target(&uri) {
        let path = canonical.path();
        assert!(path.starts_with('/'));
        assert!(!path.bytes().any(|b| b == b'\\' || b.is_ascii_control()));
        for part in path.split('/') {
            let name = decoded(part.split(';').next().unwrap_or_default());
            assert!(!matches!(&name[..], b"." | b".."), "{path}: a dot segment");
            assert!(!decoded(part).iter().any(u8::is_ascii_control), "{path}: a control character");
        }
        let again = Uri::try_from(canonical.as_str()).expect("a target is a target");
        assert_eq!(target(&again), Some(canonical.clone()), "read again it is another");
        assert_eq!(canonical.query(), uri.query(), "the query is the client's");
    }
    let mut headers = HeaderMap::new();
    for line in lines.take(3) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append("host", value);
    }
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let Some((name, value)) = host(&uri, &headers, version) else { continue };
        assert!(headers.len() <= 1, "two hosts are two readings");
        if value.is_empty() {
            assert!(version == Version::HTTP_10 && headers.is_empty());
            continue;
        }
        assert!(value.starts_with(&name) && !name.ends_with('.') && !name.bytes().any(|b| b.is_ascii_uppercase() || b <= 32), "{value}");
        let again = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_str(&value).expect("a value"))]);
        assert_eq!(host(&Uri::from_static("/"), &again, version), Some((name, value)), "read again it is another");
    }
});
