//! The agent's API: HTTP/1.1 with JSON on a Unix socket, one file a noun.
//!
//! There is no TCP port. Who connects is known by the kernel (`SO_PEERCRED`); who may is told in [`peer`]. Types are `landfall_model::api`; errors are a `Failure` with a 4xx or 5xx status. Bodies are bounded.

mod app;
mod audit;
mod build;
mod cert;
mod event;
mod frames;
mod image;
mod log;
mod metrics;
mod peer;
mod registry;
mod rollout;
mod scope;
mod secret;
mod session;
mod survey;

pub(crate) use cert::certificates;
pub use peer::{DEPLOYER, GROUP, SHARED_SOCKET};
pub(crate) use peer::{Listener, group};

use crate::core::Core;
use crate::error::RequestError;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router};
use landfall_model::api::{AgentInfo, VERSION};
use std::sync::Arc;

/// Largest request body: a spec of a thousand services fits.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Answers until the process ends.
pub(crate) async fn serve(listener: Listener, core: Arc<Core>) {
    let router = Router::new()
        .route("/v1/agent", get(agent))
        .route("/v1/apps", get(app::list))
        .route("/v1/apps/{app}", get(app::show))
        .route("/v1/apps/{app}/releases", get(app::releases))
        .route("/v1/apps/{app}/releases/{number}/spec", get(app::release_spec))
        .route("/v1/apps/{app}/plan", post(rollout::plan))
        .route("/v1/apps/{app}/rollouts", post(rollout::begin))
        .route("/v1/rollouts/{id}/events", get(event::of_rollout))
        .route("/v1/events", get(event::list))
        .route("/v1/audit", post(audit::told))
        .route("/v1/survey", get(survey::show))
        .route("/v1/metrics", get(metrics::show))
        .route("/metrics", get(metrics::prometheus))
        .route("/v1/certs", get(cert::list))
        .route("/v1/certs/renew", post(cert::renew))
        .route("/v1/ca", get(cert::authority))
        .route("/v1/apps/{app}/logs", get(log::follow))
        .route("/v1/apps/{app}/exec", post(session::exec))
        .route("/v1/apps/{app}/run", post(session::run))
        .route("/v1/registries", get(registry::list))
        .route("/v1/registries/{host}", put(registry::log_in).delete(registry::log_out))
        .route("/v1/images", post(image::wanted))
        .route("/v1/images/load", post(image::load))
        .route("/v1/images/name", post(image::name))
        .route("/v1/builds", post(build::build))
        .route("/v1/layers/{id}", put(image::receive))
        .route("/v1/prune", post(image::prune))
        .route("/v1/apps/{app}/volumes", get(app::volumes))
        .route("/v1/apps/{app}/secrets", get(secret::list).put(secret::set))
        .route("/v1/apps/{app}/secrets/{name}", delete(secret::unset))
        .layer(from_fn(scope::guard))
        .layer(from_fn_with_state(Arc::clone(&core), audit::record))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(core);
    let service = router.into_make_service_with_connect_info::<peer::Peer>();
    if let Err(e) = axum::serve(listener, service).await {
        tracing::error!(error = %e, "the API has ended");
    }
}

async fn agent(State(core): State<Arc<Core>>) -> Json<AgentInfo> {
    Json(AgentInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: VERSION,
        pid: std::process::id(),
        https: core.https.clone(),
        http: core.http.clone(),
    })
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let failure = self.failure();
        let refused = Extension(audit::Refused(failure.code.clone()));
        (status, refused, Json(failure)).into_response()
    }
}

/// A path element that must be a name.
fn named<T: std::str::FromStr<Err = landfall_model::name::NameError>>(text: &str) -> Result<T, RequestError> {
    text.parse().map_err(|e: landfall_model::name::NameError| RequestError::Bad(e.to_string()))
}
