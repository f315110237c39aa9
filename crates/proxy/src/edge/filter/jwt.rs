//! Tokens (RFC 7519): only who shows a valid one passes, and the application is told what it says.
//!
//! What a token says of itself is never believed before its signature is: the key says which algorithms it is for, and a token that names another,
//! or none, or demands an extension (`crit`), is refused. Keys are text in the table; nothing is fetched here. Without any key nobody passes.

use super::keys::{Keys, algorithm};
use super::query;
use crate::edge::refusal::Refusal;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use landfall_model::filter::{HeaderKey, Jwt as Asked};
use serde_json::{Map, Value};

/// Longer ones are nobody's.
const MAX_TOKEN: usize = 8 * 1024;
/// Keys tried for one token. A provider that rotates has two.
const MAX_TRIES: usize = 4;

/// What one route asks for.
#[derive(Debug)]
pub(crate) struct Jwt {
    pub(super) keys: Keys,
    header: HeaderName,
    cookie: Option<String>,
    query: Option<String>,
    /// As the library wants to be told, but for the algorithms, which are a key's.
    validation: Validation,
    claims: Vec<(String, HeaderName)>,
}

/// What the application is told.
pub(crate) type Told = Vec<(HeaderName, HeaderValue)>;

impl Jwt {
    /// For what the file asks; `before` is what the same route asked until now.
    pub(crate) fn new(asked: &Asked, before: Option<&Self>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = asked.leeway_s;
        validation.validate_nbf = true;
        validation.validate_aud = !asked.audiences.is_empty();
        let mut required = vec!["exp"];
        if !asked.issuers.is_empty() {
            validation.set_issuer(&asked.issuers.iter().collect::<Vec<_>>());
            required.push("iss");
        }
        if !asked.audiences.is_empty() {
            validation.set_audience(&asked.audiences.iter().collect::<Vec<_>>());
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        let name = |key: &HeaderKey| HeaderName::try_from(key.as_str()).ok();
        Self {
            keys: Keys::new(&asked.keys, asked.algorithms.iter().copied().map(algorithm).collect(), before.map(|jwt| &jwt.keys)),
            header: name(&asked.header).unwrap_or(AUTHORIZATION),
            cookie: asked.cookie.clone(),
            query: asked.query.clone(),
            validation,
            claims: asked.claims.iter().filter_map(|(claim, header)| Some((claim.clone(), name(header)?))).collect(),
        }
    }

    /// Lets in who may come.
    pub(crate) fn admit<B>(&self, request: &Request<B>) -> Result<Told, Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::NoKeys);
        }
        let token = self.token(request.headers(), request.uri())?.ok_or(Refusal::NoToken)?;
        let claims = self.checked(token).map_err(|why| {
            tracing::debug!(why, "a token is refused");
            Refusal::BadToken
        })?;
        self.told(&claims).ok_or(Refusal::BadToken)
    }

    /// The token a request carries: in its header, a cookie, or its query.
    fn token<'r>(&self, headers: &'r HeaderMap, uri: &'r Uri) -> Result<Option<&'r str>, Refusal> {
        let mut given = headers.get_all(&self.header).iter();
        if let Some(value) = given.next() {
            // Two of them are two readings.
            if given.next().is_some() {
                return Err(Refusal::BadToken);
            }
            let text = value.to_str().map_err(|_| Refusal::BadToken)?;
            match text.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => return Ok(Some(token.trim())),
                None if self.header != AUTHORIZATION => return Ok(Some(text)),
                _ => {}
            }
        }
        let cookie = self.cookie.as_deref().and_then(|name| cookie(headers, name));
        let parameter = || self.query.as_deref().and_then(|name| query::value(uri.query()?, name));
        Ok(cookie.or_else(parameter))
    }

    /// Its claims, if somebody who may signed them and they hold now.
    fn checked(&self, token: &str) -> Result<Map<String, Value>, String> {
        if token.len() > MAX_TOKEN {
            return Err("it is too long".to_owned());
        }
        let header = decode_header(token).map_err(|e| e.to_string())?;
        if header.crit.is_some() {
            return Err("it demands an extension".to_owned());
        }
        let mut why = "no key for it".to_owned();
        for key in self.keys.matching(header.kid.as_deref(), header.alg).take(MAX_TRIES) {
            let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
            match decode::<Map<String, Value>>(token, key, &validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    /// Claims as headers: texts as they are, everything else as JSON. Nothing if one cannot be told.
    fn told(&self, claims: &Map<String, Value>) -> Option<Told> {
        let present = self.claims.iter().filter_map(|(claim, header)| Some((header, claims.get(claim)?)));
        present
            .map(|(header, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Some((header.clone(), HeaderValue::try_from(text).ok()?))
            })
            .collect()
    }

    /// Tells the application what the token says, and nothing a client says in its place.
    pub(crate) fn prepare(&self, told: &Told, headers: &mut HeaderMap, target: PathAndQuery) -> PathAndQuery {
        for (_, header) in &self.claims {
            headers.remove(header);
        }
        headers.extend(told.iter().cloned());
        self.without_token(&target).unwrap_or(target)
    }

    /// A target that may be shown, if that is another: the token in it could be used by whoever reads it.
    pub(crate) fn without_token(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        query::without(target, self.query.as_deref()?)
    }
}

fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    let crumbs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    crumbs.filter_map(|crumb| crumb.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'))
}
