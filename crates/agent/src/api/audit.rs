//! Who asked for what and whether it was done: one event for every request that changes something, whatever became of it.
//!
//! It surrounds the whole API, so an endpoint that is added cannot be forgotten: what does not read is recorded, by its path at least. Handlers
//! say in their own words what was asked; arguments of commands are left out, for they may hold passwords.

use super::peer::Peer;
use crate::core::Core;
use crate::error::RequestError;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use landfall_model::api::{Recorded, What};
use landfall_model::name::{AppName, RolloutId};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest words for what was asked, characters.
const MAX_ACTION: usize = 300;

/// In words, and the rollout that does it.
type Said = (String, Option<RolloutId>);

/// What a handler says was asked for.
#[derive(Clone, Default)]
pub(super) struct Note(Arc<Mutex<Option<Said>>>);

impl Note {
    pub(super) fn write(&self, action: String, rollout: Option<RolloutId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((action, rollout));
    }

    fn read(&self) -> Option<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Records what was done to the server without the API. Nobody but root, or the agent's own user, has done any such thing.
pub(super) async fn told(
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(note): Extension<Note>,
    Json(what): Json<Recorded>,
) -> Result<Response, RequestError> {
    if !peer.is_owner() {
        return Err(RequestError::Bad("only who owns this server has changed it".to_owned()));
    }
    note.write(what.action, None);
    let mut response = Json(()).into_response();
    if let Some(code) = what.refused {
        response.extensions_mut().insert(Refused(code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(60).collect()));
    }
    Ok(response)
}

/// Left in an answer by a refusal: its code.
#[derive(Clone)]
pub(super) struct Refused(pub(super) String);

/// Passes a request on and stores what it was.
pub(super) async fn record(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    // Asking what an image lacks changes nothing, and of its many pieces nothing exists until it is loaded.
    let part = path == "/v1/images" || path.starts_with("/v1/layers/");
    let looks = request.method() == Method::POST && path.ends_with("/plan");
    if request.method() == Method::GET || looks || part {
        return next.run(request).await;
    }
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let fallback = format!("{} {path}", request.method());
    // Whoever asked may hang up; what they asked for is done, and recorded, all the same.
    let done = tokio::spawn(async move {
        let response = next.run(request).await;
        keep(&core, &peer, (&path, fallback), &note, &response);
        response
    });
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn keep(core: &Core, peer: &Peer, (path, fallback): (&str, String), note: &Note, response: &Response) {
    let refused = response.extensions().get::<Refused>().map(|r| r.0.clone());
    let good = response.status().is_success() || response.status().is_informational();
    let code = refused.or_else(|| (!good).then(|| response.status().as_u16().to_string()));
    let (action, rollout) = note.read().unwrap_or((fallback, None));
    let action = action.chars().filter(|c| !c.is_control()).take(MAX_ACTION).collect();
    let app = path.strip_prefix("/v1/apps/").and_then(|rest| rest.split('/').next()?.parse::<AppName>().ok());
    let what = What::Called { action, from: peer.from(), refused: code };
    if let Err(error) = core.store.append(app.as_ref(), rollout.as_ref(), Some(&peer.who()), &what) {
        tracing::error!(%error, cause = %error.source, "a request was not recorded");
    }
}
