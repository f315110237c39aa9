//! A name for each request, by which the application's log, the access log and a user's complaint find each other: `X-Request-Id`.
//!
//! A client's own is replaced: it could be anything, and the same for every request. Unique, not secret: a random half for each worker's life
//! and a count.

use http::header::{HeaderName, HeaderValue};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Odd, so that multiplying with it keeps different counts different (2^64 divided by the golden ratio); neighbours look unalike.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// One worker's ids.
#[derive(Debug)]
pub(crate) struct RequestIds {
    half: u64,
    count: Cell<u64>,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        // The standard library seeds its hash maps from the operating system; no other randomness is needed here.
        Self { half: RandomState::new().hash_one(0), count: Cell::new(0) }
    }

    /// The next, 32 hexadecimal digits.
    pub(crate) fn next(&self) -> HeaderValue {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let id = (u128::from(self.half) << 64) | u128::from(count.wrapping_mul(SPREAD));
        let mut text = [0; 32];
        for (i, digit) in text.iter_mut().enumerate() {
            let nibble = (id >> (124 - 4 * i)) as u8 & 15;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        // Hexadecimal digits always are a header value.
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_different_and_hexadecimal() {
        let ids = [RequestIds::new(), RequestIds::new()];
        let all: std::collections::HashSet<HeaderValue> = (0..1000).flat_map(|_| ids.iter().map(RequestIds::next)).collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|id| id.len() == 32 && id.as_bytes().iter().all(u8::is_ascii_hexdigit)));
    }
}
