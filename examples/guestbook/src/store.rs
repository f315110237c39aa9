//! The entries and statistics in SQLite, at `data/guestbook.db` under the working directory.
//!
//! The old and the new release have it open at the same time: WAL lets them, a busy timeout makes a writer wait its turn, and the
//! schema is only ever added to.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where it lies, relative to the project.
pub(crate) const PATH: &str = "data/guestbook.db";

/// One line in the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Counted from 1.
    pub(crate) id: i64,
    /// Who signed.
    pub(crate) name: String,
    /// What they wrote.
    pub(crate) text: String,
    /// Milliseconds since 1970 UTC.
    pub(crate) at_ms: i64,
}

/// What the worker last counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statistics {
    /// Lines in the book.
    pub(crate) entries: i64,
    /// Different names.
    pub(crate) guests: i64,
    /// When, milliseconds since 1970 UTC.
    pub(crate) at_ms: i64,
}

/// An open book.
pub(crate) struct Store(Connection);

impl Store {
    /// Opens the book, making it first where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS statistics (at_ms INTEGER NOT NULL, entries INTEGER NOT NULL, guests INTEGER NOT NULL);",
        )?;
        Ok(Self(connection))
    }

    /// Adds a line.
    pub(crate) fn add(&self, name: &str, text: &str) -> rusqlite::Result<Entry> {
        self.0.query_row(
            "INSERT INTO entry (name, text, at_ms) VALUES (?1, ?2, ?3) RETURNING id, name, text, at_ms",
            params![name, text, now_ms()],
            entry,
        )
    }

    /// The newest `limit` lines, newest first.
    pub(crate) fn newest(&self, limit: u32) -> rusqlite::Result<Vec<Entry>> {
        let mut statement = self.0.prepare_cached("SELECT id, name, text, at_ms FROM entry ORDER BY id DESC LIMIT ?1")?;
        statement.query_map([limit], entry)?.collect()
    }

    /// Counts and remembers; keeps the last day of counts.
    pub(crate) fn compute(&self) -> rusqlite::Result<Statistics> {
        let now = now_ms();
        let counted = self.0.query_row("SELECT count(*), count(DISTINCT name) FROM entry", [], |row| {
            Ok(Statistics { entries: row.get(0)?, guests: row.get(1)?, at_ms: now })
        })?;
        self.0.execute("DELETE FROM statistics WHERE at_ms < ?1", [now - 86_400_000])?;
        self.0.execute(
            "INSERT INTO statistics (at_ms, entries, guests) VALUES (?1, ?2, ?3)",
            params![counted.at_ms, counted.entries, counted.guests],
        )?;
        Ok(counted)
    }

    /// What was counted last, if anything.
    pub(crate) fn statistics(&self) -> rusqlite::Result<Option<Statistics>> {
        let mut statement = self.0.prepare_cached("SELECT entries, guests, at_ms FROM statistics ORDER BY at_ms DESC LIMIT 1")?;
        let mut rows = statement.query_map([], |row| Ok(Statistics { entries: row.get(0)?, guests: row.get(1)?, at_ms: row.get(2)? }))?;
        rows.next().transpose()
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { id: row.get(0)?, name: row.get(1)?, text: row.get(2)?, at_ms: row.get(3)? })
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_releases_share_one_book() {
        let directory = std::env::temp_dir().join(format!("guestbook-{}", std::process::id()));
        let path = directory.join("book.db");
        let (old, new) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        old.add("Ada", "from the old").unwrap();
        new.add("Ada", "from the new").unwrap();
        let texts = |store: &Store| store.newest(10).unwrap().into_iter().map(|e| e.text).collect::<Vec<_>>();
        assert_eq!(texts(&old), ["from the new", "from the old"]);
        assert_eq!(texts(&old), texts(&new));
        assert_eq!(old.statistics().unwrap(), None);
        let counted = new.compute().unwrap();
        assert_eq!((counted.entries, counted.guests), (2, 1));
        assert_eq!(old.statistics().unwrap(), Some(counted));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
