//! Bodies in chunks, held against a reader that looks at one byte after another; and what passes of their trailers.

#![no_main]

use bytes::BytesMut;
use http::HeaderMap;
use landfall_fuzz::pieces::ways;
use landfall_proxy::fuzzing::{ChunkPiece, Chunks, trailers};

#[derive(Debug, PartialEq)]
struct Body {
    data: Vec<u8>,
    end: Option<Option<HeaderMap>>,
    /// Bytes behind its end.
    left: usize,
}

fn read(parts: &[&[u8]]) -> Result<Body, ()> {
    let (mut chunks, mut input) = (Chunks::default(), BytesMut::new());
    let mut body = Body { data: Vec::new(), end: None, left: 0 };
    for part in parts {
        if body.end.is_some() {
            body.left += part.len();
            continue;
        }
        input.extend_from_slice(part);
        loop {
            match chunks.take(&mut input).map_err(drop)? {
                ChunkPiece::More => break,
                ChunkPiece::Data(piece) => body.data.extend_from_slice(&piece),
                ChunkPiece::End(trailers) => {
                    body.end = Some(trailers);
                    body.left = input.len();
                    break;
                }
            }
        }
    }
    Ok(body)
}

/// The data of all chunks that are whole, and where the last one of size 0 ends; `None` where a rule is broken.
fn slowly(text: &[u8]) -> Option<(Vec<u8>, Option<usize>)> {
    let (mut at, mut data) = (0, Vec::new());
    loop {
        let Some(end) = text[at..].iter().position(|b| *b == b'\n') else { return Some((data, None)) };
        let line = text[at..at + end].strip_suffix(b"\r")?;
        if line.iter().any(|b| (*b < 32 && *b != b'\t') || *b == 127) {
            return None;
        }
        let size: Vec<u8> = line.iter().copied().take_while(|b| *b != b';').collect();
        let size = std::str::from_utf8(&size).ok()?.trim_end_matches([' ', '\t']);
        if size.is_empty() || size.len() > 16 || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let size = u64::from_str_radix(size, 16).ok()?;
        at += end + 1;
        if size == 0 {
            return Some((data, Some(at)));
        }
        let here = size.min((text.len() - at) as u64) as usize;
        data.extend_from_slice(&text[at..at + here]);
        at += here;
        match (here as u64 == size, text.get(at), text.get(at + 1)) {
            (true, Some(b'\r'), Some(b'\n')) => at += 2,
            (false, ..) | (true, None, _) | (true, Some(b'\r'), None) => return Some((data, None)),
            _ => return None,
        }
    }
}

landfall_fuzz::fuzz!(|text: &[u8]| {
    let [whole, bytes, cut] = ways(text).map(|parts| read(&parts));
    assert_eq!(whole, bytes, "how it arrives decides what is read");
    assert_eq!(whole, cut, "how it arrives decides what is read");
    assert_eq!(Chunks::default().is_sound(text), whole.is_ok());
    let slow = slowly(text);
    let Ok(body) = whole else {
        // What the slow reader has no objection to has trailers that are wrong, or a line that is too long.
        assert!(slow.is_none_or(|(_, end)| end.is_some() || text.len() > 4096), "refused without a reason");
        return;
    };
    let (data, end) = slow.expect("a broken rule");
    assert_eq!(body.data, data);
    let Some(found) = body.end else { return };
    let used = text.len() - body.left;
    let end = end.expect("it has no end");
    assert!(used >= end + 2 && text[..used].ends_with(b"\r\n"), "the end is elsewhere");
    let Some(mut found) = found else { return };
    assert!(found.len() <= 100 && used - end <= 16 * 1024);
    trailers(&mut found);
    for name in found.keys().map(http::HeaderName::as_str) {
        let reserved = [
            "host",
            "content-length",
            "transfer-encoding",
            "authorization",
            "cookie",
            "connection",
            "te",
            "upgrade",
            "forwarded",
            "x-real-ip",
        ];
        assert!(!reserved.contains(&name) && !name.starts_with("x-forwarded-") && !name.contains('_'), "{name} passes as a trailer");
    }
});
