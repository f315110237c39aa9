//! A bare Debian machine becomes a server over a real SSH, and is upgraded while it carries requests.
//!
//! The machine is a container with its own sshd, without systemd (`server/image`); `./test` builds its image. Apps are programs of the process runtime: an engine
//! inside the container would need more rights than the whole rest. What systemd would run is checked by `systemd-analyze`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures, shown with --nocapture and with a failure")]

#[path = "server/machine.rs"]
mod machine;
#[path = "server/setup.rs"]
mod setup;
#[path = "server/unit.rs"]
mod unit;
#[path = "server/upgrade.rs"]
mod upgrade;
