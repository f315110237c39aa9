//! Writes files of a site below a directory of our own. Bounded in count, size, depth and length of names; whatever it is given the names by, it
//! writes regular files and directories only, and nothing a site would not show: names that begin with a dot stay out.

use landfall_model::digest::hex;
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Files of one site.
const MAX_FILES: u32 = 100_000;
/// Bytes of one site.
const MAX_BYTES: u64 = 4 << 30;
/// Bytes of one name, and directories in it.
const MAX_NAME: usize = 1024;
const MAX_DEPTH: usize = 32;
/// 2000-01-01. Builds that are to come out the same everywhere give their files a time before; it says nothing about them.
const FIRST_SECOND: u64 = 946_684_800;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: u32,
    bytes: u64,
    /// Links, devices, and names that begin with a dot.
    left_out: u32,
}

impl Kept {
    /// For a person.
    pub(super) fn words(&self, root: &str) -> String {
        let left_out = match self.left_out {
            0 => String::new(),
            n => format!("; {n} left out: links, devices and names that begin with a dot are not served"),
        };
        let files = if self.files == 1 { "file" } else { "files" };
        format!("`{root}`: {} {files}, {} KiB{left_out}", self.files, self.bytes.div_ceil(1024))
    }
}

/// See the module.
pub(super) struct Writer {
    root: PathBuf,
    kept: Kept,
    now: u64,
}

impl Writer {
    /// Below a fresh directory.
    pub(super) fn new(root: &Path) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(FIRST_SECOND, |now| now.as_secs());
        Self { root: root.to_owned(), kept: Kept::default(), now }
    }

    /// Something that is not served.
    pub(super) fn leave_out(&mut self) {
        self.kept.left_out = self.kept.left_out.saturating_add(1);
    }

    /// Writes one file. The answer is the digest of its content; `None` when it was left out.
    pub(super) fn file(&mut self, name: &str, modified: u64, content: &mut dyn Read) -> io::Result<Option<String>> {
        if !is_served(name)? {
            self.leave_out();
            return Ok(None);
        }
        if self.kept.files >= MAX_FILES {
            return Err(too_much(format!("more than {MAX_FILES} files")));
        }
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let (mut digest, mut piece) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            let n = content.read(&mut piece)?;
            let part = piece.get(..n).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            self.kept.bytes += part.len() as u64;
            if self.kept.bytes > MAX_BYTES {
                return Err(too_much(format!("more than {} GiB", MAX_BYTES >> 30)));
            }
            digest.update(part);
            file.write_all(part)?;
        }
        self.kept.files += 1;
        let digest = digest.finalize();
        // The proxy tells contents apart by size and nanoseconds (`proxy::edge::file`).
        let nanoseconds = digest.iter().take(4).fold(0_u32, |sum, b| sum << 8 | u32::from(*b)) % 1_000_000_000;
        let seconds = if modified < FIRST_SECOND { self.now } else { modified.min(self.now) };
        let time = rustix::fs::Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: nanoseconds.into() };
        rustix::fs::futimens(&file, &rustix::fs::Timestamps { last_access: time, last_modification: time })?;
        Ok(Some(hex(&digest)))
    }

    /// Everything was written.
    pub(super) fn finish(self) -> io::Result<Kept> {
        if self.kept.files == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there are no files in it"));
        }
        Ok(self.kept)
    }
}

fn too_much(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {what}; a site may have no more"))
}

/// True for a name that a site shows; an error for one that no honest source has.
fn is_served(name: &str) -> io::Result<bool> {
    let segments: Vec<&str> = name.split('/').collect();
    let hostile = name.len() > MAX_NAME
        || segments.len() > MAX_DEPTH
        || name.contains('\0')
        || segments.iter().any(|s| s.is_empty() || matches!(*s, "." | ".."));
    if hostile {
        let shown: String = name.chars().take(80).collect();
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is no name of a file", shown.escape_debug())));
    }
    Ok(segments.iter().enumerate().all(|(i, s)| !s.starts_with('.') || i == 0 && *s == ".well-known"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn nothing_is_written_outside_or_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path());
        for bad in ["../x", "a/../../x", "/x", "a//b", ".", "", "a\0b", &"d/".repeat(40)] {
            assert!(writer.file(bad, 0, &mut &b"x"[..]).is_err(), "{bad:?}");
        }
        for hidden in [".env", ".git/config", "a/.htpasswd"] {
            assert_eq!(writer.file(hidden, 0, &mut &b"x"[..]).unwrap(), None);
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        writer.file(".well-known/security.txt", 0, &mut &b"x"[..]).unwrap();
        let kept = writer.finish().unwrap();
        assert_eq!((kept.files, kept.bytes, kept.left_out), (1, 1, 3));
    }

    #[test]
    fn a_files_time_tells_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path());
        for (name, modified, text) in [("a", 1_000_000_000, "x"), ("b", 0, "x"), ("c", 1_000_000_000, "y")] {
            writer.file(name, modified, &mut text.as_bytes()).unwrap();
        }
        let about = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(about("a").mtime_nsec(), about("b").mtime_nsec());
        assert_ne!(about("a").mtime_nsec(), about("c").mtime_nsec());
        assert_eq!(about("a").mtime(), 1_000_000_000);
        assert!(about("b").mtime() > 1_000_000_000, "1970 says nothing");
    }
}
