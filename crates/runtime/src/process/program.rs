//! From a launch to the file that is executed.
//!
//! A program that lies in the project is run from a copy under its digest, `programs/<sha256>`, so that a rollback runs the old program
//! although the project has moved on. The digest is taken while copying: a file that changed since the release was planned is refused, not
//! run under a name that lies.

use crate::{Launch, RuntimeError};
use landfall_model::digest::hex;
use landfall_model::spec::{EnvValue, Program};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What is executed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Absolute.
    pub(crate) program: PathBuf,
    /// With its own name first.
    pub(crate) argv: Vec<String>,
}

/// Finds what a launch executes, and keeps a copy of it in `programs` when it has a digest.
pub(crate) fn resolve(launch: &Launch, environment: &BTreeMap<String, EnvValue>, programs: &Path) -> Result<Command, RuntimeError> {
    let Program::Executable { path, sha256 } = &launch.template.program else {
        return Err(refused(launch.service.as_str(), "an image needs the Docker runtime"));
    };
    if launch.template.entrypoint.is_some() {
        return Err(refused(path, "`entrypoint` belongs to images; a program is named by `command`"));
    }
    let argv: Vec<String> = match &launch.argv {
        Some(argv) => argv.clone(),
        None => std::iter::once(path.clone()).chain(launch.template.command.iter().flatten().cloned()).collect(),
    };
    let Some(name) = argv.first().filter(|n| !n.is_empty()) else { return Err(refused(path, "the command is empty")) };
    if let Some(bad) = argv.iter().find(|a| a.contains('\0')) {
        return Err(refused(&bad.replace('\0', "\\0"), "an argument cannot hold a zero byte"));
    }
    let found = find(name, &working_dir(launch), environment)?;
    let program = match sha256 {
        Some(digest) if same_file(&found, path) => keep(path, digest, programs)?,
        _ => executable(&found)?,
    };
    Ok(Command { program, argv })
}

/// Where a launch runs.
pub(crate) fn working_dir(launch: &Launch) -> PathBuf {
    let project = Path::new(&launch.project_dir);
    launch.template.working_dir.as_ref().map_or_else(|| project.to_owned(), |dir| project.join(dir))
}

/// A migration that names the service's own program runs the copy of it, too.
fn same_file(found: &Path, path: &str) -> bool {
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
    found == Path::new(path) || real(found) == real(Path::new(path))
}

/// The absolute path of `name`: as it is, beside the working directory, or in PATH when it is a bare name (POSIX, `execvp(3)`).
pub(crate) fn find(name: &str, dir: &Path, environment: &BTreeMap<String, EnvValue>) -> Result<PathBuf, RuntimeError> {
    if name.contains('/') {
        return Ok(dir.join(name));
    }
    let path = environment.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", |p| p.reveal());
    path.split(':')
        .filter(|part| !part.is_empty())
        .map(|part| dir.join(part).join(name))
        .find(|candidate| executable(candidate).is_ok())
        .ok_or_else(|| refused(name, "no directory of PATH has an executable of that name"))
}

fn executable(path: &Path) -> Result<PathBuf, RuntimeError> {
    let shown = path.display().to_string();
    let about = fs::metadata(path).map_err(|e| refused(&shown, &e.to_string()))?;
    if !about.is_file() {
        return Err(refused(&shown, "it is no file"));
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err(refused(&shown, "it is not executable; `chmod +x` it"));
    }
    // The C library's execvp hands what the kernel does not know to a shell; nothing here is ever to be run by one.
    let mut magic = [0; 4];
    let length = File::open(path).and_then(|mut file| file.read(&mut magic)).map_err(|e| refused(&shown, &e.to_string()))?;
    if !magic.starts_with(b"#!") && (length < 4 || magic != *b"\x7fELF") {
        return Err(refused(&shown, "it is neither a Linux program nor a script that begins with `#!`"));
    }
    Ok(path.to_owned())
}

/// The copy under its digest, made from `path` unless it is there.
fn keep(path: &str, digest: &str, programs: &Path) -> Result<PathBuf, RuntimeError> {
    if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(refused(path, "its digest is no SHA-256"));
    }
    let kept = programs.join(digest.to_ascii_lowercase());
    if kept.is_file() {
        return Ok(kept);
    }
    executable(Path::new(path))?;
    let beside = programs.join(format!(".{digest}.{}", std::process::id()));
    let copied = copy(Path::new(path), &beside).map_err(|e| RuntimeError::failed(format!("keep a copy of `{path}`"), e))?;
    if !copied.eq_ignore_ascii_case(digest) {
        let _ = fs::remove_file(&beside);
        let short = copied.get(..12).unwrap_or_default();
        return Err(refused(
            path,
            &format!("it changed since the release was planned (its SHA-256 now begins with {short}); deploy again"),
        ));
    }
    fs::rename(&beside, &kept).map_err(|e| RuntimeError::failed(format!("keep a copy of `{path}`"), e))?;
    Ok(kept)
}

/// Copies, and says the digest of what was copied.
fn copy(from: &Path, to: &Path) -> io::Result<String> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().create(true).write(true).truncate(true).mode(0o700).open(to)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 256 * 1024];
    loop {
        let n = source.read(&mut block)?;
        if n == 0 {
            break;
        }
        let part = block.get(..n).unwrap_or_default();
        digest.update(part);
        target.write_all(part)?;
    }
    // A release that is recorded must find its program after a power cut.
    target.sync_all()?;
    Ok(hex(&digest.finalize()))
}

fn refused(program: &str, reason: &str) -> RuntimeError {
    RuntimeError::NoProgram { program: program.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, name: &str, text: &str) -> (String, String) {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (path.to_str().unwrap().to_owned(), hex(&Sha256::digest(text.as_bytes())))
    }

    #[test]
    fn an_old_release_runs_its_own_program() {
        let home = tempfile::tempdir().unwrap();
        let (path, old) = script(home.path(), "server", "#!old");
        let kept = keep(&path, &old, home.path()).unwrap();
        script(home.path(), "server", "#!new");
        assert_eq!(keep(&path, &old, home.path()).unwrap(), kept);
        assert_eq!(fs::read_to_string(&kept).unwrap(), "#!old");
    }

    #[test]
    fn a_program_that_changed_since_the_plan_is_refused_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let (path, planned) = script(home.path(), "server", "#!old");
        script(home.path(), "server", "#!new");
        assert!(matches!(keep(&path, &planned, home.path()), Err(RuntimeError::NoProgram { .. })));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_executed_is_named_before_anything_is_started() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("data"), "x").unwrap();
        let reason = |name: &str| match find(name, home.path(), &BTreeMap::new()).and_then(|p| executable(&p)) {
            Err(RuntimeError::NoProgram { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason("./data").contains("chmod +x"));
        script(home.path(), "plain", "echo run by a shell");
        assert!(reason("./plain").contains("`#!`"));
        assert!(reason("./absent").contains("No such file"));
        assert!(reason("/").contains("no file"));
        assert!(reason("no-such-program-anywhere").contains("PATH"));
    }

    #[test]
    fn a_digest_that_would_leave_the_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (path, _) = script(home.path(), "server", "x");
        assert!(keep(&path, "../../etc/passwd", home.path()).is_err());
    }
}
