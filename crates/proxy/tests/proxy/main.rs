//! The proxy as a whole, on loopback with real listeners. Nothing here sleeps for time: tests wait for conditions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod boot;
mod challenge;
mod client;
mod compression;
mod control;
mod exchange;
mod files;
mod filters;
mod floods;
mod front;
mod grpc;
mod guards;
mod harness;
mod http2;
mod judged;
mod jwt;
mod limits;
mod names;
mod records;
mod routing;
mod stopping;
mod streams;
mod strict;
mod swap;
mod tls;
mod upstream;
mod websocket;
