//! What lets clients in, for the fuzz targets.

use super::basic_auth::BasicAuth;
use super::jwt::Jwt;
use super::query;
use crate::edge::guess::{Caller, Guesses};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use landfall_model::filter::Filters;
use std::net::Ipv4Addr;

/// The guards of one route.
#[derive(Debug)]
pub struct Guarded {
    basic: Option<BasicAuth>,
    jwt: Option<Jwt>,
}

impl Guarded {
    /// As the route asks for.
    pub fn by(asked: &Filters) -> Self {
        Self { basic: BasicAuth::new("app", asked), jwt: asked.jwt.as_ref().map(|asked| Jwt::new(asked, None)) }
    }

    /// Who comes in by a password.
    pub fn user(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let caller = Caller { client: Ipv4Addr::LOCALHOST.into(), guesses: &Guesses::default() };
        self.basic.as_ref()?.admit(caller, headers).ok()
    }

    /// What the application is told of who comes in by a token.
    pub fn told(&self, request: &Request<()>) -> Option<Vec<(HeaderName, HeaderValue)>> {
        self.jwt.as_ref()?.admit(request).ok()
    }

    /// There are keys to check tokens with.
    pub fn has_keys(&self) -> bool {
        self.jwt.as_ref().is_some_and(|jwt| !jwt.keys.is_empty())
    }
}

/// The first parameter of this name.
pub fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query::value(query, name)
}

/// The target without the parameters of this name.
pub fn without_parameter(target: &PathAndQuery, name: &str) -> Option<PathAndQuery> {
    query::without(target, name)
}
