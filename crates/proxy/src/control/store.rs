//! The last table on disk, so that a proxy that was restarted carries requests before, and without, the agent. The one before it is kept too: a file
//! that a disk has spoiled is worth an error line, not an outage.

use landfall_model::route::RouteTable;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Larger than any frame a table can come in.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// `proxy/table.json`.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    path: PathBuf,
}

impl TableFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The last table that can be read; nothing if there was none.
    pub(crate) fn load(&self) -> io::Result<Option<RouteTable>> {
        read(&self.path).or_else(|error| match read(&self.before()) {
            Ok(Some(table)) => {
                tracing::error!(%error, generation = table.generation, "the last table cannot be read; the one before it is used");
                Ok(Some(table))
            }
            Ok(None) | Err(_) => Err(error),
        })
    }

    fn before(&self) -> PathBuf {
        self.path.with_extension("json.before")
    }

    /// Replaces the last table; either the old or the new one is there after a power cut.
    pub(crate) fn save(&self, table: &RouteTable) -> io::Result<()> {
        let text = serde_json::to_vec(table)?;
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
        if read(&self.path).is_ok_and(|table| table.is_some()) {
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

fn read(path: &Path) -> io::Result<Option<RouteTable>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = TableFile::new(dir.path().join("proxy/table.json"));
        assert_eq!(file.load().unwrap(), None);
        let table = RouteTable { generation: 7, ..RouteTable::default() };
        file.save(&table).unwrap();
        assert_eq!(file.load().unwrap(), Some(table));
        fs::write(dir.path().join("proxy/table.json"), "{").unwrap();
        assert!(file.load().is_err());
    }

    #[test]
    fn a_spoiled_table_gives_way_to_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.json");
        let file = TableFile::new(path.clone());
        let generation = || file.load().unwrap().unwrap().generation;
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
