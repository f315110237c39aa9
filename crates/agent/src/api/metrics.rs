//! What the proxy has counted, with what only the agent knows: as JSON, and as Prometheus reads it.

use super::cert::certificates;
use crate::core::Core;
use crate::error::RequestError;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use landfall_model::metrics::Metrics;
use std::sync::Arc;

pub(super) async fn show(State(core): State<Arc<Core>>) -> Result<Json<Metrics>, RequestError> {
    Ok(Json(metrics(&core).await?))
}

pub(super) async fn prometheus(State(core): State<Arc<Core>>) -> Result<impl IntoResponse, RequestError> {
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics(&core).await?.to_prometheus()))
}

async fn metrics(core: &Core) -> Result<Metrics, RequestError> {
    let mut metrics = core.table.proxy().metrics().await?;
    metrics.certificates = certificates(core)?.into_iter().map(|c| (c.name, c.until_ms / 1000)).collect();
    Ok(metrics)
}
