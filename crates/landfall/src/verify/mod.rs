//! `landfall verify`: looks at an app from outside, as its users and their browsers do, and says what is not as its file says.
//!
//! [`target`] makes of the file what there is to look at; each of the other modules is one kind of look. Nothing here knows the agent or logs in anywhere:
//! what is found is what everybody finds. Every look has an end in time and takes a bounded answer, and none sends anything but questions.

mod edge;
mod load;
mod old;
mod route;
mod stream;
mod target;
mod wire;

pub use target::Target;
pub use wire::{Dialer, Reach, trusted};

use serde::Serialize;
use std::time::Duration;

/// What is looked at beside what the file says.
#[derive(Debug)]
pub struct Asked {
    /// Paths that must take a WebSocket; those the file tells of when empty.
    pub websockets: Vec<String>,
    /// Paths that must send events as they come.
    pub streams: Vec<String>,
    /// Requests of the load; none for 0.
    pub requests: u32,
    /// How many at once.
    pub concurrency: u32,
    /// The slowest answer but one in a hundred may take this long.
    pub p99: Option<Duration>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Not as it should be.
    Failed,
    /// There was nothing to look at, for this reason.
    Skipped,
}

/// What was found at one place.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Which look: a stable word.
    pub check: &'static str,
    /// Where.
    pub at: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, at: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { check, at: at.into(), verdict: Verdict::Good, seen: seen.into(), remedy: None }
    }
    fn failed(check: &'static str, at: impl Into<String>, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, at: at.into(), verdict: Verdict::Failed, seen: seen.into(), remedy: Some(remedy.into()) }
    }
    fn skipped(check: &'static str, at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { check, at: at.into(), verdict: Verdict::Skipped, seen: why.into(), remedy: None }
    }
}

/// Looks at everything, in the order in which one thing rests on another; tells each finding when it is there.
pub async fn look(target: &Target, dialer: &Dialer, asked: &Asked, tell: &mut dyn FnMut(Finding)) {
    let mut reached = true;
    for host in &target.hosts {
        if target.secure {
            let certificate = edge::certificate(dialer, host).await;
            let usable = certificate.verdict == Verdict::Good;
            reached &= usable;
            tell(certificate);
            tell(edge::redirect(dialer, host).await);
            if !usable {
                tell(Finding::skipped(
                    "routes",
                    host.url(target.secure, ""),
                    "not looked at: nobody should talk to it before its certificate is right",
                ));
                continue;
            }
            tell(old::refused(dialer, host).await);
            tell(edge::http2(dialer, host).await);
        }
        if let Some(canonical) = &host.redirects_to {
            tell(edge::canonical(dialer, host, canonical, target.secure).await);
            continue;
        }
        for place in &host.places {
            route::look(dialer, target, host, place, tell).await;
        }
        stream::look(dialer, target, host, asked, tell).await;
    }
    if let Some(host) = target.hosts.first().filter(|_| reached) {
        tell(edge::stranger(dialer, target, host).await);
        load::look(dialer, target, host, asked, tell).await;
    }
}
