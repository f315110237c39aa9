//! Releases: what a commit leaves.

use super::rollout::{Kind, RolloutRow};
use super::{OptionalExtension, Store, fail, json, parsed, parsed_word};
use crate::clock::now_ms;
use crate::error::StoreError;
use landfall_model::api::Release;
use landfall_model::name::{AppName, ReleaseNumber};
use landfall_model::spec::{Program, Spec};
use rusqlite::{Row, params};

impl Store {
    /// Commits a rollout: its release exists and is the app's current one, in one transaction. For `down`, the app has none from here on.
    pub(crate) fn commit(&self, rollout: &RolloutRow, spec: &Spec) -> Result<(), StoreError> {
        let now = now_ms();
        let down = matches!(rollout.kind, Kind::Down { .. });
        let mut connection = self.writer("commit a release")?;
        let change = connection.transaction().map_err(fail("commit a release"))?;
        let app = rollout.app.as_str();
        if !down {
            change
                .execute(
                    "INSERT OR IGNORE INTO release (app, number, rollout, spec, revision, purpose, who, at_ms, took_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    params![app, rollout.release.0, rollout.id.as_str(), json(spec)?, spec.revision().as_str(), rollout.purpose, rollout.who, now, now.saturating_sub(rollout.started_ms)],
                )
                .map_err(fail("commit a release"))?;
        }
        change
            .execute("UPDATE app SET release = ?2 WHERE name = ?1", params![app, (!down).then_some(rollout.release.0)])
            .map_err(fail("commit a release"))?;
        change.execute("UPDATE rollout SET committed = 1 WHERE id = ?1", [rollout.id.as_str()]).map_err(fail("commit a release"))?;
        change.commit().map_err(fail("commit a release"))
    }

    /// The spec of a release.
    pub(crate) fn release_spec(&self, app: &AppName, number: ReleaseNumber) -> Result<Option<Spec>, StoreError> {
        self.lock()
            .query_row("SELECT spec FROM release WHERE app = ?1 AND number = ?2", params![app.as_str(), number.0], |r| parsed(r, "spec"))
            .optional()
            .map_err(fail("read a release"))
    }

    /// Specs of the newest releases and when they were made, the newest first.
    pub(crate) fn last_specs(&self, app: &AppName, count: u32) -> Result<Vec<(Spec, u64)>, StoreError> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached("SELECT spec, at_ms FROM release WHERE app = ?1 ORDER BY number DESC LIMIT ?2")
            .map_err(fail("read releases"))?;
        let rows =
            query.query_map(params![app.as_str(), count], |r| Ok((parsed(r, "spec")?, r.get("at_ms")?))).map_err(fail("read releases"))?;
        rows.collect::<Result<_, _>>().map_err(fail("read releases"))
    }

    /// The newest release made before `number`.
    pub(crate) fn release_before(&self, app: &AppName, number: ReleaseNumber) -> Result<Option<ReleaseNumber>, StoreError> {
        self.lock()
            .query_row("SELECT max(number) FROM release WHERE app = ?1 AND number < ?2", params![app.as_str(), number.0], |r| {
                r.get::<_, Option<u64>>(0)
            })
            .map(|n| n.map(ReleaseNumber))
            .map_err(fail("read releases"))
    }

    /// The number the next release of an app gets: above every number a rollout ever asked for, so that ids never come twice.
    pub(crate) fn next_release(&self, app: &AppName) -> Result<ReleaseNumber, StoreError> {
        self.lock()
            .query_row(
                "SELECT max(coalesce((SELECT max(number) FROM release WHERE app = ?1), 0), coalesce((SELECT max(release) FROM rollout WHERE app = ?1), 0)) + 1",
                [app.as_str()],
                |r| r.get(0),
            )
            .map(ReleaseNumber)
            .map_err(fail("read releases"))
    }

    /// Releases of an app, newest first, at most 200.
    pub(crate) fn releases(&self, app: &AppName) -> Result<Vec<Release>, StoreError> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached(
                "SELECT r.*, a.release IS r.number AS current FROM release r JOIN app a ON a.name = r.app WHERE r.app = ?1 ORDER BY r.number DESC LIMIT 200",
            )
            .map_err(fail("list releases"))?;
        let rows = query.query_map([app.as_str()], read).map_err(fail("list releases"))?;
        rows.collect::<Result<_, _>>().map_err(fail("list releases"))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Release> {
    let spec: Spec = parsed(row, "spec")?;
    let revision: String = row.get("revision")?;
    Ok(Release {
        number: ReleaseNumber(row.get("number")?),
        rollout: parsed_word(row, "rollout")?,
        revision: revision.chars().take(12).collect(),
        purpose: row.get("purpose")?,
        who: row.get("who")?,
        at_ms: row.get("at_ms")?,
        took_ms: row.get("took_ms")?,
        current: row.get("current")?,
        programs: spec.services.iter().map(|(name, s)| (name.clone(), program(&s.template.program))).collect(),
    })
}

fn program(program: &Program) -> String {
    match program {
        Program::Image { reference, .. } => reference.to_string(),
        Program::Executable { path, .. } => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}
