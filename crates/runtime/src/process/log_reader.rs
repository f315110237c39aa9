//! Reads back what `log_writer` wrote: the last lines, then new ones as they come, across rotation.
//!
//! The reader keeps its file open and knows it by its inode. At its end it looks where that file is now: still `log` means wait, `log.2`
//! means that `log.1` is next. It holds one block of text, however long the log is; the files are read on a thread for blocking work, so a
//! slow disk does not stop the agent.

use crate::process::log_line::Lines;
use crate::process::log_writer::numbered;
use crate::{LogEntry, RuntimeError};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Bytes read at a time.
const BLOCK: usize = 64 * 1024;

/// Most files looked for; a policy with more is read from its newest ones.
const MAX_FILES: u32 = 100;

/// A place in a log.
struct LogReader {
    path: PathBuf,
    file: File,
    lines: Lines,
}

/// What a look at the log gave.
enum Look {
    Lines(Vec<LogEntry>),
    /// Nothing new yet.
    Waiting,
    /// The replica was removed.
    Gone,
}

/// The last `tail` lines of the log at `path`, then, with `follow`, new ones until its directory is gone.
pub(crate) fn lines(path: PathBuf, tail: u32, follow: bool) -> BoxStream<'static, Result<LogEntry, RuntimeError>> {
    let opened = stream::once(blocking(move || LogReader::open(&path, u64::from(tail))));
    opened
        .flat_map(move |opened| match opened {
            Ok(Some(reader)) => batches(reader, follow),
            Ok(None) => stream::empty().boxed(),
            Err(e) => failed(e),
        })
        .boxed()
}

fn batches(reader: LogReader, follow: bool) -> BoxStream<'static, Result<LogEntry, RuntimeError>> {
    stream::unfold(Some(reader), move |reader| step(reader, follow)).flatten().boxed()
}

type Batch = BoxStream<'static, Result<LogEntry, RuntimeError>>;

async fn step(reader: Option<LogReader>, follow: bool) -> Option<(Batch, Option<LogReader>)> {
    let mut reader = reader?;
    loop {
        let looked = blocking(move || {
            let look = reader.look()?;
            Ok((look, reader))
        });
        match looked.await {
            Ok((Look::Lines(lines), next)) => return Some((stream::iter(lines.into_iter().map(Ok)).boxed(), Some(next))),
            Ok((Look::Waiting, next)) if follow => {
                tokio::time::sleep(POLL).await;
                reader = next;
            }
            Ok(_) => return None,
            Err(e) => return Some((failed(e), None)),
        }
    }
}

fn failed(source: io::Error) -> Batch {
    stream::iter([Err(RuntimeError::failed("read a log", source))]).boxed()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl LogReader {
    /// Opens it `tail` lines before its end.
    fn open(path: &Path, tail: u64) -> io::Result<Option<Self>> {
        let mut wanted = tail;
        let mut chosen = None;
        for file in files(path) {
            let mut file = file?;
            let (offset, found) = last_lines(&mut file, wanted)?;
            file.seek(SeekFrom::Start(offset))?;
            chosen = Some(file);
            wanted -= found.min(wanted);
            if wanted == 0 {
                break;
            }
        }
        Ok(chosen.map(|file| Self { path: path.to_owned(), file, lines: Lines::default() }))
    }

    fn look(&mut self) -> io::Result<Look> {
        let mut block = vec![0; BLOCK];
        loop {
            let n = self.file.read(&mut block)?;
            if n > 0 {
                let lines = self.lines.take(&block[..n]);
                if lines.is_empty() {
                    continue;
                }
                return Ok(Look::Lines(lines));
            }
            match self.newer()? {
                Some(next) => {
                    self.file = next;
                    self.lines.clear();
                }
                None if self.path.parent().is_some_and(Path::exists) => return Ok(Look::Waiting),
                None => return Ok(Look::Gone),
            }
        }
    }

    /// The file written after the one that is open, if it has been rotated away.
    fn newer(&mut self) -> io::Result<Option<File>> {
        let own = self.file.metadata()?.ino();
        let mut newest_but = None;
        for file in files(&self.path) {
            let file = file?;
            if file.metadata()?.ino() == own {
                // Something may have been added between the last read and the rotation.
                let unread = self.file.metadata()?.len() > self.file.stream_position()?;
                return Ok(newest_but.filter(|_| !unread));
            }
            newest_but = Some(file);
        }
        // Ours was deleted: the oldest that is left comes next.
        Ok(newest_but)
    }
}

/// From the newest to the oldest. A rotation renames one after the other, the oldest first, so for a moment one is missing in the middle; two that are
/// missing are the end.
fn files(path: &Path) -> impl Iterator<Item = io::Result<File>> + '_ {
    let mut missing = 0;
    (0..MAX_FILES)
        .map(|i| open(&nth(path, i)).transpose())
        .map_while(move |found| {
            missing = if found.is_some() { 0 } else { missing + 1 };
            (missing < 2).then_some(found)
        })
        .flatten()
}

