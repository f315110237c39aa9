//! What is done to requests and answers on their way, one file each, as the route in the table asks for.
//!
//! Calls between services pass none of this. What a filter remembers across requests is shared by the workers through atomics only; what it
//! writes into answers is each worker's own copy, because a shared text would have its reference count bounce between cores.

mod address;
mod basic_auth;
mod body_limit;
mod compress;
mod cors;
mod encoder;
mod etag;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod jwt;
mod keys;
mod query;
mod rate_limit;
mod request_id;
mod rewrite;
mod security;

use crate::edge::answer::Answer;
use crate::edge::arriving::Arriving;
use crate::edge::file::Folder;
use crate::edge::guess::Caller;
use crate::edge::refusal::Refusal;
use crate::meter::{Meter, RouteMeter};
use crate::upstream::body::ResponseBody;
use address::Addresses;
use basic_auth::BasicAuth;
use compress::{Accepted, Compression};
use cors::Cors;
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Body as _;
use jwt::{Jwt, Told};
use landfall_model::filter::{self, UpgradeName};
use landfall_model::name::PathMatch;
use rewrite::Rewrite;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use body_limit::{linger, throw_away};
pub(crate) use compress::{Compressed, Encoding, shrinks};
pub(crate) use rate_limit::Limiter;
pub(crate) use request_id::RequestIds;
pub(crate) use security::{hsts, is_public};

/// One route's filters as the control thread prepares them.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Which route of which site, so that a swap finds what the one before remembered.
    app: String,
    site: String,
    path: PathMatch,
    asked: filter::Filters,
    limiter: Option<Arc<Limiter>>,
    /// Open, where the route serves files.
    folder: Option<Arc<Folder>>,
    jwt: Option<Arc<Jwt>>,
    /// What came of its requests.
    pub(crate) meter: Arc<Meter>,
}

/// Whose route it is.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) app: &'a str,
    /// An app may have several sites: their routes remember nothing of each other.
    pub(crate) site: &'a str,
    pub(crate) path: &'a PathMatch,
    /// How many count its requests.
    pub(crate) workers: usize,
}

impl Shared {
    /// For a route; `now` are those of the same table so far, `before` those of the table in use.
    pub(crate) fn new(whose: Whose<'_>, asked: &filter::Filters, folder: Option<Arc<Folder>>, (now, before): (&[Self], &[Self])) -> Self {
        let Whose { app, site, path, workers } = whose;
        let limiter = asked.rate_limit.map(|limit| {
            // Who names a bucket counts with all of the app who name it; everybody else alone.
            let same = |b: &&Self| {
                let counted_together = match &asked.bucket {
                    Some(bucket) => b.app == app && b.asked.bucket.as_ref() == Some(bucket),
                    None => b.asked.bucket.is_none() && b.site == site && b.path == *path,
                };
                counted_together && b.asked.rate_limit == Some(limit)
            };
            let known = now.iter().filter(|_| asked.bucket.is_some()).chain(before).find(same);
            known.and_then(|b| b.limiter.clone()).unwrap_or_else(|| Arc::new(Limiter::new(limit)))
        });
        let before = before.iter().find(|b| b.site == site && b.path == *path);
        let meter = before.map_or_else(|| Arc::new(Meter::new(workers)), |b| Arc::clone(&b.meter));
        let jwt = asked.jwt.as_ref().map(|jwt| Arc::new(Jwt::new(jwt, before.and_then(|b| b.jwt.as_deref()))));
        let (app, site) = (app.to_owned(), site.to_owned());
        Self { app, site, path: path.clone(), asked: asked.clone(), limiter, folder, jwt, meter }
    }

    /// Its application reads encoded slashes as what they are. A route that answers by itself has no application.
    pub(crate) fn lets_encoded_slashes_pass(&self) -> bool {
        self.asked.encoded_slashes && self.asked.answer.is_none()
    }

    /// It keeps something out.
    pub(crate) fn is_guard(&self) -> bool {
        self.asked.is_guard()
    }

    /// It lets through to an application what `guard` would not.
    pub(crate) fn lets_more_pass_than(&self, guard: &Self) -> bool {
        self.asked.lets_more_pass_than(&guard.asked)
    }

    /// Whose route it is, and its path.
    pub(crate) fn name(&self) -> (&str, &str) {
        (&self.app, self.path.as_ref())
    }
}

/// One route's filters as a worker uses them.
#[derive(Debug)]
pub(crate) struct Filters {
    headers: security::Headers,
    addresses: Addresses,
    limiter: Option<Arc<Limiter>>,
    cors: Option<Cors>,
    basic_auth: Option<BasicAuth>,
    jwt: Option<Arc<Jwt>>,
    /// The route, as this worker counts it.
    pub(crate) meter: Rc<RouteMeter>,
    /// Bytes of a request's body.
    pub(crate) max_body: u64,
    /// Paths with an encoded slash or backslash are for the application to read.
    pub(crate) encoded_slashes: bool,
    /// Headers with `_` in their names that the application gets.
    pub(crate) underscored: Vec<HeaderName>,
    /// Protocols beside WebSocket that a connection may be switched to.
    pub(crate) upgrades: Vec<UpgradeName>,
    preflight: bool,
    rewrite: Option<Rewrite>,
    compression: Option<Compression>,
    /// What answers in place of the application.
    pub(crate) answer: Option<Answer>,
}

