//! Files with secrets that others than their owner can read: Landfall's home, keys of SSH, files of variables. By name, mode and the directories above; never
//! by content.

use super::look::{Seen, files};
use super::report::{Area, Check, Finding, Remedy, Severity};
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const READABLE: Check =
    Check { id: "readable-secret", area: Area::Apps, why: "every user and every program of this machine that is broken into reads it too" };
/// Where projects and homes are.
const PLACES: [&str; 5] = ["/root", "/home", "/srv", "/opt", "/var/www"];
/// How deep they are looked through, and how many entries.
const MAX_DEPTH: usize = 4;
const MAX_ENTRIES: usize = 50_000;
/// Endings of files of variables that hold none.
const HARMLESS: [&str; 5] = [".example", ".sample", ".template", ".dist", ".schema"];
/// Directories with the files of others.
const SKIPPED: [&str; 4] = ["node_modules", ".git", "vendor", "site-packages"];

/// A file that is too open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Open {
    path: PathBuf,
    mode: u32,
    /// What it should be.
    wanted: u32,
    what: &'static str,
    grave: bool,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    open: Vec<Open>,
    /// There were more entries than are looked at.
    cut: bool,
}

/// Looks. `projects` are directories that apps were deployed from.
pub(super) async fn observe(home: &Path, projects: Vec<String>) -> Seen<Found> {
    let home = home.to_owned();
    files(move || {
        let mut open = BTreeSet::new();
        ours(&home, &mut open)?;
        for entry in fs::read_dir("/etc/ssh").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("ssh_host_") && name.ends_with("_key") {
                judge_file(&entry.path(), "a host key of SSH", true, &mut open);
            }
        }
        let mut left = MAX_ENTRIES;
        let places = PLACES.iter().map(PathBuf::from).chain(projects.into_iter().map(PathBuf::from).filter(|path| path.is_absolute()));
        for place in places.collect::<BTreeSet<PathBuf>>() {
            search(&place, 0, &mut left, &mut open);
        }
        Ok(Found { open: open.into_iter().collect(), cut: left == 0 })
    })
    .await
}

/// Landfall's own home is for its owner alone.
fn ours(home: &Path, open: &mut BTreeSet<Open>) -> Seen<()> {
    let meta = match fs::symlink_metadata(home) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(format!("{}: {e}", home.display())),
    };
    if meta.mode() & 0o077 != 0 {
        let (mode, wanted) = (meta.mode() & 0o7777, 0o700);
        open.insert(Open { path: home.to_owned(), mode, wanted, what: "Landfall's home, with store, keys and certificates", grave: true });
    }
    for entry in fs::read_dir(home).map_err(|e| format!("{}: {e}", home.display()))?.flatten().take(1000) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".key") || name.starts_with("store.db") {
            judge_file(&path, "a file of Landfall's with secrets", true, open);
        }
    }
    Ok(())
}

/// A file that others can read, through every directory above it.
fn judge_file(path: &Path, what: &'static str, grave: bool, open: &mut BTreeSet<Open>) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if meta.is_file() && meta.mode() & 0o004 != 0 && is_reached(path) {
        open.insert(Open { path: path.to_owned(), mode: meta.mode() & 0o7777, wanted: 0o600, what, grave });
    }
}

/// Others may go through every directory above.
fn is_reached(path: &Path) -> bool {
    path.ancestors().skip(1).all(|above| fs::metadata(above).is_ok_and(|meta| meta.mode() & 0o001 != 0))
}

/// Links are not followed.
fn search(place: &Path, depth: usize, left: &mut usize, open: &mut BTreeSet<Open>) {
    // What others cannot go into needs no looking through.
    let passable = |meta: &Metadata| meta.is_dir() && meta.mode() & 0o001 != 0;
    if depth > MAX_DEPTH || !fs::symlink_metadata(place).is_ok_and(|meta| passable(&meta)) {
        return;
    }
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            search(&entry.path(), depth + 1, left, open);
        } else if let Some(what) = secret(place, &name) {
            judge_file(&entry.path(), what, false, open);
        }
    }
}

/// What a file is by its name, when that is a secret.
fn secret(place: &Path, name: &str) -> Option<&'static str> {
    let variables = name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
    if variables && !HARMLESS.iter().any(|end| name.ends_with(end)) {
        return Some("a file of variables");
    }
    let keys = place.file_name().is_some_and(|dir| dir == ".ssh") && name.starts_with("id_") && !name.ends_with(".pub");
    if keys {
        return Some("a private key of SSH");
    }
    (place.file_name().is_some_and(|dir| dir == ".docker") && name == "config.json").then_some("logins of registries")
}

/// Judges.
pub(super) fn judge(seen: &Seen<Found>) -> Vec<Finding> {
    let found = match seen {
        Ok(found) => found,
        Err(why) => return vec![READABLE.unchecked(why)],
    };
    let findings = found.open.iter().map(|file| {
        let path = file.path.to_string_lossy();
        let severity = if file.grave { Severity::Critical } else { Severity::Warning };
        let seen = format!("{path} is {}, and its mode {:o} lets others in", file.what, file.mode);
        READABLE.found(
            severity,
            seen,
            vec![Remedy::say("let its owner alone read it").run(&["chmod", &format!("{:o}", file.wanted), &path])],
        )
    });
    let cut = found.cut.then(|| {
        READABLE.unchecked(&format!("there are more than {MAX_ENTRIES} files where projects are, and the rest was not looked at"))
    });
    READABLE.each(findings.chain(cut).collect(), "no file with secrets is open to others")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_of_variables_is_found_where_others_reach_it() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        set(dir.path(), 0o755);
        let project = dir.path().join("app/config");
        fs::create_dir_all(&project).unwrap();
        for (name, mode) in
            [(".env", 0o644), ("prod.env", 0o600), (".env.example", 0o644), (".env.production", 0o604), ("readme.md", 0o644)]
        {
            fs::write(project.join(name), "A=1").unwrap();
            set(&project.join(name), mode);
        }
        let found = || {
            let mut open = BTreeSet::new();
            search(dir.path(), 0, &mut MAX_ENTRIES.clone(), &mut open);
            open.iter().map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found(), [".env", ".env.production"]);
        set(&dir.path().join("app"), 0o700);
        assert_eq!(found(), [""; 0], "nobody comes through");
        assert_eq!(judge(&Ok(Found { cut: true, ..Found::default() }))[0].severity, Severity::Unchecked);
    }

    #[test]
    fn the_home_is_for_its_owner_alone() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        fs::write(dir.path().join("store.db"), "").unwrap();
        let found = || {
            let mut open = BTreeSet::new();
            ours(dir.path(), &mut open).unwrap();
            judge(&Ok(Found { open: open.into_iter().collect(), cut: false })).iter().map(|f| f.severity).collect::<Vec<_>>()
        };
        set(dir.path(), 0o755);
        set(&dir.path().join("store.db"), 0o644);
        assert_eq!(found(), [Severity::Critical, Severity::Critical]);
        set(dir.path(), 0o700);
        assert_eq!(found(), [Severity::Ok], "nobody comes to the files in it");
    }

    #[test]
    fn names_of_secrets_are_known() {
        assert!(secret(Path::new("/home/a/.ssh"), "id_ed25519").is_some() && secret(Path::new("/home/a/.ssh"), "id_ed25519.pub").is_none());
        assert!(secret(Path::new("/root/.docker"), "config.json").is_some() && secret(Path::new("/srv/x"), "config.json").is_none());
    }
}
