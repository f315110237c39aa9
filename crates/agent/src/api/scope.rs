//! A key that is bound to apps asks about these and nothing else: kept here for every call, before the handler sees it.
//!
//! What the routes of an app are is read from the route that matched, and which app from its decoded parameter: the same two the handler goes by, so there
//! is no second reading of a path to disagree with. Whatever is not an app's own is refused unless it is listed, so an endpoint that is added is closed to
//! such keys until somebody says otherwise. Images, builds, registries and certificates belong to the whole server, and stay with those who may use all of it.

use super::named;
use super::peer::Peer;
use crate::error::RequestError;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use landfall_model::name::AppName;
use std::collections::BTreeSet;

/// Below this everything is about the app that the path names.
const OF_APP: &str = "/v1/apps/{app}";
/// About no app, or about those the handler leaves in: it asks [`Peer::may`].
const OPEN: [&str; 5] = ["/v1/agent", "/v1/ca", "/v1/apps", "/v1/events", "/v1/rollouts/{id}/events"];

/// Passes on what the peer may ask.
pub(super) async fn guard(
    ConnectInfo(peer): ConnectInfo<Peer>,
    matched: Option<MatchedPath>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let Some(scope) = peer.scope() else { return next.run(request).await };
    // A path without a route has none.
    let app = params.iter().flatten().find(|(name, _)| *name == "app").map(|(_, app)| app);
    if allows(&scope, matched.as_ref().map(MatchedPath::as_str), app) {
        return next.run(request).await;
    }
    let asked = format!("{} {}", request.method(), request.uri().path());
    tracing::warn!(who = %peer.who(), asked, "a key that is bound to apps asked for something else");
    RequestError::OutOfScope { asked, apps: scope }.into_response()
}

fn allows(scope: &BTreeSet<AppName>, matched: Option<&str>, app: Option<&str>) -> bool {
    let Some(matched) = matched else { return false };
    if OPEN.contains(&matched) {
        return true;
    }
    let of_app = matched.strip_prefix(OF_APP).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    of_app && app.and_then(|app| named::<AppName>(app).ok()).is_some_and(|app| scope.contains(&app))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_to_be_open_is_closed() {
        let scope: BTreeSet<AppName> = ["shop".parse().unwrap()].into();
        let routes = include_str!("mod.rs").split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let routes: Vec<&str> = routes.collect();
        assert!(routes.len() > 20, "{routes:?}");
        for route in routes {
            let own = route.starts_with(OF_APP);
            assert_eq!(allows(&scope, Some(route), Some("shop")), own || OPEN.contains(&route), "{route}");
            assert_eq!(allows(&scope, Some(route), Some("billing")), OPEN.contains(&route), "{route}");
            assert_eq!(allows(&BTreeSet::new(), Some(route), Some("shop")), OPEN.contains(&route), "{route}");
        }
        for (route, app) in
            [(None, Some("shop")), (Some(OF_APP), None), (Some("/v1/apps/{app}x"), Some("shop")), (Some(OF_APP), Some("../shop"))]
        {
            assert!(!allows(&scope, route, app), "{route:?} {app:?}");
        }
    }
}
