//! The last table on disk, so that a proxy that was restarted carries requests before, and without, the agent. The one before it is kept too: a file
//! that a disk has spoiled is worth an error line, not an outage.
//!
//! With it stands in which life of the machine it was told: in another one its addresses may be those of strangers.

use crate::boot;
use landfall_model::route::RouteTable;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Larger than any frame a table can come in.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// `proxy/table.json`.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    path: PathBuf,
    /// This life of the machine.
    boot: Option<String>,
}

/// A table that was kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) table: RouteTable,
    /// The agent told it in this life of the machine.
    pub(crate) confirmed: bool,
}

/// The file. `boot` is absent in those of an older Landfall.
#[derive(Serialize)]
struct Written<'a> {
    boot: Option<&'a str>,
    #[serde(flatten)]
    table: &'a RouteTable,
}

/// The same, read.
#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    boot: Option<String>,
    #[serde(flatten)]
    table: RouteTable,
}

impl TableFile {
    /// `boot` says which life of the machine this is; without it no table is believed.
    pub(crate) fn new(path: PathBuf, boot: Option<String>) -> Self {
        Self { path, boot }
    }

    /// The last table that can be read; nothing if there was none.
    pub(crate) fn load(&self) -> io::Result<Option<Kept>> {
        let found = self.read(&self.path).or_else(|error| match self.read(&self.before()) {
            Ok(Some(kept)) => {
                tracing::error!(%error, generation = kept.table.generation, "the last table cannot be read; the one before it is used");
                Ok(Some(kept))
            }
            Ok(None) | Err(_) => Err(error),
        })?;
        Ok(found)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Kept>> {
        let Some((Read { boot, table }, written)) = read(path)? else { return Ok(None) };
        let confirmed = match boot {
            Some(boot) => self.boot.as_ref() == Some(&boot),
            // An upgrade must not take anything away: one of an older Landfall counts by its date.
            None => written.is_some_and(|written| boot::began().is_some_and(|began| written > began)),
        };
        Ok(Some(Kept { table, confirmed }))
    }

    fn before(&self) -> PathBuf {
        self.path.with_extension("json.before")
    }

    /// Replaces the last table; either the old or the new one is there after a power cut.
    pub(crate) fn save(&self, table: &RouteTable) -> io::Result<()> {
        let text = serde_json::to_vec(&Written { boot: self.boot.as_deref(), table })?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        // Another name for each process: while one proxy replaces another, both may save.
        let temporary = self.path.with_extension(format!("json.{}", std::process::id()));
        let replace = || {
            write(&temporary, &text)?;
            self.keep_before();
            fs::rename(&temporary, &self.path)
        };
        if let Err(error) = replace() {
            // What a full disk holds of it helps nobody.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(directory)?.sync_all()
    }

    /// Best effort: it is a second copy.
    fn keep_before(&self) {
        // One that cannot be read must not take the place of one that can.
        if read(&self.path).is_ok_and(|found| found.is_some()) {
            let before = self.before();
            if let Err(error) = fs::remove_file(&before).or_else(absent).and_then(|()| fs::hard_link(&self.path, &before)) {
                tracing::debug!(%error, "the table before the last is not kept");
            }
        }
    }
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// What is in a file, and when it was written.
fn read(path: &Path) -> io::Result<Option<(Read, Option<SystemTime>)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let written = file.metadata().and_then(|about| about.modified()).ok();
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(Some((serde_json::from_slice(&text)?, written)))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf) -> TableFile {
        TableFile::new(path, Some("this one".into()))
    }

    #[test]
    fn a_table_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path().join("proxy/table.json"));
        assert_eq!(file.load().unwrap(), None);
        let table = RouteTable { generation: 7, ..RouteTable::default() };
        file.save(&table).unwrap();
        assert_eq!(file.load().unwrap(), Some(Kept { table, confirmed: true }));
        fs::write(dir.path().join("proxy/table.json"), "{").unwrap();
        assert!(file.load().is_err());
    }

    #[test]
    fn a_table_of_another_life_of_the_machine_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.json");
        let confirmed = |file: &TableFile| file.load().unwrap().unwrap().confirmed;
        let table = RouteTable::default();
        TableFile::new(path.clone(), Some("the one before".into())).save(&table).unwrap();
        assert!(!confirmed(&file(path.clone())));
        assert!(!confirmed(&TableFile::new(path.clone(), None)), "who cannot tell believes nothing");
        // As an older Landfall wrote it.
        fs::write(&path, serde_json::to_vec(&table).unwrap()).unwrap();
        assert!(confirmed(&file(path.clone())), "just written, so in this life");
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert!(!confirmed(&file(path)));
    }

    #[test]
    fn a_spoiled_table_gives_way_to_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.json");
        let file = file(path.clone());
        let generation = || file.load().unwrap().unwrap().table.generation;
        let save = |generation| file.save(&RouteTable { generation, ..RouteTable::default() }).unwrap();
        (1..=3).for_each(save);
        assert_eq!(generation(), 3);
        fs::write(&path, "{").unwrap();
        assert_eq!(generation(), 2);
        save(4);
        fs::write(&path, "").unwrap();
        assert_eq!(generation(), 2, "a spoiled file is never the one before");
        save(5);
        save(6);
        fs::remove_file(&path).unwrap();
        assert_eq!(file.load().unwrap(), None, "whoever takes it away means it");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left behind");
    }
}
