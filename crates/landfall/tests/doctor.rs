//! `landfall server doctor`: every check fires on a fault that is really there, and is silent without it.
//!
//! Faults that would hurt the machine are planted in namespaces of their own (`doctor/place.rs`): files are covered by others with mounts that nobody else
//! sees, ports and firewalls are those of a network of its own. Containers are real ones. Over SSH the server is the bare Debian of the setup tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures, shown with --nocapture and with a failure")]

#[path = "doctor/app.rs"]
mod app;
#[path = "doctor/container.rs"]
mod container;
#[path = "doctor/host.rs"]
mod host;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "server/machine.rs"]
mod machine;
#[path = "doctor/place.rs"]
mod place;
#[path = "doctor/server.rs"]
mod server;
