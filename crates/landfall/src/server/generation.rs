//! Binaries on a server: each in a directory named by its digest, one of them current.
//!
//! `current` is a link that is exchanged atomically, so there is never a moment without a binary, and going back is exchanging it again. The one before
//! stays, and so does every one that still runs.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Where generations are.
pub(super) const ROOT: &str = "/usr/local/lib/landfall";
/// Always the current one: what units and the supervisor start.
pub(super) const CURRENT: &str = "/usr/local/lib/landfall/current/landfall";
/// What people type.
pub(super) const COMMAND: &str = "/usr/local/bin/landfall";

/// The binary of a generation.
pub(super) fn binary(digest: &str) -> PathBuf {
    Path::new(ROOT).join(digest).join("landfall")
}

/// Digest of the current one.
pub(super) fn current() -> Option<String> {
    let target = fs::read_link(Path::new(ROOT).join("current")).ok()?;
    let digest = target.to_str()?.to_owned();
    is_digest(&digest).then_some(digest)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Lays a binary down beside the others. One that is there already is the same, or it would have another name.
pub(super) fn lay_down(brought: &Path, digest: &str) -> io::Result<()> {
    let place = Path::new(ROOT).join(digest);
    fs::create_dir_all(ROOT)?;
    fs::set_permissions(ROOT, Permissions::from_mode(0o755))?;
    if place.join("landfall").try_exists()? {
        return Ok(());
    }
    let half = Path::new(ROOT).join(format!(".half-{}", std::process::id()));
    fs::create_dir_all(&half)?;
    let file = half.join("landfall");
    fs::copy(brought, &file)?;
    fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    fs::set_permissions(&half, Permissions::from_mode(0o755))?;
    File::open(&file)?.sync_all()?;
    match fs::rename(&half, &place) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        done => done.or_else(|_| fs::remove_dir_all(&half)),
    }
}

/// Makes one of them current, and the command.
pub(super) fn point_at(digest: &str) -> io::Result<()> {
    let command = Path::new(COMMAND);
    exchange(Path::new(digest), &Path::new(ROOT).join("current"))?;
    if fs::read_link(command).ok().as_deref() != Some(Path::new(CURRENT)) {
        exchange(Path::new(CURRENT), command)?;
    }
    File::open(ROOT)?.sync_all()
}

/// A link in place of whatever was there, in one step.
fn exchange(target: &Path, link: &Path) -> io::Result<()> {
    let fresh = link.with_file_name(format!(".landfall-link-{}", std::process::id()));
    symlink(target, &fresh)?;
    fs::rename(&fresh, link).inspect_err(|_| drop(fs::remove_file(&fresh)))
}

/// Removes generations that are neither current nor the one before, unless a process still runs them.
pub(super) fn retain(before: Option<&str>) -> io::Result<()> {
    let mut keep: BTreeSet<String> = running();
    keep.extend(current());
    keep.extend(before.map(str::to_owned));
    for entry in fs::read_dir(ROOT)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_digest(&name) && !keep.contains(&name) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// The generation that a process was started from.
pub(super) fn of(pid: u32) -> Option<String> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let digest = program.strip_prefix(ROOT).ok()?.components().next()?.as_os_str().to_str()?.to_owned();
    is_digest(&digest).then_some(digest)
}

/// Generations that some process was started from.
fn running() -> BTreeSet<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let programs = processes.filter_map(|process| fs::read_link(process.path().join("exe")).ok());
    programs.filter_map(|path| Some(path.strip_prefix(ROOT).ok()?.components().next()?.as_os_str().to_str()?.to_owned())).collect()
}
