//! What the agent remembers: one SQLite file, and the only SQL of the house.
//!
//! Write-ahead log with `synchronous=FULL`: what a call returned from is on disk. Calls are short and blocking; nobody holds the connection across
//! an await. Values of the model are stored as JSON, because they are read back whole and by this binary or a newer one only.

mod app;
mod copy;
mod disk;
mod event;
mod registry;
mod release;
mod rollout;
mod secret;

pub(crate) use app::AppRow;
pub(crate) use copy::{forget, put_back};
pub(crate) use event::Of;
pub(crate) use registry::ImageRow;
pub(crate) use rollout::{Attempt, Kind, RolloutRow};
pub(crate) use secret::SecretRow;

use crate::error::StoreError;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Each entry brings the schema from its index to the next; all of a start's entries run in one transaction.
const SCHEMA: &[&str] = &[
    "
    CREATE TABLE app (
        name TEXT PRIMARY KEY, runtime TEXT NOT NULL, release INTEGER, serving TEXT NOT NULL, ports TEXT NOT NULL
    ) STRICT;
    CREATE TABLE rollout (
        id TEXT PRIMARY KEY, app TEXT NOT NULL, purpose TEXT NOT NULL, who TEXT NOT NULL, release INTEGER NOT NULL,
        kind TEXT NOT NULL, spec TEXT NOT NULL, before TEXT NOT NULL, state TEXT NOT NULL, committed INTEGER NOT NULL,
        started_ms INTEGER NOT NULL, ended_ms INTEGER, failure TEXT
    ) STRICT;
    CREATE INDEX rollout_app ON rollout (app, started_ms);
    CREATE TABLE attempt (
        rollout TEXT NOT NULL, number INTEGER NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (rollout, number)
    ) STRICT;
    CREATE TABLE step (
        rollout TEXT NOT NULL, attempt INTEGER NOT NULL, undo INTEGER NOT NULL, number INTEGER NOT NULL,
        begun_ms INTEGER NOT NULL, done_ms INTEGER, PRIMARY KEY (rollout, attempt, undo, number)
    ) STRICT;
    CREATE TABLE release (
        app TEXT NOT NULL, number INTEGER NOT NULL, rollout TEXT NOT NULL, spec TEXT NOT NULL, revision TEXT NOT NULL,
        purpose TEXT NOT NULL, who TEXT NOT NULL, at_ms INTEGER NOT NULL, took_ms INTEGER NOT NULL, PRIMARY KEY (app, number)
    ) STRICT;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, app TEXT, rollout TEXT, who TEXT, what TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_rollout ON event (rollout, seq);
",
    "
    ALTER TABLE rollout ADD COLUMN wanted TEXT;
",
    "
    CREATE TABLE secret (
        app TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, origin TEXT NOT NULL, sealed BLOB, who TEXT NOT NULL,
        at_ms INTEGER NOT NULL, current INTEGER NOT NULL, PRIMARY KEY (app, name, version)
    ) STRICT;
    ALTER TABLE event ADD COLUMN audit INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX event_audit ON event (seq) WHERE audit = 1;
",
    "
    CREATE TABLE registry (
        host TEXT PRIMARY KEY, user TEXT NOT NULL, sealed BLOB NOT NULL, who TEXT NOT NULL, at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE image (
        id TEXT NOT NULL, reference TEXT NOT NULL, sent INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (id, reference)
    ) STRICT;
",
    "
    CREATE TABLE disk (
        mount TEXT NOT NULL, at_ms INTEGER NOT NULL, used INTEGER NOT NULL, inodes INTEGER NOT NULL, PRIMARY KEY (mount, at_ms)
    ) STRICT;
    CREATE INDEX disk_at ON disk (at_ms);
",
];

/// Asked before every write, which fails with what it answers: how a test makes a disk full.
pub type BeforeWrite = Arc<dyn Fn() -> std::io::Result<()> + Send + Sync>;

/// The store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    connection: Arc<Mutex<Connection>>,
    before_write: Option<BeforeWrite>,
    /// The newest event's number, for those who wait for the next.
    newest: watch::Sender<u64>,
}

