//! Whether a client needs a file again, and which part of it (RFC 9110 §13 and §14).
//!
//! The agent writes a digest of the content into the nanoseconds of a file's time, so size and nanoseconds name the content: the same in every
//! release that has it. Dates are compared for equality: after a rollback a file is older than the one it replaces.

use crate::edge::filter::Encoding;
use http::header::{ACCEPT, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use std::time::{Duration, SystemTime};

/// What tells one content from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) size: u64,
    seconds: u64,
    digest: u64,
}

impl Stamp {
    pub(super) fn of(about: &rustix::fs::Stat) -> Self {
        let positive = |n: i64| u64::try_from(n).unwrap_or(0);
        Self { size: positive(about.st_size), seconds: positive(about.st_mtime), digest: about.st_mtime_nsec }
    }

    pub(super) fn tag(&self, encoding: Option<Encoding>) -> String {
        let encoded = encoding.map(|e| format!("-{}", e.suffix())).unwrap_or_default();
        format!("\"{:x}-{:x}{encoded}\"", self.size, self.digest)
    }

    pub(super) fn modified(&self) -> String {
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds))
    }
}

/// The client has it.
pub(super) fn is_unchanged(headers: &HeaderMap, tag: &str, modified: &str) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        // Weak comparison (§8.8.3.2): an answer that was compressed on its way has the same tag with `W/` before it.
        let same = |given: &str| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag;
        return tags.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|given| same(given.trim()));
    }
    headers.get(IF_MODIFIED_SINCE).is_some_and(|date| date.as_bytes() == modified.as_bytes())
}

/// A range may be honoured: what the client has of it is of this content.
pub(super) fn may_be_part(headers: &HeaderMap, tag: &str, modified: &str) -> bool {
    headers.contains_key(RANGE)
        && headers.get(IF_RANGE).is_none_or(|given| given.as_bytes() == tag.as_bytes() || given.as_bytes() == modified.as_bytes())
}

/// What of a file is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Some {
        first: u64,
        last: u64,
    },
    /// What is asked for is not there.
    None,
}

/// One range is honoured; several, and what is none, get the whole file, as §14.2 allows.
pub(super) fn part(range: Option<&HeaderValue>, size: u64) -> Part {
    let Some(spec) = range.and_then(|value| value.to_str().ok()).and_then(|text| text.strip_prefix("bytes=")) else { return Part::Whole };
    let number = |text: &str| (!text.starts_with('+')).then(|| text.parse::<u64>().ok()).flatten();
    let Some((first, last)) = spec.trim().split_once('-') else { return Part::Whole };
    let (first, last) = match (first, last) {
        ("", suffix) => match number(suffix) {
            Some(0) => return Part::None,
            Some(length) => (size.saturating_sub(length), u64::MAX),
            None => return Part::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, u64::MAX),
            None => return Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last),
            _ => return Part::Whole,
        },
    };
    if first >= size { Part::None } else { Part::Some { first, last: last.min(size - 1) } }
}

/// A person goes to an address; a page's own scripts and pictures ask otherwise.
pub(super) fn asks_for_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of = |text: &'static str| part(Some(&HeaderValue::from_static(text)), 10);
        let some = |first, last| Part::Some { first, last };
        for (text, expected) in [
            ("bytes=0-3", some(0, 3)),
            ("bytes=5-", some(5, 9)),
            ("bytes=-3", some(7, 9)),
            ("bytes=-100", some(0, 9)),
            ("bytes=8-100", some(8, 9)),
            ("bytes=10-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
            ("items=0-3", Part::Whole),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(part(Some(&HeaderValue::from_static("bytes=0-0")), 0), Part::None);
    }

    #[test]
    fn what_a_client_has_it_does_not_get_again() {
        let asked = |pairs: &[(http::header::HeaderName, &'static str)]| {
            let headers = HeaderMap::from_iter(pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
            is_unchanged(&headers, "\"a-1\"", "Sat, 21 Nov 2026 10:00:00 GMT")
        };
        assert!(asked(&[(IF_NONE_MATCH, "\"a-1\"")]) && asked(&[(IF_NONE_MATCH, "\"x\", W/\"a-1\"")]) && asked(&[(IF_NONE_MATCH, "*")]));
        assert!(asked(&[(IF_MODIFIED_SINCE, "Sat, 21 Nov 2026 10:00:00 GMT")]));
        assert!(!asked(&[]) && !asked(&[(IF_MODIFIED_SINCE, "Sun, 22 Nov 2026 10:00:00 GMT")]));
        assert!(!asked(&[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, "Sat, 21 Nov 2026 10:00:00 GMT")]), "the tag decides");
    }
}
