//! Images: from a registry that wants a login, from this machine over SSH without a registry, built from a file, and away when no release needs them. The real binary, a real
//! `docker-registry`, real engines.
//!
//! Needs root, dockerd, the images of `examples/tutor` and the packages that `./test` installs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures, shown with --nocapture and with a failure")]

#[path = "images/build.rs"]
mod build;
#[path = "images/place.rs"]
mod place;
#[path = "images/push.rs"]
mod push;
#[path = "images/registry.rs"]
mod registry;
#[path = "ssh/stage.rs"]
#[expect(dead_code, reason = "the tests of SSH use the rest")]
mod stage;
