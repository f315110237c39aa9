//! Routes and sites of files as users have them: a Compose file, the real agent and the real proxy; only the containers are made up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backend;
mod compare;
mod nginx;
mod plans;
mod releases;
mod server;
mod talk;
#[path = "../acme/wire.rs"]
#[allow(dead_code, reason = "shared with the ACME tests, which need more of it")]
mod wire;
