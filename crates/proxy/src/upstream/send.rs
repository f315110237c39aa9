//! One request to one endpoint, and what can be said about it if no answer comes: only a request of which the application cannot have
//! seen anything, or that may be repeated and met a connection that was being closed, is handed back for another try.

use crate::upstream::body::RequestBody;
use crate::upstream::pool::{Sender, Taken};
use crate::upstream::upload::Upload;
use http::header::{HOST, HeaderValue};
use http::uri::{self, Authority, Scheme};
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How it went.
pub(crate) enum Sent {
    /// The head of an answer came; the connection belongs to its body.
    Answered(Response<Incoming>, Taken),
    /// The application has not acted on it; it can go elsewhere.
    Unsent(Request<RequestBody>),
    /// It was sent, and no answer came.
    Lost(hyper::Error),
    /// No answer within the route's time.
    TimedOut,
}

/// True for a request that may be sent twice without harm (RFC 9110 §9.2.2) and without a body that would be gone.
pub(crate) fn is_repeatable(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && request.body().is_empty()
}

/// Sends `request` over `taken` and waits for the head of the answer, at most `timeout` after the request's last byte.
pub(crate) async fn send(mut taken: Taken, request: Request<RequestBody>, upload: Option<&Rc<Upload>>, timeout: Duration) -> Sent {
    // Only a reused connection can be closed under our hands, so only then is a copy worth making.
    let copy = (taken.reused && is_repeatable(&request)).then(|| copy_of(&request));
    let request = addressed(request, &taken.sender);
    let result = {
        let answer = async {
            match &mut taken.sender {
                Sender::Http1(sender) => sender.try_send_request(request).await,
                Sender::H2c(place) => place.send(request).await,
            }
        };
        tokio::pin!(answer);
        let timer = tokio::time::sleep(timeout);
        tokio::pin!(timer);
        loop {
            tokio::select! {
                biased;
                result = &mut answer => break result,
                () = &mut timer => match later(upload, timeout) {
                    Some(deadline) => timer.as_mut().reset(deadline),
                    None => return Sent::TimedOut,
                },
            }
        }
    };
    match result {
        Ok(response) => Sent::Answered(response, taken),
        Err(mut failure) => match (failure.take_message(), copy) {
            (Some(request), _) => Sent::Unsent(request),
            (None, Some(copy)) if !failure.error().is_parse() => Sent::Unsent(copy),
            (None, _) => Sent::Lost(failure.into_error()),
        },
    }
}

/// The request with its host where the connection's protocol has it: in the target (RFC 9113 §8.3.1), or in a field of its own. A request that is sent
/// for the second time may have been addressed before, and for the other.
fn addressed(mut request: Request<RequestBody>, sender: &Sender) -> Request<RequestBody> {
    let path = request.uri().path_and_query().cloned();
    match sender {
        Sender::H2c(_) => {
            // A request without a host, which HTTP/1.0 allows, has to have one there.
            let host = request.headers_mut().remove(HOST);
            let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok()).unwrap_or(Authority::from_static("localhost"));
            if request.uri().authority().is_none() {
                let mut parts = uri::Parts::default();
                (parts.scheme, parts.authority, parts.path_and_query) = (Some(Scheme::HTTP), Some(authority), path);
                if let Ok(target) = Uri::from_parts(parts) {
                    *request.uri_mut() = target;
                }
            }
        }
        Sender::Http1(_) => {
            let host = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
            if let (Some(host), Some(path)) = (host, path) {
                request.headers_mut().insert(HOST, host);
                *request.uri_mut() = Uri::from(path);
            }
        }
    }
    request
}

/// The time to wait until if the request was not complete when the timer was set.
fn later(upload: Option<&Rc<Upload>>, timeout: Duration) -> Option<Instant> {
    let now = Instant::now();
    let deadline = match upload?.ended() {
        Some(ended) => Instant::from_std(ended) + timeout,
        None => now + timeout,
    };
    (deadline > now).then_some(deadline)
}

fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_time_runs_from_the_requests_last_byte() {
        let timeout = Duration::from_secs(60);
        assert!(later(None, timeout).is_none(), "without a body the first wait is the last");
        let upload = Rc::new(Upload::default());
        assert!(later(Some(&upload), timeout).is_some(), "still being sent");
        upload.end();
        assert!(later(Some(&upload), timeout).is_some(), "just sent");
        assert!(later(Some(&upload), Duration::ZERO).is_none(), "sent, and the time is over");
    }

    #[test]
    fn only_what_does_no_harm_twice_is_repeatable() {
        for (method, repeatable) in [(Method::GET, true), (Method::HEAD, true), (Method::POST, false), (Method::DELETE, false)] {
            let mut request = Request::new(RequestBody::Empty);
            *request.method_mut() = method;
            assert_eq!(is_repeatable(&request), repeatable);
        }
    }
}
