//! One request to one endpoint that speaks HTTP/2.

use crate::upstream::body::RequestBody;
use crate::upstream::coming::Coming;
use crate::upstream::http1::settle_length;
use crate::upstream::multiplex::Place;
use crate::upstream::send::{is_repeatable, within};
use crate::upstream::upload::Upload;
use http::header::HOST;
use http::uri::{self, Authority, Scheme};
use http::{Method, Request, Response, Uri};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::rc::Rc;
use std::time::Duration;

/// How it went.
pub(crate) enum Called {
    /// The head of an answer came.
    Answered(Response<Coming>),
    /// It is a tunnel from here on.
    Connected(Response<()>, Connected),
    /// The application takes no tunnels.
    NoTunnel,
    /// The application has not acted on it; it can go elsewhere.
    Unsent(Request<RequestBody>),
    /// It was sent, and no answer came.
    Lost(hyper::Error),
    /// What came is no answer; says why.
    Malformed(&'static str),
    /// No answer within the route's time.
    TimedOut,
}

/// A tunnel in a stream of HTTP/2, and its place among the others.
pub(crate) struct Connected {
    upgrade: OnUpgrade,
    place: Place,
}

impl Connected {
    /// What goes through it; nothing if it broke meanwhile. The place must be kept as long.
    pub(crate) async fn open(self) -> Option<(TokioIo<Upgraded>, Place)> {
        Some((TokioIo::new(self.upgrade.await.ok()?), self.place))
    }
}

/// Sends `request` over `place` and waits for the head of the answer, at most `timeout` after the request's last byte.
pub(crate) async fn call(place: Place, request: Request<RequestBody>, upload: Option<&Rc<Upload>>, timeout: Duration) -> Called {
    // Only a connection that was there before can be closed under our hands, so only then is a copy worth making.
    let copy = (place.reused && is_repeatable(&request)).then(|| copy_of(&request));
    let is_tunnel = *request.method() == Method::CONNECT;
    if is_tunnel && !place.takes_tunnels().await {
        return Called::NoTunnel;
    }
    let Some(result) = within(place.send(addressed(request)), upload, timeout).await else { return Called::TimedOut };
    match result {
        Ok(mut response) if is_tunnel && response.status().is_success() => {
            let upgrade = hyper::upgrade::on(&mut response);
            Called::Connected(response.map(drop), Connected { upgrade, place })
        }
        Ok(mut response) => match settle_length(response.status(), response.headers_mut()) {
            Ok(()) => Called::Answered(response.map(|incoming| Coming::H2c(incoming, Some(place)))),
            Err(words) => Called::Malformed(words),
        },
        Err(mut failure) => match (failure.take_message(), copy) {
            (Some(request), _) => Called::Unsent(request),
            (None, Some(copy)) => Called::Unsent(copy),
            (None, None) => Called::Lost(failure.into_error()),
        },
    }
}

/// The request with its host in the target (RFC 9113 §8.3.1). One that is sent for the second time has it there.
fn addressed(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let Some(host) = request.headers_mut().remove(HOST) else { return request };
    // A request without a host, which HTTP/1.0 allows, has to have one here.
    let authority = Authority::try_from(host.as_bytes()).unwrap_or(Authority::from_static("localhost"));
    let mut parts = uri::Parts::default();
    (parts.scheme, parts.authority) = (Some(Scheme::HTTP), Some(authority));
    parts.path_and_query = request.uri().path_and_query().cloned();
    if let Ok(target) = Uri::from_parts(parts) {
        *request.uri_mut() = target;
    }
    request
}

fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}
