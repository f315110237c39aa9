//! The client's side for the fuzz targets.

pub use super::file::fuzzing::{FilePart, is_unchanged, part};
pub use super::filter::fuzzing::{Guarded, parameter, without_parameter};
pub use super::http1::fuzzing::{RequestHead, Requests};

use super::front::LocalSite;
use super::target::{Host, canonical_target};
use super::watch::Clock;
use super::{client, frames, header, prelude};
use http::uri::PathAndQuery;
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

/// The target that is decided on.
pub fn target(uri: &Uri) -> Option<PathAndQuery> {
    canonical_target(uri).ok()
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
    LocalSite::new("app", front).admit(client, headers).is_ok()
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
