//! Images that are sent without a registry, and the deletion of those that no release needs.

use super::named;
use crate::core::Core;
use crate::error::RequestError;
use crate::{prune, upload};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use landfall_model::image::{ImageManifest, Loaded, PruneRequest, Pruned, Received, Wanted};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct PieceQuery {
    /// Where in the layer this piece begins.
    at: u64,
    /// Bytes of the whole layer.
    of: u64,
}

pub(super) async fn wanted(State(core): State<Arc<Core>>, Json(manifest): Json<ImageManifest>) -> Result<Json<Wanted>, RequestError> {
    Ok(Json(upload::wanted(&core, &manifest).await?))
}

pub(super) async fn receive(
    State(core): State<Arc<Core>>,
    Path(id): Path<String>,
    Query(piece): Query<PieceQuery>,
    bytes: Bytes,
) -> Result<Json<Received>, RequestError> {
    Ok(Json(upload::receive(&core, &named(&id)?, (piece.at, piece.of), bytes).await?))
}

pub(super) async fn load(State(core): State<Arc<Core>>, Json(manifest): Json<ImageManifest>) -> Result<Json<Loaded>, RequestError> {
    Ok(Json(upload::load(&core, &manifest).await?))
}

pub(super) async fn prune(State(core): State<Arc<Core>>, Json(request): Json<PruneRequest>) -> Result<Json<Pruned>, RequestError> {
    Ok(Json(prune::prune(&core, request).await?))
}
