//! Asking for a rollout, or only for its plan.

use super::audit::Note;
use super::named;
use super::peer::Peer;
use crate::core::Core;
use crate::error::RequestError;
use crate::rollout;
use axum::extract::{ConnectInfo, Path, State};
use axum::{Extension, Json};
use landfall_model::api::{Accepted, Planned, RolloutRequest, Want};
use std::sync::Arc;

pub(super) async fn plan(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(app): Path<String>,
    Json(request): Json<RolloutRequest>,
) -> Result<Json<Planned>, RequestError> {
    owns_project(&core, &request, &peer)?;
    Ok(Json(rollout::plan_only(&core, &named(&app)?, request, &peer.who()).await?))
}

pub(super) async fn begin(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(note): Extension<Note>,
    Path(app): Path<String>,
    Json(request): Json<RolloutRequest>,
) -> Result<Json<Accepted>, RequestError> {
    note.write(request.want.to_string(), Some(request.id.clone()));
    owns_project(&core, &request, &peer)?;
    Ok(Json(rollout::begin(&core, &named(&app)?, request, &peer.who()).await?))
}

/// A new release says where its project is; an old one was asked when it was new.
fn owns_project(core: &Core, request: &RolloutRequest, peer: &Peer) -> Result<(), RequestError> {
    match &request.want {
        Want::Deploy { spec, .. } => Ok(core.guard.check_project(spec, peer.uid())?),
        Want::Renew { .. } | Want::Rollback { .. } | Want::Down { .. } => Ok(()),
    }
}