fn nth(path: &Path, i: u32) -> PathBuf {
    if i == 0 { path.to_owned() } else { numbered(path, i) }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Where the last `wanted` lines of a file begin, and how many there are from there on.
fn last_lines(file: &mut File, wanted: u64) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut found = 0;
    let mut block = vec![0; BLOCK];
    while end > 0 && wanted > 0 {
        let size = end.min(BLOCK as u64);
        let start = end - size;
        let part = block.get_mut(..usize::try_from(size).unwrap_or(BLOCK)).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for (i, _) in part.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            let after = start + i as u64 + 1;
            if after == length {
                continue;
            }
            found += 1;
            if found == wanted {
                return Ok((after, found));
            }
        }
        end = start;
    }
    Ok(if wanted == 0 || length == 0 { (length, 0) } else { (0, found + 1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::log_writer::LogWriter;
    use landfall_model::spec::LogPolicy;

    fn written(lines: u64, policy: LogPolicy) -> (tempfile::TempDir, PathBuf, LogWriter) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let mut log = LogWriter::open(&path, policy).unwrap();
        for i in 0..lines {
            log.line(i, i % 2 == 1, format!("line {i}").as_bytes()).unwrap();
        }
        (home, path, log)
    }

    async fn read(path: &Path, tail: u32) -> Vec<u64> {
        lines(path.to_owned(), tail, false).map(|l| l.unwrap().at_ms).collect().await
    }

    #[tokio::test]
    async fn the_tail_goes_back_over_rotated_files() {
        let (_home, path, _log) = written(40, LogPolicy { max_bytes: 150, max_files: 9 });
        assert!(numbered(&path, 1).exists());
        assert_eq!(read(&path, 25).await, (15..40).collect::<Vec<_>>());
        assert_eq!(read(&path, 1).await, [39]);
        assert_eq!(read(&path, 0).await, Vec::<u64>::new());
        assert_eq!(read(&path, u32::MAX).await, (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn following_sees_every_line_in_order_however_often_the_file_is_rotated() {
        let (_home, path, mut log) = written(3, LogPolicy { max_bytes: 200, max_files: 50 });
        let mut follow = lines(path, 2, true);
        for expected in 1..3 {
            assert_eq!(follow.next().await.unwrap().unwrap().at_ms, expected);
        }
        for i in 3..200 {
            log.line(i, false, b"more").unwrap();
        }
        for expected in 3..200 {
            assert_eq!(follow.next().await.unwrap().unwrap().at_ms, expected);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_missing_while_others_are_renamed_is_no_end() {
        let (_home, path, _log) = written(40, LogPolicy { max_bytes: 150, max_files: 9 });
        // Half of a rotation: the older ones have their new names, the two newest not yet.
        let older: Vec<u32> = (2..9).filter(|i| numbered(&path, *i).exists()).collect();
        for i in older.iter().rev() {
            std::fs::rename(numbered(&path, *i), numbered(&path, i + 1)).unwrap();
        }
        assert!(!numbered(&path, 2).exists() && older.len() > 1);
        assert_eq!(read(&path, u32::MAX).await, (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn following_ends_when_the_replica_is_removed() {
        let (home, path, _log) = written(1, LogPolicy::default());
        let mut follow = lines(path, 9, true);
        assert!(follow.next().await.is_some());
        home.close().unwrap();
        assert!(follow.next().await.is_none());
    }

    #[tokio::test]
    async fn a_log_that_was_never_written_is_empty() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(&home.path().join("log"), 9).await, Vec::<u64>::new());
    }
}
