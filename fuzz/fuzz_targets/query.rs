//! A parameter of a query: whatever is cut out is cut out in every spelling, and nothing else changes.

#![no_main]

use http::uri::PathAndQuery;
use landfall_proxy::fuzzing::{parameter, without_parameter};

/// A name as applications read it.
fn decoded(pair: &str) -> Vec<u8> {
    let key = pair.split('=').next().unwrap_or_default().as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = key.get(at) {
        let hex = key.get(at + 1..at + 3).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let code = hex.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
        at += 1;
    }
    out
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(target) = PathAndQuery::try_from(data) else { return };
    let query = target.query().unwrap_or_default();
    for name in ["token", "a b", "t"] {
        let named = |pair: &&str| decoded(pair) == name.as_bytes();
        let kept: Vec<&str> = query.split('&').filter(|pair| !named(pair)).collect();
        let without = without_parameter(&target, name);
        assert_eq!(without.is_some(), target.query().is_some() && kept.len() < query.split('&').count());
        if let Some(without) = without {
            assert_eq!(without.path(), target.path());
            assert_eq!(without.query().unwrap_or_default(), kept.join("&"));
            assert!(without_parameter(&without, name).is_none());
        }
        let first = query.split('&').find(named).and_then(|pair| pair.split_once('=')).map(|(_, value)| value);
        assert_eq!(parameter(query, name), first);
    }
});
