//! The client's side for the fuzz targets.

pub use super::file::fuzzing::{FilePart, is_unchanged, part};
pub use super::filter::fuzzing::{Guarded, parameter, without_parameter};
pub use super::http1::fuzzing::{RequestHead, Requests};

use super::front::LocalSite;
use super::guess::{Caller, Guesses};
use super::target::{Host, Target, rest_behind};
use super::watch::Clock;
use super::{client, frames, header, prelude};
use http::{HeaderMap, Uri, Version};
use landfall_model::filter::Network;
use landfall_model::front::Front;
use std::net::IpAddr;
use std::rc::Rc;
use tokio::io::AsyncRead;

/// The name and the value with the port of a request's host.
pub fn host(uri: &Uri, headers: &HeaderMap, version: Version) -> Option<(String, String)> {
    let host = Host::of(uri, headers, version).ok()?;
    Some((host.name().to_owned(), host.value().to_str().ok()?.to_owned()))
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    /// What a route is chosen by.
    pub path: String,
    /// What the application gets.
    pub sent: String,
    /// It passes whatever the route says.
    pub is_plain: bool,
}

/// The target that is decided on.
pub fn target(uri: &Uri) -> Option<RequestTarget> {
    let target = Target::of(uri).ok()?;
    let is_plain = target.admit_encoded_slashes(false).is_ok();
    Some(RequestTarget { path: target.path().to_owned(), sent: target.sent().as_str().to_owned(), is_plain })
}

/// What of a path that was sent follows a part of it as it was meant.
pub fn behind<'p>(sent: &'p str, prefix: &str) -> Option<&'p str> {
    rest_behind(sent, prefix)
}

/// Whom a load balancer's prelude names. Needs a runtime with time.
pub async fn prelude(stream: &mut (impl AsyncRead + Unpin), peer: IpAddr) -> Option<IpAddr> {
    prelude::read(stream, peer).await
}

/// Whom trusted proxies name, and whether they were spoken to by HTTPS.
pub fn forwarded(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> (IpAddr, Option<bool>) {
    (client::named(trusted, peer, headers), client::scheme(headers))
}

/// What passes of a request's trailers.
pub fn trailers(trailers: &mut HeaderMap) {
    header::clean_trailers(trailers);
}

/// Whether a closed site lets somebody in.
pub fn comes_in(front: &Front, client: IpAddr, headers: &mut HeaderMap) -> bool {
    LocalSite::new("app", front).admit(Caller { client, guesses: &Guesses::default() }, headers).is_ok()
}

/// Follows the frames of an HTTP/2 client, at a time that stands still.
pub struct Guard {
    frames: frames::Frames,
    clock: Rc<Clock>,
}

impl Guard {
    /// Of a new connection.
    pub fn begin() -> Self {
        let clock = Clock::new();
        Self { frames: frames::Frames::new(&clock), clock }
    }

    /// Where the frame begins that must not be seen.
    pub fn read(&mut self, bytes: &[u8]) -> Option<isize> {
        self.frames.read(bytes, &self.clock)
    }

    /// What is sent instead of these bytes, if that is something else.
    pub fn corrected(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.frames.corrected([bytes].into_iter())
    }

    /// These bytes were sent.
    pub fn wrote(&mut self, bytes: &[u8]) {
        self.frames.wrote([bytes].into_iter(), bytes.len());
    }
}
