//! Images that are sent without a registry, and the deletion of those that no release needs.

use super::audit::Note;
use super::named;
use crate::core::Core;
use crate::error::RequestError;
use crate::{prune, upload};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use landfall_model::build::{NameImage, Named};
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

pub(super) async fn load(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Json(manifest): Json<ImageManifest>,
) -> Result<Json<Loaded>, RequestError> {
    note.write(format!("push {}", manifest.reference), None);
    Ok(Json(upload::load(&core, &manifest).await?))
}

/// An image that is here anyway needs no sending.
pub(super) async fn name(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Json(wanted): Json<NameImage>,
) -> Result<Json<Named>, RequestError> {
    note.write(format!("name an image {}", wanted.reference), None);
    let here = core.images()?.name(&wanted.image, &wanted.reference).await?;
    if here {
        core.store.put_image(&wanted.image, &wanted.reference, true)?;
    }
    Ok(Json(Named { here }))
}

pub(super) async fn prune(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Json(request): Json<PruneRequest>,
) -> Result<Json<Pruned>, RequestError> {
    note.write(if request.dry_run { "prune, dry run" } else { "prune" }.to_owned(), None);
    Ok(Json(prune::prune(&core, request).await?))
}
