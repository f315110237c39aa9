//! The last table on disk, so that a proxy that was restarted carries requests before, and without, the agent.

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

    /// The last table; nothing if there was none.
    pub(crate) fn load(&self) -> io::Result<Option<RouteTable>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Replaces the last table; either the old or the new one is there after a power cut.
    pub(crate) fn save(&self, table: &RouteTable) -> io::Result<()> {
        let text = serde_json::to_vec(table)?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        // Another name for each process: while one proxy replaces another, both may save.
        let temporary = self.path.with_extension(format!("json.{}", std::process::id()));
        if let Err(error) = write(&temporary, &text).and_then(|()| fs::rename(&temporary, &self.path)) {
            // What a full disk holds of it helps nobody.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(directory)?.sync_all()
    }
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
}
