//! Logins of registries.

use super::named;
use super::peer::Peer;
use crate::core::Core;
use crate::error::RequestError;
use crate::registry;
use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use landfall_model::image::{Login, RegistryStatus};
use landfall_model::name::RegistryHost;
use std::sync::Arc;

pub(super) async fn list(State(core): State<Arc<Core>>) -> Result<Json<Vec<RegistryStatus>>, RequestError> {
    Ok(Json(core.store.registries()?))
}

pub(super) async fn log_in(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(host): Path<String>,
    Json(login): Json<Login>,
) -> Result<Json<()>, RequestError> {
    registry::log_in(&core, &named(&host)?, &login, &peer.who()).await?;
    Ok(Json(()))
}

pub(super) async fn log_out(State(core): State<Arc<Core>>, Path(host): Path<String>) -> Result<Json<()>, RequestError> {
    let host: RegistryHost = named(&host)?;
    if core.store.drop_registry(&host)? { Ok(Json(())) } else { Err(RequestError::NoLogin(host)) }
}
