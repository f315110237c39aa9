//! Certificates from a real ACME authority (pebble, which refuses good nonces on purpose), through the real proxy and the real agent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod ca;
mod issue;
mod renewal;
mod site;
mod trouble;
mod wire;
