//! Secrets, sealed. Every version keeps its row, so that a number never comes twice; what nobody can go back to loses its value.

use super::{OptionalExtension, Store, fail, parsed_word, word};
use crate::clock::now_ms;
use crate::error::StoreError;
use landfall_model::name::{AppName, SecretName};
use landfall_model::secret::{Origin, SecretRef};
use rusqlite::{Row, params};
use std::collections::BTreeSet;

/// One version of a secret.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SecretRow {
    /// Which.
    pub secret: SecretRef,
    /// Where it came from.
    pub origin: Origin,
    /// Absent when it was forgotten.
    pub sealed: Option<Vec<u8>>,
    /// Who set it.
    pub who: String,
    /// When.
    pub at_ms: u64,
}

impl Store {
    /// What a deploy would use, by name.
    pub(crate) fn secrets(&self, app: &AppName) -> Result<Vec<SecretRow>, StoreError> {
        let connection = self.lock();
        let mut query =
            connection.prepare_cached("SELECT * FROM secret WHERE app = ?1 AND current = 1 ORDER BY name").map_err(fail("list secrets"))?;
        let rows = query.query_map([app.as_str()], read).map_err(fail("list secrets"))?;
        rows.collect::<Result<_, _>>().map_err(fail("list secrets"))
    }

    /// One version.
    pub(crate) fn secret(&self, app: &AppName, secret: &SecretRef) -> Result<Option<SecretRow>, StoreError> {
        self.lock()
            .query_row(
                "SELECT * FROM secret WHERE app = ?1 AND name = ?2 AND version = ?3",
                params![app.as_str(), secret.name.as_str(), secret.version],
                read,
            )
            .optional()
            .map_err(fail("read a secret"))
    }

    /// The number the next version of a secret gets.
    pub(crate) fn next_secret(&self, app: &AppName, name: &SecretName) -> Result<u32, StoreError> {
        let query = "SELECT coalesce(max(version), 0) + 1 FROM secret WHERE app = ?1 AND name = ?2";
        self.lock().query_row(query, [app.as_str(), name.as_str()], |r| r.get(0)).map_err(fail("read a secret"))
    }

    /// Writes new versions, all or none; each is the current one from here on.
    pub(crate) fn put_secrets(&self, app: &AppName, rows: &[SecretRow]) -> Result<(), StoreError> {
        let failed = fail("write secrets");
        let mut connection = self.writer("write secrets")?;
        let change = connection.transaction().map_err(&failed)?;
        for row in rows {
            let SecretRef { name, version } = &row.secret;
            change.execute("UPDATE secret SET current = 0 WHERE app = ?1 AND name = ?2", [app.as_str(), name.as_str()]).map_err(&failed)?;
            change
                .execute(
                    "INSERT INTO secret (app, name, version, origin, sealed, who, at_ms, current) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
                    params![app.as_str(), name.as_str(), version, word(&row.origin)?, row.sealed, row.who, now_ms()],
                )
                .map_err(&failed)?;
        }
        change.commit().map_err(&failed)
    }

    /// No deploy uses it any more; releases that have it keep it. Answers whether there was one.
    pub(crate) fn unset_secret(&self, app: &AppName, name: &SecretName) -> Result<bool, StoreError> {
        let query = "UPDATE secret SET current = 0 WHERE app = ?1 AND name = ?2 AND current = 1";
        self.writer("unset a secret")?.execute(query, [app.as_str(), name.as_str()]).map(|n| n > 0).map_err(fail("unset a secret"))
    }

    /// Forgets the values of versions that are neither current nor in `keep`.
    pub(crate) fn forget_secrets(&self, app: &AppName, keep: &BTreeSet<SecretRef>) -> Result<(), StoreError> {
        let failed = fail("forget secrets");
        let mut connection = self.writer("forget secrets")?;
        let change = connection.transaction().map_err(&failed)?;
        {
            let old = "SELECT * FROM secret WHERE app = ?1 AND current = 0 AND sealed IS NOT NULL";
            let mut query = change.prepare_cached(old).map_err(&failed)?;
            let rows = query.query_map([app.as_str()], read).map_err(&failed)?.collect::<Result<Vec<_>, _>>().map_err(&failed)?;
            for SecretRow { secret, .. } in rows.iter().filter(|row| !keep.contains(&row.secret)) {
                let forget = "UPDATE secret SET sealed = NULL WHERE app = ?1 AND name = ?2 AND version = ?3";
                change.execute(forget, params![app.as_str(), secret.name.as_str(), secret.version]).map_err(&failed)?;
            }
        }
        change.commit().map_err(&failed)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<SecretRow> {
    Ok(SecretRow {
        secret: SecretRef { name: parsed_word(row, "name")?, version: row.get("version")? },
        origin: parsed_word(row, "origin")?,
        sealed: row.get("sealed")?,
        who: row.get("who")?,
        at_ms: row.get("at_ms")?,
    })
}
