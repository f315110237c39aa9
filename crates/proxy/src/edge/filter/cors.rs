//! Which pages of other origins may call a route (Fetch Standard, "CORS protocol"). A route that has such rules answers the browser's question
//! itself, and what the application says about it does not count: two sources of one permission end in a hole.

use crate::upstream::body::ResponseBody;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response, StatusCode};
use landfall_model::filter::{self, CorsOrigin};

#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<CorsOrigin>,
    any: bool,
    methods: HeaderValue,
    /// Absent: whatever is asked for.
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

/// An origin that may call.
#[derive(Debug, Clone)]
pub(crate) struct Caller(HeaderValue);

/// A browser asks whether it may call.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    let asked = request.headers();
    request.method() == Method::OPTIONS && asked.contains_key(ORIGIN) && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Cors {
    pub(crate) fn new(asked: &filter::Cors) -> Self {
        let list = |names: Vec<&str>| HeaderValue::from_str(&names.join(", ")).ok().filter(|value| !value.is_empty());
        Self {
            any: asked.origins.iter().any(CorsOrigin::is_any) && !asked.credentials,
            origins: asked.origins.iter().cloned().collect(),
            methods: list(asked.methods.iter().map(String::as_str).collect()).unwrap_or(HeaderValue::from_static("GET")),
            headers: list(asked.headers.iter().map(filter::HeaderKey::as_str).collect()),
            expose: list(asked.expose.iter().map(filter::HeaderKey::as_str).collect()),
            credentials: asked.credentials,
            max_age: HeaderValue::from(asked.max_age_s),
        }
    }

    /// Who calls, if it is a page that may.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let value = headers.get(ORIGIN)?;
        let origin = value.to_str().ok()?;
        self.origins.iter().any(|allowed| allowed.covers(origin)).then(|| Caller(value.clone()))
    }

    /// The answer to a browser that asks before it calls; nothing for the call itself.
    pub(crate) fn preflight<B>(&self, request: &Request<B>, caller: Option<&Caller>) -> Option<Response<ResponseBody>> {
        if !is_preflight(request) {
            return None;
        }
        let asked = request.headers();
        let mut response = Response::new(ResponseBody::text(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        if caller.is_some() {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
            if let Some(allowed) = self.headers.as_ref().or_else(|| asked.get(ACCESS_CONTROL_REQUEST_HEADERS)) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            }
            headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
        }
        Some(response)
    }

    /// Completes an answer.
    pub(crate) fn relay(&self, headers: &mut HeaderMap, caller: Option<Caller>) {
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS] {
            headers.remove(name);
        }
        if !self.any {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(Caller(origin)) = caller else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, if self.any { HeaderValue::from_static("*") } else { origin });
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(expose) = &self.expose {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}
