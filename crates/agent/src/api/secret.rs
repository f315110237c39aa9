//! Secrets of an app: names and who set them, never a value.

use super::audit::Note;
use super::named;
use super::peer::Peer;
use crate::core::Core;
use crate::error::{RequestError, SecretError};
use axum::extract::{ConnectInfo, Path, State};
use axum::{Extension, Json};
use landfall_model::name::{AppName, SecretName};
use landfall_model::secret::{SecretStatus, SecretsSet, SetSecrets};
use std::sync::Arc;

pub(super) async fn list(State(core): State<Arc<Core>>, Path(app): Path<String>) -> Result<Json<Vec<SecretStatus>>, RequestError> {
    let app: AppName = named(&app)?;
    let current = core.store.app(&app)?.map(|row| core.current_spec(&row)).transpose()?.flatten();
    Ok(Json(core.secrets.list(&core.store, &app, current.as_ref())?))
}

pub(super) async fn set(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(note): Extension<Note>,
    Path(app): Path<String>,
    Json(request): Json<SetSecrets>,
) -> Result<Json<SecretsSet>, RequestError> {
    let names: Vec<&str> = request.values.keys().map(SecretName::as_str).collect();
    note.write(format!("{} {}", request.purpose, names.join(" ")), None);
    let app: AppName = named(&app)?;
    Ok(Json(core.secrets.set(&core.store, &app, &request.values, &peer.who())?))
}

pub(super) async fn unset(
    State(core): State<Arc<Core>>,
    Extension(note): Extension<Note>,
    Path((app, name)): Path<(String, String)>,
) -> Result<Json<SecretName>, RequestError> {
    let (app, name): (AppName, SecretName) = (named(&app)?, named(&name)?);
    note.write(format!("secret unset {name}"), None);
    if !core.store.unset_secret(&app, &name)? {
        return Err(SecretError::Unknown { app, name }.into());
    }
    Ok(Json(name))
}
