//! Rollouts and their journal.

use super::event::insert;
use super::{OptionalExtension, Store, fail, json, parsed, parsed_optional, parsed_word, word};
use crate::clock::now_ms;
use crate::error::StoreError;
use landfall_model::api::{Failure, RolloutState, What};
use landfall_model::digest::Revision;
use landfall_model::name::{AppName, ReleaseNumber, RolloutId};
use landfall_model::plan::{Plan, Serving};
use landfall_model::spec::Spec;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

/// Ended rollouts of an app that are kept, and as many of its repairs.
const KEPT: u32 = 20;

/// What a rollout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Kind {
    /// Makes a release, of a new spec or of an earlier release's.
    Release,
    /// Takes the app away.
    Down {
        /// Its volumes too.
        volumes: bool,
    },
    /// Puts back what died of the current release.
    Repair,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RolloutRow {
    /// Decided by the client.
    pub id: RolloutId,
    /// What was asked for; nothing for what nobody did.
    pub wanted: Option<Revision>,
    /// Whose.
    pub app: AppName,
    /// "deploy", "rollback to release 3", "down", "repair".
    pub purpose: String,
    /// Who asked.
    pub who: String,
    /// The release it makes.
    pub release: ReleaseNumber,
    /// What it is for.
    pub kind: Kind,
    /// What it leads to; images get pinned when they were pulled.
    pub spec: Spec,
    /// Who stood for what when it began.
    pub before: Serving,
    /// How it stands.
    pub state: RolloutState,
    /// Its release exists.
    pub committed: bool,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// One plan of a rollout and how far it got. There is more than one when images were pulled or the agent died.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// The plan.
    pub plan: Plan,
    /// Steps begun.
    pub begun: usize,
}

impl Store {
    /// Writes a new rollout.
    pub(crate) fn begin(&self, row: &RolloutRow) -> Result<(), StoreError> {
        self.writer("begin a rollout")?
            .execute(
                "INSERT INTO rollout (id, app, purpose, who, release, kind, spec, before, state, committed, started_ms, wanted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11)",
                params![
                    row.id.as_str(), row.app.as_str(), row.purpose, row.who, row.release.0, json(&row.kind)?, json(&row.spec)?,
                    json(&row.before)?, word(&row.state)?, row.started_ms, row.wanted.as_ref().map(json).transpose()?
                ],
            )
            .map_err(fail("begin a rollout"))?;
        Ok(())
    }

    /// One rollout.
    pub(crate) fn rollout(&self, id: &RolloutId) -> Result<Option<RolloutRow>, StoreError> {
        self.lock().query_row("SELECT * FROM rollout WHERE id = ?1", [id.as_str()], read).optional().map_err(fail("read a rollout"))
    }

    /// The app's newest rollout that a person asked for.
    pub(crate) fn last_rollout(&self, app: &AppName) -> Result<Option<RolloutRow>, StoreError> {
        self.lock()
            .query_row(
                "SELECT * FROM rollout WHERE app = ?1 AND purpose <> 'repair' ORDER BY started_ms DESC, rowid DESC LIMIT 1",
                [app.as_str()],
                read,
            )
            .optional()
            .map_err(fail("read a rollout"))
    }

