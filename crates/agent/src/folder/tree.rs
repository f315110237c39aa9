//! Files out of the project's directory. The kernel resolves every name below it without following a link, because the agent may be allowed to
//! read what the project's owner is not.

use super::writer::{Kept, Writer};
use landfall_model::digest::{digest as digest_of, hex};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Deeper is no site.
const MAX_DEPTH: usize = 32;
/// Names of one site, in memory while they are sorted.
const MAX_NAMES: usize = 200_000;

/// What becomes of a file: its digest, unless it is left out.
type Take<'a> = &'a mut dyn FnMut(&str, u64, &mut File) -> io::Result<Option<String>>;

/// The digest of the files below a directory of the project, which is what the release is told apart by.
pub fn digest(project: &Path, root: &str) -> io::Result<String> {
    walk(project, root, &mut |name, _, file| {
        if name.split('/').enumerate().any(|(i, s)| s.starts_with('.') && (i > 0 || s != ".well-known")) {
            return Ok(None);
        }
        let (mut digest, mut piece) = (Sha256::new(), vec![0; 64 * 1024]);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Some(hex(&digest.finalize()))),
                n => digest.update(piece.get(..n).unwrap_or_default()),
            }
        }
    })
    .map(|(digest, _)| digest)
}

/// Copies them and says the digest of what was copied.
pub(super) fn copy(project: &Path, root: &str, mut writer: Writer) -> io::Result<(Kept, String)> {
    let (digest, left_out) = walk(project, root, &mut |name, modified, file| writer.file(name, modified, file))?;
    (0..left_out).for_each(|_| writer.leave_out());
    Ok((writer.finish()?, digest))
}

/// Every regular file in the order of the names; the digest of all, and how many other things there were.
fn walk(project: &Path, root: &str, take: Take<'_>) -> io::Result<(String, u32)> {
    let project = rustix::fs::open(project, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let root = open(&project, root, OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    let mut other = 0;
    list(&root, "", &mut names, &mut other)?;
    names.sort();
    let mut digests: Vec<(String, String)> = Vec::new();
    for name in names {
        let file = open(&root, &name, OFlags::NONBLOCK)?;
        let about = fstat(&file)?;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return Err(io::Error::other(format!("`{name}` was replaced while it was read")));
        }
        let modified = u64::try_from(about.st_mtime).unwrap_or(0);
        if let Some(digest) = take(&name, modified, &mut File::from(file))? {
            digests.push((name, digest));
        }
    }
    Ok((digest_of(&digests).as_str().to_owned(), other))
}

fn open(dir: &OwnedFd, name: &str, more: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | more;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(dir, name, flags, Mode::empty(), resolve).map_err(|e| io::Error::new(io::Error::from(e).kind(), format!("{name}: {e}")))
}

fn list(dir: &OwnedFd, prefix: &str, names: &mut Vec<String>, other: &mut u32) -> io::Result<()> {
    if prefix.matches('/').count() > MAX_DEPTH {
        return Err(io::Error::other(format!("more than {MAX_DEPTH} directories below each other")));
    }
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str().map(str::to_owned) else {
            *other += 1;
            continue;
        };
        if matches!(name.as_str(), "." | "..") {
            continue;
        }
        // Some file systems do not say; what it is then is asked of the thing itself.
        let kind = match entry.file_type() {
            FileType::Unknown => open(dir, &name, OFlags::NONBLOCK)
                .and_then(|f| Ok(FileType::from_raw_mode(fstat(&f)?.st_mode)))
                .unwrap_or(FileType::Unknown),
            kind => kind,
        };
        match kind {
            FileType::RegularFile => names.push(format!("{prefix}{name}")),
            FileType::Directory if name.starts_with('.') && !(prefix.is_empty() && name == ".well-known") => *other += 1,
            FileType::Directory => list(&open(dir, &name, OFlags::DIRECTORY)?, &format!("{prefix}{name}/"), names, other)?,
            _ => *other += 1,
        }
        if names.len() > MAX_NAMES {
            return Err(io::Error::other(format!("more than {MAX_NAMES} files")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_copy_is_what_was_digested_and_no_link_is_followed() {
        let project = tempfile::tempdir().unwrap();
        let dist = project.path().join("dist");
        fs::create_dir_all(dist.join("assets")).unwrap();
        fs::create_dir_all(dist.join(".git")).unwrap();
        for (name, text) in [("index.html", "<p>"), ("assets/a.js", "1"), (".env", "SECRET"), (".git/config", "x")] {
            fs::write(dist.join(name), text).unwrap();
        }
        symlink("/etc/passwd", dist.join("passwd")).unwrap();
        symlink("/etc", dist.join("etc")).unwrap();
        let planned = digest(project.path(), "dist").unwrap();
        let home = tempfile::tempdir().unwrap();
        let (kept, copied) = copy(project.path(), "dist", Writer::new(home.path())).unwrap();
        assert_eq!(planned, copied);
        assert!(kept.words("dist").starts_with("`dist`: 2 files, 1 KiB; 4 left out"), "{}", kept.words("dist"));
        assert!(!home.path().join("passwd").exists() && !home.path().join(".env").exists());

        fs::write(dist.join("assets/a.js"), "2").unwrap();
        assert_ne!(digest(project.path(), "dist").unwrap(), planned);
        symlink("/etc", project.path().join("out")).unwrap();
        assert!(digest(project.path(), "out").is_err(), "a link is no directory of the project");
        assert!(digest(project.path(), "absent").is_err());
    }
}
