//! Images: from a registry that wants a login, from this machine without a registry, and away when no release needs them. The real binary, a real
//! `docker-registry`, real engines.
//!
//! Needs root, dockerd, the images of `examples/tutor` and the packages that `./test` installs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "images/place.rs"]
mod place;
#[path = "images/push.rs"]
mod push;
#[path = "images/registry.rs"]
mod registry;