    /// Rollouts that have not ended.
    pub(crate) fn unfinished(&self) -> Result<Vec<RolloutRow>, StoreError> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached("SELECT * FROM rollout WHERE ended_ms IS NULL ORDER BY started_ms, rowid")
            .map_err(fail("list rollouts"))?;
        let rows = query.query_map([], read).map_err(fail("list rollouts"))?;
        rows.collect::<Result<_, _>>().map_err(fail("list rollouts"))
    }

    /// Writes the spec with the images that were pulled.
    pub(crate) fn put_spec(&self, id: &RolloutId, spec: &Spec) -> Result<(), StoreError> {
        self.writer("write a spec")?
            .execute("UPDATE rollout SET spec = ?2 WHERE id = ?1", params![id.as_str(), json(spec)?])
            .map_err(fail("write a spec"))?;
        Ok(())
    }

    /// Writes how a rollout stands; a final state ends it.
    pub(crate) fn put_state(&self, id: &RolloutId, state: RolloutState, failure: Option<&Failure>) -> Result<(), StoreError> {
        let failure = failure.map(json).transpose()?;
        self.writer("write a rollout's state")?
            .execute(
                "UPDATE rollout SET state = ?2, failure = coalesce(?3, failure), ended_ms = ?4 WHERE id = ?1",
                params![id.as_str(), word(&state)?, failure, state.is_final().then(now_ms)],
            )
            .map_err(fail("write a rollout's state"))?;
        Ok(())
    }

    /// Ends a rollout and says so, in one transaction: who follows it waits for this event and no other.
    pub(crate) fn end(&self, row: &RolloutRow, state: RolloutState, failure: Option<Failure>, took_ms: u64) -> Result<(), StoreError> {
        let mut connection = self.writer("end a rollout")?;
        let change = connection.transaction().map_err(fail("end a rollout"))?;
        change
            .execute(
                "UPDATE rollout SET state = ?2, failure = coalesce(?3, failure), ended_ms = ?4 WHERE id = ?1",
                params![row.id.as_str(), word(&state)?, failure.as_ref().map(json).transpose()?, now_ms()],
            )
            .map_err(fail("end a rollout"))?;
        let seq = insert(&change, (Some(&row.app), Some(&row.id), None), &What::RolloutEnded { state, failure, took_ms })?;
        forget_old(&change, &row.app)?;
        change.commit().map_err(fail("end a rollout"))?;
        drop(connection);
        self.newest.send_replace(seq);
        Ok(())
    }

    /// Rows of rollouts, attempts and steps.
    pub(crate) fn journal_size(&self) -> Result<(u64, u64, u64), StoreError> {
        let count = "SELECT (SELECT count(*) FROM rollout), (SELECT count(*) FROM attempt), (SELECT count(*) FROM step)";
        self.lock().query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(fail("read the journal"))
    }

    /// Writes nothing new, as whatever is to be written would be.
    pub(crate) fn touch(&self, id: &RolloutId) -> Result<(), StoreError> {
        self.writer("write a rollout's state")?
            .execute("UPDATE rollout SET state = state WHERE id = ?1", [id.as_str()])
            .map_err(fail("write a rollout's state"))?;
        Ok(())
    }

    /// A newer rollout of its app made a release, or took the app down.
    pub(crate) fn is_overtaken(&self, id: &RolloutId) -> Result<bool, StoreError> {
        self.lock()
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM rollout o WHERE o.app = r.app AND o.rowid > r.rowid AND o.committed)
                     OR EXISTS (SELECT 1 FROM app a WHERE a.name = r.app AND a.release > r.release)
                 FROM rollout r WHERE r.id = ?1",
                [id.as_str()],
                |row| row.get(0),
            )
            .map_err(fail("read the journal"))
    }

    /// Journals a plan before its first step; answers the attempt's number.
    pub(crate) fn begin_attempt(&self, id: &RolloutId, plan: &Plan) -> Result<u32, StoreError> {
        self.writer("journal a plan")?
            .query_row(
                "INSERT INTO attempt (rollout, number, plan) VALUES (?1, 1 + coalesce((SELECT max(number) FROM attempt WHERE rollout = ?1), 0), ?2) RETURNING number",
                params![id.as_str(), json(plan)?],
                |r| r.get(0),
            )
            .map_err(fail("journal a plan"))
    }

    /// Journals that a step is about to be done.
    pub(crate) fn begin_step(&self, id: &RolloutId, attempt: u32, undo: bool, number: usize) -> Result<(), StoreError> {
        self.writer("journal a step")?
            .execute(
                "INSERT OR REPLACE INTO step (rollout, attempt, undo, number, begun_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id.as_str(), attempt, undo, number as u64, now_ms()],
            )
            .map_err(fail("journal a step"))?;
        Ok(())
    }

    /// Journals that a step is done.
    pub(crate) fn finish_step(&self, id: &RolloutId, attempt: u32, undo: bool, number: usize) -> Result<(), StoreError> {
        self.writer("journal a step")?
            .execute(
                "UPDATE step SET done_ms = ?5 WHERE rollout = ?1 AND attempt = ?2 AND undo = ?3 AND number = ?4",
                params![id.as_str(), attempt, undo, number as u64, now_ms()],
            )
            .map_err(fail("journal a step"))?;
        Ok(())
    }

    /// Every attempt, oldest first.
    pub(crate) fn attempts(&self, id: &RolloutId) -> Result<Vec<Attempt>, StoreError> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached(
                "SELECT a.number AS number, a.plan AS plan,
                    (SELECT count(*) FROM step s WHERE s.rollout = a.rollout AND s.attempt = a.number AND s.undo = 0) AS begun
                 FROM attempt a WHERE a.rollout = ?1 ORDER BY a.number",
            )
            .map_err(fail("read the journal"))?;
        let attempt = |row: &Row<'_>| {
            let begun = usize::try_from(row.get::<_, u64>("begun")?).unwrap_or(usize::MAX);
            Ok(Attempt { number: row.get("number")?, plan: parsed(row, "plan")?, begun })
        };
        let rows = query.query_map([id.as_str()], attempt).map_err(fail("read the journal"))?;
        rows.collect::<Result<_, _>>().map_err(fail("read the journal"))
    }

    /// How many steps of its undo were done.
    pub(crate) fn undone(&self, id: &RolloutId) -> Result<usize, StoreError> {
        let count = "SELECT count(*) FROM step WHERE rollout = ?1 AND undo = 1 AND done_ms IS NOT NULL";
        let undone: u64 = self.lock().query_row(count, [id.as_str()], |r| r.get(0)).map_err(fail("read the journal"))?;
        Ok(usize::try_from(undone).unwrap_or(usize::MAX))
    }
}

