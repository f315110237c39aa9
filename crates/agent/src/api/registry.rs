//! Logins of registries.

use super::audit::Note;
use super::named;
use super::peer::Peer;
use crate::core::Core;
use crate::error::RequestError;
use crate::registry;
use axum::extract::{ConnectInfo, Path, State};
use axum::{Extension, Json};
use landfall_model::image::{Login, RegistryStatus};
use landfall_model::name::RegistryHost;
use std::sync::Arc;

pub(super) async fn list(State(core): State<Arc<Core>>) -> Result<Json<Vec<RegistryStatus>>, RequestError> {
    Ok(Json(core.store.registries()?))
}

pub(super) async fn log_in(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(note): Extension<Note>,
    Path(host): Path<String>,
    Json(login): Json<Login>,
) -> Result<Json<()>, RequestError> {
    let host: RegistryHost = named(&host)?;
    note.write(format!("registry login {host} as {}", login.user), None);
    registry::log_in(&core, &host, &login, &peer.who()).await?;
    Ok(Json(()))
}

pub(super) async fn log_out(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Path(host): Path<String>,
) -> Result<Json<()>, RequestError> {
    let host: RegistryHost = named(&host)?;
    note.write(format!("registry logout {host}"), None);
    if core.store.drop_registry(&host)? { Ok(Json(())) } else { Err(RequestError::NoLogin(host)) }
}
