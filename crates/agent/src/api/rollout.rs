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
    let (words, id) = (request.want.told(), request.id.clone());
    note.write(words.clone(), Some(id.clone()));
    let back = matches!(request.want, Want::Rollback { .. });
    owns_project(&core, &request, &peer)?;
    let begun = rollout::begin(&core, &named(&app)?, request, &peer.who()).await?;
    if let Accepted::Rollout { id: done_by, release } = &begun {
        // Which one it goes back to is known only now.
        let words = if back { core.store.rollout(done_by)?.map_or(words, |row| row.purpose) } else { words };
        note.write(format!("{words}, as release {release}"), Some(id));
    }
    Ok(Json(begun))
}

/// A new release says where its project is; an old one was asked when it was new.
fn owns_project(core: &Core, request: &RolloutRequest, peer: &Peer) -> Result<(), RequestError> {
    match &request.want {
        Want::Deploy { spec, .. } => Ok(core.guard.check_project(spec, peer.uid())?),
        Want::Renew { .. } | Want::Rollback { .. } | Want::Down { .. } => Ok(()),
    }
}
