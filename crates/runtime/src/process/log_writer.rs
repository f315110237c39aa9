//! A replica's log on disk: one stream of lines in bounded files.
//!
//! Each line has its time and stream ([`super::log_line`]), so that order, time and stream survive without an index. The newest file is
//! `log`, older ones `log.1`, `log.2`, …; there are never more, and never larger ones, than the policy says. A full disk loses lines; it
//! never stops the program that writes them.

use crate::MAX_LOG_LINE;
use crate::process::log_line::written;
use landfall_model::spec::LogPolicy;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The files of one log, open at the end.
pub(crate) struct LogWriter {
    path: PathBuf,
    policy: LogPolicy,
    file: File,
    size: u64,
}

impl LogWriter {
    pub(crate) fn open(path: &Path, policy: LogPolicy) -> io::Result<Self> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), policy, file, size })
    }

    /// Adds one line, which holds no newline.
    pub(crate) fn line(&mut self, at_ms: u64, stderr: bool, text: &[u8]) -> io::Result<()> {
        self.piece(at_ms, (stderr, false), text)
    }

    /// Adds a piece of a line of standard error or output, which goes on in the next one of its stream or ends with it.
    fn piece(&mut self, at_ms: u64, stream: (bool, bool), text: &[u8]) -> io::Result<()> {
        let bytes = written(at_ms, stream, text);
        if self.size > 0 && self.size + bytes.len() as u64 > self.policy.max_bytes {
            self.rotate()?;
        }
        // One call, so that a reader never sees half a line unless the machine dies.
        self.file.write_all(&bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let older = |i: u32| if i == 0 { self.path.clone() } else { numbered(&self.path, i) };
        let last = self.policy.max_files.max(1) - 1;
        if last == 0 {
            fs::remove_file(&self.path)?;
        }
        for i in (0..last).rev() {
            match fs::rename(older(i), older(i + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

/// The `i`th older file.
pub(crate) fn numbered(path: &Path, i: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{i}"));
    PathBuf::from(name)
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// A log that several threads write to.
pub(crate) type SharedLog = Arc<Mutex<LogWriter>>;

/// Adds a line; one that cannot be written is lost.
pub(crate) fn add(log: &SharedLog, stderr: bool, text: &[u8]) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = log.line(now_ms(), stderr, text);
}

/// Carries everything a program writes to a pipe into its log, until the pipe ends.
pub(crate) fn carry(mut pipe: impl Read, stderr: bool, log: &SharedLog) {
    let mut buffer = vec![0; MAX_LOG_LINE];
    let mut held: Vec<u8> = Vec::new();
    loop {
        let n = match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        split(&mut held, &buffer[..n], |line, goes_on| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            // As in `add`.
            let _ = log.piece(now_ms(), (stderr, goes_on), line);
        });
    }
    if !held.is_empty() {
        add(log, stderr, &held);
    }
}

/// Hands on every whole line of `held` and `new`; a line longer than [`MAX_LOG_LINE`] in pieces. What is left stays in `held`.
fn split(held: &mut Vec<u8>, mut new: &[u8], mut line: impl FnMut(&[u8], bool)) {
    while !new.is_empty() {
        let room = MAX_LOG_LINE - held.len();
        let end = new.iter().take(room + 1).position(|b| *b == b'\n');
        // The piece, what comes after it, and whether the line goes on when it is handed on.
        let (part, rest, goes_on) = match end {
            Some(i) => (&new[..i], &new[i + 1..], Some(false)),
            None if new.len() > room => (&new[..room], &new[room..], Some(true)),
            None => (new, &[][..], None),
        };
        held.extend_from_slice(part);
        new = rest;
        if let Some(goes_on) = goes_on {
            line(held, goes_on);
            held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut held, mut out) = (Vec::new(), Vec::new());
        for chunk in chunks {
            split(&mut held, chunk, |l, _| out.push(l.to_vec()));
        }
        (out, held)
    }

    #[test]
    fn lines_are_split_wherever_the_pipe_was_cut() {
        let (out, held) = lines(&[b"a\nb", b"c\n", b"\n", b"d"]);
        assert_eq!(out, [b"a".to_vec(), b"bc".to_vec(), b"".to_vec()]);
        assert_eq!(held, b"d");
    }

    #[test]
    fn a_line_of_exactly_the_bound_is_one_line_and_a_longer_one_is_two() {
        let exact = vec![b'x'; MAX_LOG_LINE];
        let (out, held) = lines(&[&exact, b"\n"]);
        assert_eq!((out.len(), out[0].len(), held.len()), (1, MAX_LOG_LINE, 0));
        let (out, _) = lines(&[&exact, b"yz\n"]);
        assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LOG_LINE, 2]);
    }

    #[test]
    fn there_are_never_more_nor_larger_files_than_the_policy_says() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let mut log = LogWriter::open(&path, LogPolicy { max_bytes: 100, max_files: 3 }).unwrap();
        for i in 0..200_u64 {
            log.line(i, false, b"0123456789").unwrap();
        }
        let mut sizes: Vec<u64> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|s| *s <= 100), "{sizes:?}");
        assert!(fs::read_to_string(&path).unwrap().ends_with("199 o 0123456789\n"));
    }

    #[test]
    fn a_policy_of_one_file_starts_it_afresh() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let mut log = LogWriter::open(&path, LogPolicy { max_bytes: 30, max_files: 1 }).unwrap();
        for i in 0..9 {
            log.line(i, true, b"0123456789").unwrap();
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        assert!(fs::metadata(&path).unwrap().len() <= 30);
    }
}
