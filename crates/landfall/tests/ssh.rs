//! Reaching a server over SSH: a real sshd on loopback with keys of its own, the real binary on both sides, programs instead of containers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "seeds and figures, shown with --nocapture and with a failure")]

#[path = "ssh/bound.rs"]
mod bound;
#[path = "ssh/cut.rs"]
mod cut;
#[path = "ssh/refused.rs"]
mod refused;
#[path = "ssh/stage.rs"]
mod stage;
#[path = "ssh/verbs.rs"]
mod verbs;
