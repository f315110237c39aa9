//! Ranges, tags and dates of files: the first line is `Range`, then `If-None-Match`, `If-Modified-Since`, `If-Range`. No part is outside of its file.

#![no_main]

use http::{HeaderMap, HeaderValue};
use landfall_proxy::fuzzing::{FilePart, is_unchanged, part};

const TAG: &str = "\"a-1\"";
const DATE: &str = "Sat, 21 Nov 2026 10:00:00 GMT";

fn slowly(range: &str, size: u128) -> FilePart {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else { return FilePart::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.trim_start_matches('0').len().lt(&30).then_some(()).filter(|()| digits)?;
        Some(format!("0{}", text.trim_start_matches('0')).parse::<u128>().unwrap_or(u128::MAX)).filter(|n| *n <= u64::MAX.into())
    };
    let (first, last) = match (number(first), number(last)) {
        (None, Some(0)) if first.is_empty() => return FilePart::None,
        (None, Some(length)) if first.is_empty() => (size.saturating_sub(length), u128::MAX),
        (Some(first), None) if last.is_empty() => (first, u128::MAX),
        (Some(first), Some(last)) if first <= last => (first, last),
        _ => return FilePart::Whole,
    };
    if first >= size { FilePart::None } else { FilePart::Some(first as u64, last.min(size - 1) as u64) }
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for (name, line) in ["range", "if-none-match", "if-modified-since", "if-range"].iter().zip(data.split(|b| *b == b'\n')) {
        if !line.is_empty()
            && let Ok(value) = HeaderValue::from_bytes(line)
        {
            headers.append(*name, value);
        }
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    for size in [0, 1, 10, 4096, u64::MAX] {
        let found = part(headers.get("range"), size);
        assert_eq!(found, text("range").map_or(FilePart::Whole, |range| slowly(range, size.into())), "of {size}");
        if let FilePart::Some(first, last) = found {
            assert!(first <= last && last < size);
        }
    }
    let (unchanged, partial) = is_unchanged(&headers, TAG, DATE);
    if unchanged {
        let tags = text("if-none-match");
        assert!(tags.is_some_and(|tags| tags.contains('*') || tags.contains(TAG)) || text("if-modified-since") == Some(DATE));
        assert!(
            !headers.contains_key("if-none-match") || tags.is_some_and(|tags| tags.contains('*') || tags.contains(TAG)),
            "the tag decides"
        );
    }
    assert!(!partial || headers.contains_key("range") && text("if-range").is_none_or(|given| given == TAG || given == DATE));
});
