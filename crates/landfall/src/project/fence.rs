//! What a project may read of this machine: the repository it lies in, and the files somebody typed.
//!
//! A Compose file may be a stranger's, and names files: `include`, `env_file`, `configs`, a build context. Links are followed before it is judged where
//! one lies. A repository is the git top level above the project directory when both belong to the same user and it is nobody's home; else it is the
//! project directory alone.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Allows everything when it is set to something: for verbs that read a project only to learn its name.
const VARIABLE: &str = "LANDFALL_ALLOW_OUTSIDE";

/// Where files may lie.
#[derive(Debug, Clone, Default)]
pub struct Fence {
    /// Canonical; everywhere when there is none.
    root: Option<PathBuf>,
    /// Typed on the command line or in the environment of the process, and outside.
    typed: BTreeSet<PathBuf>,
}

impl Fence {
    /// Around the repository of a directory, with files that were typed. Without a fence when `allowed`, or when the environment says so.
    pub fn around(dir: &Path, typed: &[PathBuf], allowed: bool) -> Self {
        if allowed || std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
            return Self::default();
        }
        let root = repository(&real(dir));
        // One inside is judged like any other, wherever a link in the repository leads.
        let outside = |file: &&PathBuf| file.parent().is_none_or(|parent| !real(parent).starts_with(&root));
        let typed = typed.iter().filter(outside).cloned().collect();
        Self { root: Some(root), typed }
    }

    /// Whether a clean absolute path may be read.
    pub fn permits(&self, path: &Path) -> bool {
        let Some(root) = &self.root else { return true };
        path == Path::new("/dev/null") || self.typed.contains(path) || real(path).starts_with(root)
    }
}

/// A path with its links followed; of one that does not exist, as far as it does.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(found) = above.canonicalize() {
            return path
                .strip_prefix(above)
                .map_or_else(|_| found.clone(), |rest| if rest.as_os_str().is_empty() { found.clone() } else { found.join(rest) });
        }
        // A link to nothing leads nobody knows where.
        if above.is_symlink() {
            return PathBuf::new();
        }
    }
    path.to_owned()
}

/// The git top level, or the directory itself.
fn repository(dir: &Path) -> PathBuf {
    let home = std::env::var_os("HOME").map(|home| real(Path::new(&home)));
    let owner = std::fs::metadata(dir).map(|m| m.uid()).ok();
    let is_top = |above: &&Path| above.join(".git").symlink_metadata().is_ok_and(|m| Some(m.uid()) == owner);
    let top = dir.ancestors().find(is_top).filter(|top| home.as_deref() != Some(*top) && top.parent().is_some());
    top.unwrap_or(dir).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_inside_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for dir in ["repo/.git", "repo/app/conf", "other"] {
            std::fs::create_dir_all(at(dir)).unwrap();
        }
        for file in ["repo/shared.yaml", "other/key", "repo/app/own"] {
            std::fs::write(at(file), "x").unwrap();
        }
        for (link, to) in [
            ("repo/app/link", "../../other/key"),
            ("repo/app/dir", "../../other"),
            ("repo/app/in", "../shared.yaml"),
            ("repo/app/nowhere", "/no/such"),
        ] {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        let fence = Fence::around(&at("repo/app"), &[at("other/key"), at("repo/app/link")], false);
        for inside in ["repo/app/own", "repo/shared.yaml", "repo/app/in", "repo/app/missing/file", "other/key"] {
            assert!(fence.permits(&at(inside)), "{inside}");
        }
        for outside in ["other/missing", "repo/app/link", "repo/app/dir/key", "repo/app/dir/missing", "repo/app/nowhere", "repox/a"] {
            assert!(!fence.permits(&at(outside)), "{outside}");
        }
        assert!(!fence.permits(Path::new("/etc/hostname")) && !fence.permits(Path::new("/proc/self/environ")));
        std::fs::remove_dir(at("repo/.git")).unwrap();
        let alone = Fence::around(&at("repo/app"), &[], false);
        assert!(!alone.permits(&at("repo/shared.yaml")) && alone.permits(&at("repo/app/own")));
        assert!(Fence::around(&at("repo/app"), &[], true).permits(Path::new("/etc/hostname")));
    }
}
