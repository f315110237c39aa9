//! The file of the access log: appended to, set aside at a size, bounded in all.
//!
//! During a replacement two proxies append to one file, and a person may move it: so before each piece it is looked whether the path still names the
//! file that is open. Nothing here can stop a request; a disk that takes no more costs lines, which are counted.

use super::{Lines, QUEUE, Queue};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};

/// A file this long is set aside.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Files set aside: `access.log.1` is the newest.
const KEPT: u32 = 4;

/// Starts the thread that writes. It ends when every end of the queue is gone and everything is written.
pub(crate) fn start(path: PathBuf) -> io::Result<(Queue, std::thread::JoinHandle<()>)> {
    let (lines, taken) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dropped);
    let writer = Writer { path, max: MAX_BYTES, open: None };
    let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&taken, &counted))?;
    Ok((Queue { lines, dropped }, thread))
}

struct Writer {
    path: PathBuf,
    max: u64,
    open: Option<File>,
}

impl Writer {
    fn run(mut self, taken: &Receiver<Lines>, dropped: &AtomicU64) {
        let mut failing = false;
        for lines in taken {
            match self.write(&lines.bytes) {
                Ok(()) => failing = false,
                Err(error) => {
                    dropped.fetch_add(lines.count, Relaxed);
                    self.open = None;
                    // Once, not for every piece.
                    if !failing {
                        tracing::error!(%error, path = %self.path.display(), "the access log cannot be written");
                    }
                    failing = true;
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some(file) if is_at(&file, &self.path) => file,
            _ => open(&self.path)?,
        };
        if file.metadata()?.len() >= self.max {
            set_aside(&self.path)?;
            file = open(&self.path)?;
        }
        // In one piece, so that two writers' lines do not mix.
        file.write_all(bytes)?;
        self.open = Some(file);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(found)) => (open.dev(), open.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

fn set_aside(path: &Path) -> io::Result<()> {
    let numbered = |n: u32| path.with_extension(format!("log.{n}"));
    for n in (1..KEPT).rev() {
        match fs::rename(numbered(n), numbered(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_set_aside_and_the_oldest_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/access.log");
        let mut writer = Writer { path: path.clone(), max: 10, open: None };
        for n in 0..8 {
            writer.write(format!("{n}{}\n", "x".repeat(20)).as_bytes()).unwrap();
        }
        let first = |name: &str| fs::read_to_string(dir.path().join("logs").join(name)).unwrap().chars().next().unwrap();
        assert_eq!(["access.log", "access.log.1", "access.log.4"].map(first), ['7', '6', '3']);
        assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 5);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // Somebody moves it away: the next line is in a new one.
        fs::rename(&path, dir.path().join("mine.log")).unwrap();
        writer.write(b"8\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "8\n");
    }
}
