//! Files as they are on disk, for the compiler, which reads none itself.
//!
//! Only regular files inside of the [`Fence`] are read, and no more of one than the compiler takes: a pipe or a device might never end. Standard input is read once and
//! kept, because a project may be resolved twice in one run.

use super::fence::Fence;
use super::find::{STDIN, clean};
use landfall_model::compose::{FileProblem, Files, MAX_TEXT};
use std::cell::OnceCell;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads relative to a directory.
#[derive(Debug, Clone)]
pub struct Disk {
    cwd: PathBuf,
    fence: Fence,
    stdin: OnceCell<Vec<u8>>,
}

impl Disk {
    /// Relative to where the command was typed.
    pub fn new(cwd: &Path, fence: Fence) -> Self {
        Self { cwd: cwd.to_owned(), fence, stdin: OnceCell::new() }
    }
}

fn problem(error: &std::io::Error) -> FileProblem {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FileProblem::NotFound,
        std::io::ErrorKind::IsADirectory => FileProblem::Directory,
        _ => FileProblem::Other(error.to_string()),
    }
}

fn bounded(from: impl Read) -> Result<Vec<u8>, FileProblem> {
    let mut bytes = Vec::new();
    from.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes).map_err(|e| problem(&e))?;
    Ok(bytes)
}

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path == STDIN {
            if let Some(bytes) = self.stdin.get() {
                return Ok(bytes.clone());
            }
            let bytes = bounded(std::io::stdin().lock())?;
            return Ok(self.stdin.get_or_init(|| bytes).clone());
        }
        if self.is_outside(path) {
            return Err(FileProblem::Outside);
        }
        let path = self.cwd.join(path);
        let meta = std::fs::metadata(&path).map_err(|e| problem(&e))?;
        if meta.is_dir() {
            return Err(FileProblem::Directory);
        }
        if !meta.is_file() {
            return Err(FileProblem::Other("it is no regular file".to_owned()));
        }
        bounded(std::fs::File::open(&path).map_err(|e| problem(&e))?)
    }

    fn exists(&self, path: &str) -> bool {
        // What lies outside is refused whether it is there or not, so that nobody learns which.
        self.is_outside(path) || self.cwd.join(path).exists()
    }

    fn is_outside(&self, path: &str) -> bool {
        path != STDIN && !self.fence.permits(&clean(&self.cwd.join(path)))
    }
}

/// Files on disk, but for one that is to be written.
pub struct Instead<'a> {
    /// As the compiler asks for it.
    pub name: &'a str,
    /// What it would hold.
    pub text: &'a str,
    /// All others.
    pub disk: &'a Disk,
}

impl Files for Instead<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path == self.name { Ok(self.text.as_bytes().to_vec()) } else { self.disk.read(path) }
    }

    fn exists(&self, path: &str) -> bool {
        self.disk.exists(path)
    }

    fn is_outside(&self, path: &str) -> bool {
        self.disk.is_outside(path)
    }
}
