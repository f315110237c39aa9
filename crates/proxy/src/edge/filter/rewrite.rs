//! Another path in the place of the route's own, for applications that do not know where they are mounted.

use crate::edge::target::rest_behind;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use landfall_model::filter::Filters;

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

#[derive(Debug)]
pub(crate) struct Rewrite {
    /// Without `/` at its end, as the table matched it.
    prefix: String,
    with: String,
    /// What the application is told it is mounted at; absent when that is not all there is to it.
    told: Option<HeaderValue>,
}

impl Rewrite {
    /// For a route at `path`.
    pub(crate) fn new(path: &str, asked: &Filters) -> Option<Self> {
        let with = asked.rewrite.as_ref()?.as_str().trim_end_matches('/').to_owned();
        let prefix = path.trim_end_matches('/').to_owned();
        let told = HeaderValue::from_str(&prefix).ok().filter(|_| with.is_empty() && !prefix.is_empty());
        Some(Self { prefix, with, told })
    }

    /// The target as the application gets it. What follows the prefix, and the query, stay as they are.
    pub(crate) fn prepare(&self, target: PathAndQuery, headers: &mut HeaderMap) -> PathAndQuery {
        if let Some(told) = &self.told {
            headers.insert(X_FORWARDED_PREFIX, told.clone());
        }
        self.target(target)
    }

    /// Likewise, for what gets no headers.
    pub(crate) fn target(&self, target: PathAndQuery) -> PathAndQuery {
        let Some(mut rest) = rest_behind(target.path(), &self.prefix) else { return target };
        let mut with = self.with.as_str();
        if with.is_empty() {
            // A path that begins with two slashes is another host's address to who makes a link or redirect of it.
            rest = rest.trim_start_matches('/');
            with = "/";
        }
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        // Both halves were paths, so their sum is one.
        PathAndQuery::try_from(format!("{with}{rest}{query}")).unwrap_or(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_prefix_stays() {
        let rewritten = |path: &str, with: &str, target: &'static str| {
            let asked = Filters { rewrite: Some(with.parse().unwrap()), ..Filters::default() };
            let mut headers = HeaderMap::new();
            let target = Rewrite::new(path, &asked).unwrap().prepare(PathAndQuery::from_static(target), &mut headers);
            let told = headers.get(X_FORWARDED_PREFIX).map_or("-", |v| v.to_str().unwrap());
            format!("{target} {told}")
        };
        assert_eq!(rewritten("/api", "/", "/api/x?q=/api"), "/x?q=/api /api");
        assert_eq!(rewritten("/api", "/", "/api"), "/ /api");
        assert_eq!(rewritten("/api/", "/", "/api?q"), "/?q /api");
        assert_eq!(rewritten("/api", "/", "/api/"), "/ /api");
        assert_eq!(rewritten("/v1", "/api/v1", "/v1/x"), "/api/v1/x -");
        assert_eq!(rewritten("/v1", "/api/v1", "/v1"), "/api/v1 -");
        assert_eq!(rewritten("/", "/app", "/x"), "/app/x -");
        assert_eq!(rewritten("/", "/app", "/"), "/app/ -");
        assert_eq!(rewritten("/", "/", "//x?"), "/x? -");
        assert_eq!(rewritten("/api", "/", "/api//evil.example//x?q=//"), "/evil.example//x?q=// /api");
        assert_eq!(rewritten("/api/v1", "/", "//%61pi//v1/%78"), "/%78 /api/v1");
        assert_eq!(rewritten("/v1", "/api/v1", "/v1//x"), "/api/v1//x -");
    }
}