/// What is known of a request from its admission to its answer.
#[derive(Debug)]
pub(crate) struct Passage {
    id: HeaderValue,
    user: Option<HeaderValue>,
    /// What its token says.
    told: Told,
    caller: Option<cors::Caller>,
    accepted: Accepted,
    /// The client may have chosen a part of the answer: there is a query or a body.
    chosen: bool,
    /// Tags the client has, some of them weakened on their way to it.
    has: Option<HeaderValue>,
    /// The client may be told to come by HTTPS only.
    secure: bool,
}

impl Passage {
    /// The request's name.
    pub(crate) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// Begins.
    pub(crate) fn new(id: HeaderValue, secure: bool) -> Self {
        Self { id, user: None, told: Told::new(), caller: None, accepted: Accepted::default(), chosen: false, has: None, secure }
    }
}

/// What happens to a request that does not go on to the application.
pub(crate) enum Stop {
    /// It is refused.
    Refuse(Refusal),
    /// A filter answers it.
    Answer(Box<Response<ResponseBody>>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refuse(refusal)
    }
}

impl Filters {
    pub(crate) fn new(shared: &Shared, worker: usize) -> Self {
        let asked = &shared.asked;
        Self {
            headers: security::Headers::new(asked),
            addresses: Addresses::new(asked),
            limiter: shared.limiter.clone(),
            cors: asked.cors.as_ref().map(Cors::new),
            basic_auth: BasicAuth::new(&shared.app, asked),
            jwt: shared.jwt.clone(),
            meter: Rc::new(RouteMeter::new(shared.path.as_ref(), &shared.meter, worker)),
            max_body: asked.max_body.unwrap_or(u64::MAX),
            underscored: asked.underscore_headers.iter().filter_map(|key| HeaderName::try_from(key.as_str()).ok()).collect(),
            upgrades: asked.upgrade.iter().cloned().collect(),
            preflight: asked.preflight,
            encoded_slashes: shared.lets_encoded_slashes_pass(),
            rewrite: Rewrite::new(shared.path.path(), asked),
            compression: (!asked.uncompressed).then(Compression::default),
            answer: asked.answer.as_ref().map(|answer| Answer::new(answer, &shared.path, shared.folder.clone())),
        }
    }

    /// A target as it may be written down, if that is not as it is.
    pub(crate) fn shown(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        self.jwt.as_ref().and_then(|jwt| jwt.without_token(target))
    }

    /// Stops what the route does not want, before anything is done for it. The cheapest questions come first, and a browser's question about
    /// another origin before the password it cannot send along.
    pub(crate) fn admit(&self, caller: Caller<'_>, request: &Request<Arriving>, passage: &mut Passage) -> Result<(), Stop> {
        let client = caller.client;
        self.addresses.admit(client)?;
        if let Some(limiter) = &self.limiter {
            limiter.admit(client)?;
        }
        if let Some(cors) = &self.cors {
            passage.caller = cors.caller(request.headers());
            if let Some(answer) = cors.preflight(request, passage.caller.as_ref()) {
                return Err(Stop::Answer(Box::new(answer)));
            }
        }
        if !(self.preflight && cors::is_preflight(request)) {
            if let Some(basic_auth) = &self.basic_auth {
                passage.user = Some(basic_auth.admit(caller, request.headers())?);
            }
            if let Some(jwt) = &self.jwt {
                passage.told = jwt.admit(request)?;
            }
        }
        body_limit::admit(self.max_body, request)?;
        if self.compression.is_some() {
            passage.accepted = Accepted::of(request.method(), request.headers());
            passage.chosen = request.uri().query().is_some() || !request.body().is_end_stream();
        }
        Ok(())
    }

    /// Completes a request for the application: its headers, and its target as the application knows it.
    pub(crate) fn prepare(
        &self,
        passage: &mut Passage,
        (method, headers): (&Method, &mut HeaderMap),
        mut target: PathAndQuery,
    ) -> PathAndQuery {
        headers.insert(request_id::X_REQUEST_ID, passage.id.clone());
        if let Some(user) = &passage.user {
            headers.remove(AUTHORIZATION);
            headers.insert(basic_auth::X_FORWARDED_USER, user.clone());
        }
        if self.compression.is_some() {
            passage.has = etag::undo(method, headers);
        }
        if let Some(jwt) = &self.jwt {
            target = jwt.prepare(&passage.told, headers, target);
        }
        match &self.rewrite {
            Some(rewrite) => rewrite.prepare(target, headers),
            None => target,
        }
    }

    /// Its answers may be made smaller.
    pub(crate) fn compresses(&self) -> bool {
        self.compression.is_some()
    }

    /// A path as a directory of files knows it.
    pub(crate) fn path_below(&self, target: &PathAndQuery) -> PathAndQuery {
        self.rewrite.as_ref().map_or_else(|| target.clone(), |rewrite| rewrite.target(target.clone()))
    }

    /// Completes an answer, whoever made it.
    pub(crate) fn relay(&self, response: &mut Response<ResponseBody>, passage: Passage) {
        if let Some(has) = &passage.has {
            etag::compare(has, response);
        }
        // How much an answer shrinks tells whether what a stranger's page had the browser ask for is also in its secrets (BREACH, CVE-2013-3587).
        let tells = passage.chosen && response.headers().contains_key(SET_COOKIE);
        if let Some(compression) = self.compression.as_ref().filter(|_| !tells) {
            compression.relay(response, &passage.accepted);
        }
        let headers = response.headers_mut();
        headers.reserve(self.headers.count() + 1);
        headers.entry(request_id::X_REQUEST_ID).or_insert(passage.id);
        if let Some(cors) = &self.cors {
            cors.relay(headers, passage.caller);
        }
        self.headers.apply(headers, passage.secure);
    }
}
