//! Attacks on the proxy, each by the means an attacker has. What they find out about is what real servers behind it see.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backend;
mod case;
mod client;
mod folding;
#[path = "../proxy/harness.rs"]
#[expect(dead_code, reason = "shared with the tests of the proxy, which use all of it")]
mod harness;
mod http2;
mod mutation;
mod slow;
mod smuggling;
#[path = "../../src/table/spell.rs"]
mod spell;
mod tap;
mod tls;
mod wire;

/// What `bench/attack` wants to be otherwise.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}
