//! Events as they were stored, and as they come.

use super::named;
use super::peer::Peer;
use crate::clock::now_ms;
use crate::core::Core;
use crate::error::RequestError;
use crate::store::Of;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::response::Response;
use futures_util::stream;
use landfall_model::api::{Event, RolloutState, What};
use landfall_model::name::{AppName, RolloutId};
use serde::Deserialize;
use std::sync::Arc;

/// Events read from the store at once.
const BATCH: u32 = 200;
/// Events of the past shown when nobody says how many.
const PAST: u32 = 100;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    app: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    audit: bool,
}

#[derive(Deserialize)]
pub(super) struct AfterQuery {
    #[serde(default)]
    after: u64,
}

/// Where a stream of events stands.
struct Cursor {
    core: Arc<Core>,
    of: Of,
    after: u64,
    /// So many more; without bound when following.
    left: u64,
    follow: bool,
    /// How much it was told of a rollout that waits for the store.
    said: u64,
}

impl Cursor {
    /// What a follower of a rollout must hear although no event says it: that the store fails, or that it ended when its events are no longer kept.
    fn unstored(&mut self) -> Option<Event> {
        let id = self.of.rollout.clone()?;
        let what = match self.core.stalls.of(&id) {
            Some(stall) if stall.said > self.said => {
                self.said = stall.said;
                match stall.failure {
                    Some(failure) => What::RolloutEnded { state: RolloutState::Failed, failure: Some(failure), took_ms: 0 },
                    None => What::Progress { service: None, line: stall.line },
                }
            }
            Some(_) => return None,
            None => {
                let row = self.core.store.rollout(&id).ok()??;
                // Its end may have been stored since the events were read.
                let untold = self.core.store.events(&self.of, self.after, 1).is_ok_and(|events| events.is_empty());
                if !row.state.is_final() || !untold {
                    return None;
                }
                What::RolloutEnded { state: row.state, failure: row.failure, took_ms: 0 }
            }
        };
        Some(Event { seq: self.after, at_ms: now_ms(), app: None, rollout: Some(id), who: None, what })
    }
}

pub(super) async fn list(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(query): Query<ListQuery>,
) -> Result<Response, RequestError> {
    let app: Option<AppName> = query.app.as_deref().map(named).transpose()?;
    if let Some(apps) = peer.scope()
        && app.as_ref().is_none_or(|app| !apps.contains(app))
    {
        let asked = app.map_or_else(|| "the events of every app".to_owned(), |app| format!("the events of {app}"));
        return Err(RequestError::OutOfScope { asked, apps });
    }
    let of = Of { app, rollout: None, audit: query.audit };
    let limit = query.limit.unwrap_or(PAST).min(10_000);
    let after = match query.after {
        Some(after) => after,
        None => core.store.events_from_end(&of, limit)?,
    };
    let left = if query.follow { u64::MAX } else { u64::from(limit) };
    Ok(lines(Cursor { core, of, after, left, follow: query.follow, said: 0 }))
}

/// Ends after the rollout's end.
pub(super) async fn of_rollout(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    Query(query): Query<AfterQuery>,
) -> Result<Response, RequestError> {
    let id: RolloutId = named(&id)?;
    // Of another app's it hears no more than of one that never was.
    core.store.rollout(&id)?.filter(|row| peer.may(&row.app)).ok_or_else(|| RequestError::NoRollout(id.clone()))?;
    Ok(lines(Cursor { core, of: Of { rollout: Some(id), ..Of::default() }, after: query.after, left: u64::MAX, follow: true, said: 0 }))
}

fn lines(cursor: Cursor) -> Response {
    let stream = stream::unfold(Some(cursor), |cursor| async move {
        let mut cursor = cursor?;
        let mut newest = cursor.core.store.newest();
        loop {
            newest.borrow_and_update();
            let limit = u64::from(BATCH).min(cursor.left) as u32;
            let events = match cursor.core.store.events(&cursor.of, cursor.after, limit) {
                Ok(events) => events,
                Err(e) => return Some((Err(std::io::Error::other(e)), None)),
            };
            if let Some(last) = events.last() {
                cursor.after = last.seq;
                cursor.left = cursor.left.saturating_sub(events.len() as u64);
                let ended = cursor.of.rollout.is_some() && events.iter().any(ends);
                let more = cursor.left > 0 && !ended;
                return Some((Ok(text(&events)), more.then_some(cursor)));
            }
            if let Some(event) = cursor.unstored() {
                let ended = ends(&event);
                return Some((Ok(text(&[event])), (!ended).then_some(cursor)));
            }
            if !cursor.follow || newest.changed().await.is_err() {
                return None;
            }
        }
    });
    Response::builder().header("content-type", "application/x-ndjson").body(Body::from_stream(stream)).unwrap_or_default()
}

fn ends(event: &Event) -> bool {
    matches!(event.what, What::RolloutEnded { .. })
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|e| serde_json::to_string(e).ok()).map(|line| line + "\n").collect()
}
