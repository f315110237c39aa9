//! One request to one endpoint, and what can be said about it if no answer comes: only a request of which the application cannot have
//! seen anything, or that may be repeated and met a connection that was being closed, is handed back for another try.

use crate::upstream::body::RequestBody;
use crate::upstream::http1::{Answer, Exchange, Failure, Outgoing};
use crate::upstream::pool::Taken;
use crate::upstream::upload::Upload;
use http::{Method, Request};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How it went.
pub(crate) enum Sent {
    /// The head of an answer came.
    Answered(Answer),
    /// The application has not acted on it; it can go elsewhere.
    Unsent(Outgoing),
    /// It was sent, and no answer came.
    Lost(Failure),
    /// No answer within the route's time.
    TimedOut,
}

/// True for a request that may be sent twice without harm (RFC 9110 §9.2.2) and without a body that would be gone.
pub(crate) fn is_repeatable(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && request.body().is_empty()
}

/// Sends `outgoing` over `taken` and waits for the head of the answer, at most `timeout` after the request's last byte.
pub(crate) async fn send(taken: Taken, outgoing: Outgoing, repeatable: bool, upload: Option<&Rc<Upload>>, timeout: Duration) -> Sent {
    let reused = taken.reused;
    let mut exchange = Exchange::new(taken.connection, outgoing);
    let Some(result) = within(poll_fn(|cx| exchange.poll_head(cx)), upload, timeout).await else { return Sent::TimedOut };
    let failure = match result {
        Ok(head) => return Sent::Answered(exchange.answer(head)),
        Err(failure) => failure,
    };
    // Only a reused connection can be closed under our hands.
    let closed = matches!(failure, Failure::Broken { silent, untouched, .. } if silent && (untouched || repeatable && reused));
    let mut outgoing = exchange.into_outgoing();
    if closed && outgoing.rewind() { Sent::Unsent(outgoing) } else { Sent::Lost(failure) }
}

/// Waits for an answer's head, at most `timeout` after the request's last byte.
pub(super) async fn within<F: Future>(answer: F, upload: Option<&Rc<Upload>>, timeout: Duration) -> Option<F::Output> {
    let mut answer = pin!(answer);
    let mut timer = pin!(tokio::time::sleep(timeout));
    loop {
        tokio::select! {
            biased;
            result = &mut answer => return Some(result),
            () = &mut timer => timer.as_mut().reset(later(upload, timeout)?),
        }
    }
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