impl Store {
    /// Opens or makes the file. A file written by a newer Landfall is refused.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        copy::for_its_owner_alone(path).map_err(|source| StoreError { doing: "make its file", source: source.into() })?;
        let mut connection = Connection::open(path).map_err(fail("open its file"))?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(fail("set its time-out"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fail("set its journal"))?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(fail("set its durability"))?;
        connection.pragma_update(None, "cache_size", -1024).map_err(fail("set its cache"))?;
        migrate(&mut connection, path, SCHEMA)?;
        let newest = connection.query_row("SELECT coalesce(max(seq), 0) FROM event", [], |r| r.get(0)).map_err(fail("read its events"))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), before_write: None, newest: watch::Sender::new(newest) })
    }

    /// Has every write ask first.
    pub(crate) fn asking(self, before_write: Option<BeforeWrite>) -> Self {
        Self { before_write, ..self }
    }

    /// The connection, to write with.
    fn writer(&self, doing: &'static str) -> Result<MutexGuard<'_, Connection>, StoreError> {
        if let Some(ask) = &self.before_write {
            ask().map_err(|source| StoreError { doing, source: Box::new(source) })?;
        }
        Ok(self.lock())
    }

    /// A thread that panicked with the connection held left no transaction open: rusqlite rolls back on drop.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn migrate(connection: &mut Connection, path: &Path, schema: &[&str]) -> Result<(), StoreError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(fail("read its version"))?;
    if version > schema.len() {
        let source = format!("it was written by a newer Landfall (schema {version}, this one knows {})", schema.len());
        return Err(StoreError { doing: "be opened", source: source.into() });
    }
    if (1..schema.len()).contains(&version) {
        copy::make(connection, path)?;
    }
    let change = connection.transaction().map_err(fail("begin its upgrade"))?;
    for script in &schema[version..] {
        change.execute_batch(script).map_err(fail("be upgraded"))?;
    }
    change.pragma_update(None, "user_version", schema.len()).map_err(fail("be upgraded"))?;
    change.commit().map_err(fail("be upgraded"))
}

/// Names what was being done when SQLite refused.
fn fail(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError { doing, source: Box::new(source) }
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError { doing: "write a value", source: Box::new(source) })
}

/// Reads a JSON column; text that is not what it should be is an error of that column.
fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    from_text(&text)
}

fn parsed_optional<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.as_deref().map(from_text).transpose()
}

fn from_text<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

/// A newtype or enum whose JSON is a bare string, as that string.
fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(json(value)?.trim_matches('"').to_owned())
}

fn parsed_word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    from_text(&format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_a_newer_landfall_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        drop(Store::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
        let error = Store::open(&path).err().unwrap();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("newer Landfall"));
        let version: i64 = Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(version, 999);
    }

    #[test]
    fn a_store_that_was_migrated_can_be_had_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let version =
            |path: &Path| -> usize { Connection::open(path).unwrap().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap() };
        let app = AppRow::new("tutor".parse().unwrap(), landfall_model::spec::RuntimeKind::Docker);
        Store::open(&path).unwrap().put_app(&app).unwrap();
        assert!(!put_back(&path).unwrap(), "nothing was migrated yet");

        let newer: Vec<&str> = SCHEMA.iter().copied().chain(["DROP TABLE app"]).collect();
        migrate(&mut Connection::open(&path).unwrap(), &path, &newer).unwrap();
        assert_eq!(version(&path), newer.len());
        assert!(Store::open(&path).is_err(), "the store is the newer one's");
        assert!(put_back(&path).unwrap());
        assert_eq!(Store::open(&path).unwrap().apps().unwrap(), vec![app]);

        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let broken: Vec<&str> = SCHEMA.iter().copied().chain(["DROP TABLE app", "nonsense"]).collect();
        assert!(migrate(&mut Connection::open(&path).unwrap(), &path, &broken).is_err());
        assert_eq!(version(&path), SCHEMA.len(), "a migration is done wholly or not at all");
    }

    #[test]
    fn opening_twice_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let app = "tutor".parse().unwrap();
        let row = AppRow::new(app, landfall_model::spec::RuntimeKind::Docker);
        Store::open(&path).unwrap().put_app(&row).unwrap();
        assert_eq!(Store::open(&path).unwrap().apps().unwrap(), vec![row]);
    }
}
