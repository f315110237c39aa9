//! What the production rules want to know beside the files: which of them git keeps.
//!
//! Asked of `git` itself, by argv, when the project lies in a repository; without one, or without git, nothing is known and nothing is complained
//! about. The repository is somebody else's as far as we know: its file-system monitor, a program it may name, is not run.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Most bytes of file names that are read; a repository with more has its first ones judged.
const MAX_LIST: u64 = 4 * 1024 * 1024;

/// Absolute paths of the files in the directory that git tracks.
pub fn tracked(dir: &Path) -> BTreeSet<String> {
    if !dir.ancestors().any(|above| above.join(".git").exists()) {
        return BTreeSet::new();
    }
    list(dir).unwrap_or_default()
}

fn list(dir: &Path) -> Option<BTreeSet<String>> {
    let mut git = Command::new("git")
        .args(["--no-optional-locks", "-c", "core.fsmonitor=false", "ls-files", "-z"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut names = Vec::new();
    let read = git.stdout.take()?.take(MAX_LIST).read_to_end(&mut names);
    // It may still be writing names that are not wanted.
    let _ = git.kill();
    let _ = git.wait();
    read.ok()?;
    let whole = names.iter().rposition(|b| *b == 0).map_or(&names[..0], |end| &names[..end]);
    let path = |name: &[u8]| Some(dir.join(std::str::from_utf8(name).ok()?).to_str()?.to_owned());
    Some(whole.split(|b| *b == 0).filter(|name| !name.is_empty()).filter_map(path).collect())
}

#[cfg(test)]
mod tests {
    use super::tracked;
    use std::process::Command;

    #[test]
    fn files_that_git_keeps_are_known_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(tracked(dir.path()).is_empty());
        std::fs::create_dir(dir.path().join("deploy")).unwrap();
        for name in ["deploy/.env", "deploy/other", "top"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let git = |args: &[&str]| assert!(Command::new("git").args(args).current_dir(dir.path()).status().unwrap().success());
        git(&["init", "-q"]);
        git(&["add", "deploy/.env", "top"]);
        let found = tracked(&dir.path().join("deploy"));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [dir.path().join("deploy/.env").display().to_string()]);
    }
}
