//! Hosts and targets: the first line is a target, the others are `Host` fields. What is decided on is written once and for all: read again, it is the same.

#![no_main]

use http::{HeaderMap, HeaderValue, Uri, Version};
use landfall_proxy::fuzzing::{behind, host, target};

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
    if let Some(found) = target(&uri) {
        let path = &found.path;
        assert!(path.starts_with('/') && !path.contains("//"));
        assert!(!path.bytes().any(|b| b == b'\\' || b.is_ascii_control()));
        for part in path.split('/') {
            let name = decoded(part.split(';').next().unwrap_or_default());
            let strangely = |name: &[u8]| name.split(|b| matches!(b, b'/' | b'\\')).any(|part| matches!(part, b"." | b".."));
            assert!(!strangely(&name), "{path}: a dot segment");
            let all = decoded(part);
            assert!(!all.iter().any(u8::is_ascii_control), "{path}: a control character");
            assert!(!found.is_plain || !all.iter().any(|b| matches!(b, b'/' | b'\\')), "{path}: a slash that is none");
        }
        let sent = uri.path_and_query().expect("a target has a path");
        assert_eq!(sent.as_str(), found.sent, "the application gets what was sent");
        let read = |path: &str| target(&Uri::try_from(path).expect("a target is a target"));
        assert_eq!(read(path).map(|again| again.path), Some(path.clone()), "read again it is another");
        // What is behind a prefix is the same in what was sent and in what was meant.
        for (at, _) in path.char_indices().filter(|(at, c)| *at > 0 && *c == '/') {
            let rest = behind(sent.path(), &path[..at]).expect("what was meant was sent");
            assert_eq!(read(rest).map(|rest| rest.path).as_deref(), Some(&path[at..]), "behind {}", &path[..at]);
        }
        // Prefixes have no slash at their end.
        let rest = behind(sent.path(), path.trim_end_matches('/')).expect("what was meant was sent");
        assert!(rest.bytes().all(|b| b == b'/'), "{rest} is behind everything");
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
