//! The copy that is made of a store before it is migrated, so that a failed upgrade of Landfall can have it back.
//!
//! An older Landfall refuses a store that a newer one has migrated, and so it should. The copy is made by the agent that migrates, which holds the home's
//! lock: nothing is written between the copy and the migration.

use super::fail;
use crate::error::StoreError;
use rusqlite::Connection;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the copy of a store lies.
pub(crate) fn copy_of(store: &Path) -> PathBuf {
    store.with_extension("db.before-upgrade")
}

/// Makes the copy, whole or not at all, in place of an older one.
pub(super) fn make(connection: &Connection, store: &Path) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError { doing: "be copied before its upgrade", source: source.into() };
    let (copy, half) = (copy_of(store), store.with_extension("db.half"));
    remove(&half).map_err(failed)?;
    for_its_owner_alone(&half).map_err(failed)?;
    connection.execute("VACUUM INTO ?1", [half.to_string_lossy()]).map_err(fail("be copied before its upgrade"))?;
    std::fs::File::open(&half).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&half, &copy).map_err(failed)
}

/// Makes the file when it is not there, and closes it to others: SQLite gives its journal the same mode.
pub(super) fn for_its_owner_alone(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts the copy of a store back in its place, if there is one. The caller holds the home's lock.
pub(crate) fn put_back(store: &Path) -> io::Result<bool> {
    let copy = copy_of(store);
    if !copy.try_exists()? {
        return Ok(false);
    }
    // The journal belongs to the store that goes.
    for ending in ["db-wal", "db-shm"] {
        remove(&store.with_extension(ending))?;
    }
    std::fs::rename(&copy, store)?;
    Ok(true)
}

/// Removes the copy of an earlier upgrade.
pub(crate) fn forget(store: &Path) -> io::Result<()> {
    remove(&copy_of(store))
}
