//! What is done to requests and answers on their way, one file each, as the route in the table asks for.
//!
//! Calls between services pass none of this. What a filter remembers across requests is shared by the workers through atomics only; what it
//! writes into answers is each worker's own copy, because a shared text would have its reference count bounce between cores.

mod body_limit;
mod rate_limit;
mod request_id;
mod security;

use crate::edge::refusal::Refusal;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use landfall_model::filter;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use body_limit::{linger, throw_away};
use rate_limit::Limiter;
pub(crate) use request_id::RequestIds;
pub(crate) use security::{hsts, is_public};

/// One route's filters as the control thread prepares them.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Which route of which app, so that a swap finds what the one before remembered.
    key: (String, String),
    asked: filter::Filters,
    limiter: Option<Arc<Limiter>>,
}

impl Shared {
    /// For a route of `app` at `path`; `before` are those of the table in use.
    pub(crate) fn new(app: &str, path: &str, asked: &filter::Filters, before: &[Self]) -> Self {
        let key = (app.to_owned(), path.to_owned());
        let limiter = asked.rate_limit.map(|limit| {
            let known = before.iter().find(|b| b.key == key && b.asked.rate_limit == Some(limit));
            known.and_then(|b| b.limiter.clone()).unwrap_or_else(|| Arc::new(Limiter::new(limit)))
        });
        Self { key, asked: asked.clone(), limiter }
    }
}

/// One route's filters as a worker uses them.
#[derive(Debug)]
pub(crate) struct Filters {
    headers: security::Headers,
    /// Bytes of a request's body.
    pub(crate) max_body: u64,
    limiter: Option<Arc<Limiter>>,
}

impl Filters {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            headers: security::Headers::new(&shared.asked),
            max_body: shared.asked.max_body.unwrap_or(u64::MAX),
            limiter: shared.limiter.clone(),
        }
    }

    /// Refuses what the route does not want, before anything is done for it. The cheapest questions come first.
    pub(crate) fn admit(&self, client: IpAddr, request: &Request<Incoming>) -> Result<(), Refusal> {
        if let Some(limiter) = &self.limiter {
            limiter.admit(client)?;
        }
        body_limit::admit(self.max_body, request)
    }

    /// Completes a request's headers for the application.
    pub(crate) fn prepare(headers: &mut HeaderMap, id: &HeaderValue) {
        headers.insert(request_id::X_REQUEST_ID, id.clone());
    }

    /// Completes an answer, whoever made it. `secure` if the client may be told to come by HTTPS only.
    pub(crate) fn relay<B>(&self, response: &mut Response<B>, id: HeaderValue, secure: bool) {
        let headers = response.headers_mut();
        headers.reserve(self.headers.count() + 1);
        headers.entry(request_id::X_REQUEST_ID).or_insert(id);
        self.headers.apply(headers, secure);
    }
}