/// Deletes rollouts of an app that ended long ago, with their journal. The newest that a person asked for stays: it has the newest spec of an app that
/// is down. Number and spec of a release are in `release`, and what happened is in the events.
fn forget_old(connection: &Connection, app: &AppName) -> Result<(), StoreError> {
    let forget = |sql: &str| connection.execute(sql, params![app.as_str(), KEPT]).map_err(fail("forget old rollouts"));
    // A repair that failed is followed by another: of repairs only some are kept, so that they push nobody's deploy out.
    const OLD: &str = "SELECT id FROM (
            SELECT id, ended_ms, row_number() OVER (PARTITION BY purpose = 'repair' ORDER BY started_ms DESC, rowid DESC) AS place
            FROM rollout WHERE app = ?1
        ) WHERE place > ?2 AND ended_ms IS NOT NULL";
    forget(&format!("DELETE FROM step WHERE rollout IN ({OLD})"))?;
    forget(&format!("DELETE FROM attempt WHERE rollout IN ({OLD})"))?;
    forget(&format!("DELETE FROM rollout WHERE id IN ({OLD})"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<RolloutRow> {
    Ok(RolloutRow {
        id: parsed_word(row, "id")?,
        wanted: parsed_optional(row, "wanted")?,
        app: parsed_word(row, "app")?,
        purpose: row.get("purpose")?,
        who: row.get("who")?,
        release: ReleaseNumber(row.get("release")?),
        kind: parsed(row, "kind")?,
        spec: parsed(row, "spec")?,
        before: parsed(row, "before")?,
        state: parsed_word(row, "state")?,
        committed: row.get("committed")?,
        started_ms: row.get("started_ms")?,
        failure: parsed_optional(row, "failure")?,
    })
}
