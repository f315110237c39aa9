//! Events: stored first, told afterwards.

use super::{Store, fail, json, parsed};
use crate::clock::now_ms;
use crate::error::StoreError;
use landfall_model::api::{Event, What};
use landfall_model::name::{AppName, RolloutId};
use rusqlite::{Connection, Row, params};
use tokio::sync::watch;

/// Events kept; older ones go when a new one comes.
const KEPT: u64 = 100_000;

/// Which events are meant; all when it says nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Of {
    pub app: Option<AppName>,
    pub rollout: Option<RolloutId>,
    /// Only who asked for what.
    pub audit: bool,
}

impl Store {
    /// Stores an event and wakes those who follow.
    pub(crate) fn append(
        &self,
        app: Option<&AppName>,
        rollout: Option<&RolloutId>,
        who: Option<&str>,
        what: &What,
    ) -> Result<(), StoreError> {
        let connection = self.writer("store an event")?;
        let seq = insert(&connection, (app, rollout, who), what)?;
        if seq.is_multiple_of(1000) {
            connection.execute("DELETE FROM event WHERE seq <= ?1", [seq.saturating_sub(KEPT)]).map_err(fail("drop old events"))?;
        }
        drop(connection);
        self.newest.send_replace(seq);
        Ok(())
    }

    /// Events of `of` after `after` in order, at most `limit`.
    pub(crate) fn events(&self, of: &Of, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached(
                "SELECT * FROM event WHERE seq > ?1 AND (?2 IS NULL OR app = ?2) AND (?3 IS NULL OR rollout = ?3) AND (audit OR NOT ?5) ORDER BY seq LIMIT ?4",
            )
            .map_err(fail("read events"))?;
        let rows = query
            .query_map(
                params![after, of.app.as_ref().map(AppName::as_str), of.rollout.as_ref().map(RolloutId::as_str), limit, of.audit],
                read,
            )
            .map_err(fail("read events"))?;
        rows.collect::<Result<_, _>>().map_err(fail("read events"))
    }

    /// Where a reader who wants the last `count` of them starts.
    pub(crate) fn events_from_end(&self, of: &Of, count: u32) -> Result<u64, StoreError> {
        self.lock()
            .query_row(
                "SELECT coalesce(min(seq), 1) - 1 FROM (SELECT seq FROM event WHERE (?1 IS NULL OR app = ?1) AND (audit OR NOT ?3) ORDER BY seq DESC LIMIT ?2)",
                params![of.app.as_ref().map(AppName::as_str), count, of.audit],
                |r| r.get(0),
            )
            .map_err(fail("read events"))
    }

    /// Wakes those who follow although there is no event: something that could not be stored is to be told.
    pub(crate) fn wake(&self) {
        self.newest.send_modify(|_| {});
    }

    /// Changes with every event.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

/// Inserts an event; answers its number.
pub(super) fn insert(
    connection: &Connection,
    (app, rollout, who): (Option<&AppName>, Option<&RolloutId>, Option<&str>),
    what: &What,
) -> Result<u64, StoreError> {
    let audit = matches!(what, What::Called { .. });
    let text = json(what)?;
    connection
        .prepare_cached("INSERT INTO event (at_ms, app, rollout, who, what, audit) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut q| q.execute(params![now_ms(), app.map(AppName::as_str), rollout.map(RolloutId::as_str), who, text, audit]))
        .map_err(fail("store an event"))?;
    Ok(u64::try_from(connection.last_insert_rowid()).unwrap_or_default())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    let named = |column: &str| -> rusqlite::Result<Option<String>> { row.get(column) };
    Ok(Event {
        seq: row.get("seq")?,
        at_ms: row.get("at_ms")?,
        app: named("app")?.and_then(|n| n.parse().ok()),
        rollout: named("rollout")?.and_then(|n| n.parse().ok()),
        who: row.get("who")?,
        what: parsed(row, "what")?,
    })
}
