//! `Authorization: Basic`: only what decodes to a known pair opens, and what the application is told is the name in it.

#![no_main]

use base64::Engine as _;
use http::{HeaderMap, HeaderValue};
use landfall_model::filter::{Filters, PasswordDigest};
use landfall_proxy::fuzzing::Guarded;
use std::sync::LazyLock;

const KNOWN: [(&str, &str); 3] = [("a", ""), ("ada", "open: sesame"), ("b", "b")];
static GUARD: LazyLock<Guarded> = LazyLock::new(|| {
    let users = KNOWN.map(|(user, password)| (user.to_owned(), PasswordDigest::of(user, password)));
    Guarded::by(&Filters { basic_auth: users.into(), ..Filters::default() })
});

/// Decodes without the library: four characters are three bytes.
fn slowly(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let bits: Vec<u8> = body
        .iter()
        .map(|b| ALPHABET.iter().position(|a| a == b))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flat_map(|n| (0..6).rev().map(move |i| (n >> i & 1) as u8))
        .collect();
    Some(bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect())
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
    let user = GUARD.user(&headers);
    if let Some(user) = &user {
        let (scheme, pair) = data.split_at(6);
        assert!(scheme.eq_ignore_ascii_case(b"basic "));
        let pair = slowly(pair.trim_ascii()).expect("it is base64");
        assert!(KNOWN.iter().any(|(name, password)| format!("{name}:{password}").as_bytes() == pair && user == name));
    }
    // The pair itself, in the usual spelling.
    if let Ok(pair) = std::str::from_utf8(data) {
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(&value).expect("a value"))]);
        let known = KNOWN.iter().find(|(name, password)| format!("{name}:{password}") == pair).map(|(name, _)| *name);
        assert_eq!(GUARD.user(&headers).as_ref().and_then(|user| user.to_str().ok()), known);
    }
});
