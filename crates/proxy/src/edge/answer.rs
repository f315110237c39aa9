//! What a route answers by itself, as the file says: another address, a fixed text, or files.

use crate::edge::file::{Files, Folder, Wanted};
use crate::edge::filter::Filters;
use crate::edge::refusal::Refusal;
use crate::edge::target::rest_behind;
use crate::edge::watch::InFlight;
use crate::upstream::body::ResponseBody;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use landfall_model::filter;
use landfall_model::name::PathMatch;
use std::sync::Arc;

/// A request that was let in.
pub(crate) struct Asking<'a, B> {
    pub(crate) request: &'a Request<B>,
    pub(crate) target: &'a PathAndQuery,
    pub(crate) filters: &'a Filters,
    pub(crate) in_flight: InFlight,
}

/// In place of an application.
#[derive(Debug)]
pub(crate) enum Answer {
    Redirect(Redirect),
    Respond(Respond),
    Files(Files),
}

impl Answer {
    /// For the route of this path.
    pub(crate) fn new(asked: &filter::Answer, path: &PathMatch, folder: Option<Arc<Folder>>) -> Self {
        match asked {
            filter::Answer::Redirect(redirect) => Answer::Redirect(Redirect::new(redirect, path)),
            filter::Answer::Respond(respond) => Answer::Respond(Respond::new(respond)),
            filter::Answer::Files(files) => Answer::Files(Files::new(files, folder)),
        }
    }

    /// The answer. `origin` is how clients reach the host that was asked.
    pub(crate) fn answer<B>(&self, asking: Asking<'_, B>, origin: impl FnOnce() -> String) -> Result<Response<ResponseBody>, Refusal> {
        let Asking { request, target, filters, in_flight } = asking;
        match self {
            Answer::Redirect(redirect) => Ok(redirect.answer(target, origin)),
            Answer::Respond(respond) => Ok(respond.answer(request.method() == Method::HEAD)),
            Answer::Files(files) => {
                let below = filters.path_below(target);
                let wanted = Wanted {
                    method: request.method(),
                    headers: request.headers(),
                    path: below.path(),
                    target: target.as_str(),
                    encode: filters.compresses(),
                };
                files.answer(&wanted, in_flight, origin)
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Redirect {
    to: filter::RedirectTarget,
    status: StatusCode,
    /// The route's path, where what follows it is kept.
    prefix: Option<String>,
}

impl Redirect {
    fn new(asked: &filter::Redirect, path: &PathMatch) -> Self {
        Self {
            to: asked.to.clone(),
            // The model knows no status that is none.
            status: StatusCode::from_u16(asked.status).unwrap_or(StatusCode::PERMANENT_REDIRECT),
            prefix: asked.keep_rest.then(|| path.path().to_owned()),
        }
    }

    fn answer(&self, target: &PathAndQuery, origin: impl FnOnce() -> String) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::text(Bytes::new()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
        match HeaderValue::from_str(&self.location(target, origin)) {
            Ok(location) => drop(response.headers_mut().insert(LOCATION, location)),
            Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        response
    }

    /// With its host always: a client would read a path that begins with two slashes as another site's.
    fn location(&self, target: &PathAndQuery, origin: impl FnOnce() -> String) -> String {
        let mut location = if self.to.is_path() { origin() } else { String::new() };
        let rest = self.prefix.as_ref().and_then(|prefix| rest_behind(target.path(), prefix));
        let to = self.to.as_str();
        location.push_str(if rest.is_some_and(|rest| rest.starts_with('/')) { to.trim_end_matches('/') } else { to });
        if let Some(rest) = rest {
            location.push_str(rest);
            if let Some(query) = target.query() {
                location.push('?');
                location.push_str(query);
            }
        }
        location
    }
}

#[derive(Debug)]
pub(crate) struct Respond {
    status: StatusCode,
    body: Bytes,
    content_type: HeaderValue,
}

impl Respond {
    fn new(asked: &filter::Respond) -> Self {
        Self {
            status: StatusCode::from_u16(asked.status).unwrap_or(StatusCode::OK),
            body: Bytes::from(asked.body.clone()),
            content_type: HeaderValue::from_str(asked.content_type.as_str()).unwrap_or(HeaderValue::from_static("text/plain")),
        }
    }

    fn answer(&self, head: bool) -> Response<ResponseBody> {
        let bodiless = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        let body = if bodiless { Bytes::new() } else { self.body.clone() };
        let length = body.len();
        let mut response = Response::new(ResponseBody::text(if head { Bytes::new() } else { body }));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if length > 0 {
            headers.insert(CONTENT_TYPE, self.content_type.clone());
        }
        if !bodiless {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_path_is_kept_and_never_becomes_another_host() {
        let location = |path: &str, to: &str, keep_rest: bool, target: &'static str| {
            let asked = filter::Redirect { to: to.parse().unwrap(), status: 301, keep_rest };
            Redirect::new(&asked, &path.parse().unwrap()).location(&PathAndQuery::from_static(target), || "https://a".to_owned())
        };
        assert_eq!(location("/old", "/new", true, "/old/x?q"), "https://a/new/x?q");
        assert_eq!(location("/old", "/new/", true, "/old/x"), "https://a/new/x");
        assert_eq!(location("/old", "/new/", true, "/old?q"), "https://a/new/?q");
        assert_eq!(location("/old", "/", true, "/old//evil.example"), "https://a//evil.example");
        assert_eq!(location("/old", "/new", true, "//%6fld/x?q"), "https://a/new/x?q");
        assert_eq!(location("/old", "/new", false, "/old/x?q"), "https://a/new");
        assert_eq!(location("=/old", "/new", true, "/old?q"), "https://a/new?q");
        assert_eq!(location("/", "https://b", true, "/x"), "https://b/x");
        assert_eq!(location("/", "https://b/", true, "/"), "https://b/");
        assert_eq!(location("/old", "https://b/c?d=e", false, "/old/x"), "https://b/c?d=e");
    }
}
