//! How full disks were: what a forecast is made of.

use super::{Store, fail};
use crate::error::StoreError;
use landfall_model::survey::DiskSample;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// Remembers how full disks are, and forgets what is older than `since_ms`.
    pub(crate) fn put_disks(&self, samples: &[DiskSample], since_ms: u64) -> Result<(), StoreError> {
        let mut connection = self.writer("remember the disks")?;
        let transaction = connection.transaction().map_err(fail("remember the disks"))?;
        for sample in samples {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO disk (mount, at_ms, used, inodes) VALUES (?1, ?2, ?3, ?4)",
                    params![sample.mount, sample.at_ms, sample.used, sample.inodes],
                )
                .map_err(fail("remember the disks"))?;
        }
        transaction.execute("DELETE FROM disk WHERE at_ms < ?1", [since_ms]).map_err(fail("forget old disks"))?;
        transaction.commit().map_err(fail("remember the disks"))
    }

    /// When they were last looked at.
    pub(crate) fn last_disks(&self) -> Result<Option<u64>, StoreError> {
        let last = self.lock().query_row("SELECT max(at_ms) FROM disk", [], |r| r.get(0)).optional();
        Ok(last.map_err(fail("read the disks"))?.flatten())
    }

    /// All that is remembered, the oldest first.
    pub(crate) fn disks(&self) -> Result<Vec<DiskSample>, StoreError> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT * FROM disk ORDER BY at_ms, mount").map_err(fail("read the disks"))?;
        let rows = query
            .query_map([], |r| {
                Ok(DiskSample { at_ms: r.get("at_ms")?, mount: r.get("mount")?, used: r.get("used")?, inodes: r.get("inodes")? })
            })
            .map_err(fail("read the disks"))?;
        rows.collect::<Result<_, _>>().map_err(fail("read the disks"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_remembered_for_as_long_as_it_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store.db")).unwrap();
        assert_eq!(store.last_disks().unwrap(), None);
        let sample = |at_ms| DiskSample { at_ms, mount: "/".into(), used: at_ms * 10, inodes: 7 };
        for at_ms in [1000, 2000, 3000] {
            store.put_disks(&[sample(at_ms)], at_ms.saturating_sub(1500)).unwrap();
        }
        assert_eq!(store.disks().unwrap(), [sample(2000), sample(3000)]);
        assert_eq!(store.last_disks().unwrap(), Some(3000));
    }
}
