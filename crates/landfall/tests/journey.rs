//! Journeys: the real binary, the real examples, a real load, from the first release to the last.
//!
//! They need root (container networks, port 53 on their gateways), dockerd and the images of `examples/tutor`; `./test` sees to all of it. One runs at a
//! time: each loads the machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures of a journey, shown with --nocapture and with a failure")]

#[path = "journey/access.rs"]
mod access;
#[path = "journey/failing.rs"]
mod failing;
#[path = "journey/proxy.rs"]
mod proxy;
#[path = "journey/release.rs"]
mod release;
#[path = "journey/server.rs"]
mod server;
