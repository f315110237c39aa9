//! The proxy is never down: replaced, killed, frozen, broken or upgraded under load, by the real binary and its supervisor.
//!
//! Nothing here needs Docker; a full disk and a stuck thread need root. The agent is frozen (SIGSTOP) from the start: that a proxy goes on without it is a part of the promise, and the
//! tests themselves then say by which table requests are carried.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures of a run, shown with --nocapture and with a failure")]

#[path = "never_down/application.rs"]
mod application;
#[path = "never_down/client.rs"]
mod client;
#[path = "never_down/dial.rs"]
mod dial;
#[path = "never_down/repair.rs"]
mod repair;
#[path = "never_down/restart.rs"]
mod restart;
#[path = "never_down/scarce.rs"]
mod scarce;
#[path = "never_down/stage.rs"]
mod stage;
