//! A bare Debian machine becomes a server over a real SSH, and is upgraded while it carries requests.
//!
//! The machine is a container with its own sshd (`server/image`; `./test` builds it), with or without systemd as its first process. Apps are programs of the
//! process runtime: an engine inside the container would need more rights than the whole rest.
//!
//! What the container cannot show was done by hand in it, with a systemd and Debian's own packages (2026-11-21): `server setup --updates` installed docker.io in
//! 1 m 53 s with its log limits and live-restore in force, and an app of two services on the Docker runtime was deployed and answered over HTTPS.
//!
//! The three machines are set up beside each other. What takes long: packages (6 s each), a new agent that does not answer, which is given up after 20 s, and a
//! `--version` that does not, after 10 s.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures, shown with --nocapture and with a failure")]

#[path = "server/journey.rs"]
mod journey;
#[path = "server/machine.rs"]
mod machine;
#[path = "server/setup.rs"]
mod setup;
#[path = "server/stage.rs"]
mod stage;
#[path = "server/systemd.rs"]
mod systemd;
#[path = "server/unit.rs"]
mod unit;
#[path = "server/upgrade.rs"]
mod upgrade;
