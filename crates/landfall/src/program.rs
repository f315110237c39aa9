//! Programs of the process runtime, and sites: built where the project says so, and known by their content.
//!
//! The digest is what makes a release remember its own program. Only files inside the project are digested (and copied by the server): a
//! program of the system belongs to the system and is run where it is.

use crate::error::{Explain, Outcome};
use crate::output::Printer;
use landfall_agent::project_digest;
use landfall_model::digest::hex;
use landfall_model::filter::Answer;
use landfall_model::name::ServiceName;
use landfall_model::spec::{Program, Spec};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Its build could not be started.
    #[error("`{service}`: the build `{argv}` cannot be started")]
    NotStarted {
        /// Whose.
        service: ServiceName,
        /// As people read it.
        argv: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its build failed.
    #[error("`{service}`: the build `{argv}` failed ({status})")]
    BuildFailed {
        /// Whose.
        service: ServiceName,
        /// As people read it.
        argv: String,
        /// How.
        status: std::process::ExitStatus,
        /// What it said, when it was not shown already.
        log: Vec<String>,
    },
    /// Files it serves are not there.
    #[error("`{service}`: the files in {} cannot be read", path.display())]
    NoFiles {
        /// Whose.
        service: ServiceName,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not there.
    #[error("`{service}`: its program {} cannot be read", path.display())]
    Unreadable {
        /// Whose.
        service: ServiceName,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Explain for ProgramError {
    fn code(&self) -> &str {
        match self {
            Self::NotStarted { .. } | Self::BuildFailed { .. } => "build-failed",
            Self::NoFiles { .. } => "no-files",
            Self::Unreadable { .. } => "no-program",
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotStarted { .. } => vec!["is its program installed and in PATH?".to_owned()],
            Self::BuildFailed { .. } => Vec::new(),
            Self::NoFiles { .. } => vec!["build the site first; links are not followed".to_owned()],
            Self::Unreadable { path, .. } => {
                vec![format!("build it first, or let Landfall: `x-landfall: {{ build: [argv, …] }}` that makes {}", path.display())]
            }
        }
    }

    fn failure(&self) -> landfall_model::api::Failure {
        let log = if let Self::BuildFailed { log, .. } = self { log.clone() } else { Vec::new() };
        let cause = std::error::Error::source(self).map(|source| vec![source.to_string()]);
        landfall_model::api::Failure {
            code: self.code().to_owned(),
            message: self.to_string(),
            causes: cause.unwrap_or_default(),
            hints: self.hints(),
            log,
        }
    }
}

/// Runs every build, each distinct one once, in the project's directory. No shell: each is a program and its arguments.
pub fn build(dir: &Path, builds: &BTreeMap<ServiceName, Vec<String>>, printer: &Printer) -> Outcome {
    let mut done: Vec<&[String]> = Vec::new();
    for (service, argv) in builds {
        let Some((program, arguments)) = argv.split_first() else { continue };
        if done.contains(&argv.as_slice()) {
            continue;
        }
        let shown = argv.join(" ");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir).stdin(Stdio::null());
        let failed = |source| ProgramError::NotStarted { service: service.clone(), argv: shown.clone(), source };
        let (status, log) = if printer.shows_builds() {
            printer.building(service, &shown);
            // To standard error whatever it is: standard output is for results.
            (command.stdout(io::stderr()).status().map_err(failed)?, Vec::new())
        } else {
            let output = command.stderr(Stdio::piped()).stdout(Stdio::piped()).output().map_err(failed)?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            (output.status, last(&text, 30))
        };
        if !status.success() {
            return Err(ProgramError::BuildFailed { service: service.clone(), argv: shown, status, log }.into());
        }
        done.push(argv);
    }
    Ok(())
}

fn last(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

/// Fills in the digest of every program and site that lies in the project. With `lenient`, one that is not there yet stays unknown and its service is
/// answered: a plan may be made before the first build.
pub fn digest(spec: &mut Spec, lenient: bool) -> Outcome<Vec<ServiceName>> {
    let dir = PathBuf::from(&spec.project_dir);
    let mut unknown = Vec::new();
    for (name, service) in &mut spec.services {
        for route in &mut service.routes {
            let Some(Answer::Files(files)) = route.filters.answer.as_mut().filter(|a| is_in_project(a)) else { continue };
            match project_digest(&dir, files.root.as_str()) {
                Ok(digest) => files.sha256 = Some(digest),
                Err(source) if lenient && source.kind() == io::ErrorKind::NotFound => unknown.push(name.clone()),
                Err(source) => {
                    return Err(ProgramError::NoFiles { service: name.clone(), path: dir.join(files.root.as_str()), source }.into());
                }
            }
        }
        let Program::Executable { path, sha256 } = &mut service.template.program else { continue };
        // The compiler made every path with a `/` absolute; a bare name is the system's.
        let file = Path::new(path.as_str());
        if !file.is_absolute() || !inside(file, &dir) {
            continue;
        }
        match sha256_of(file) {
            Ok(digest) => *sha256 = Some(digest),
            Err(source) if lenient && source.kind() == io::ErrorKind::NotFound => unknown.push(name.clone()),
            Err(source) => return Err(ProgramError::Unreadable { service: name.clone(), path: file.to_owned(), source }.into()),
        }
    }
    Ok(unknown)
}

/// The answer is files of the project.
fn is_in_project(answer: &Answer) -> bool {
    matches!(answer, Answer::Files(files) if !files.root.is_in_image())
}

/// Whether a file lies in a directory, with links followed; a file that is not there is judged by its name.
fn inside(file: &Path, dir: &Path) -> bool {
    match (file.canonicalize(), dir.canonicalize()) {
        (Ok(file), Ok(dir)) => file.starts_with(dir),
        _ => file.starts_with(dir),
    }
}

/// Hexadecimal digest of a regular file, read in pieces.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_whole_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(sha256_of(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(sha256_of(dir.path()).is_err());
    }

    #[test]
    fn a_link_out_of_the_project_is_outside() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", dir.path().join("sh")).unwrap();
        assert!(!inside(&dir.path().join("sh"), dir.path()));
        assert!(inside(&dir.path().join("not-built-yet"), dir.path()));
        assert!(!inside(Path::new("/bin/sh"), dir.path()));
    }
}
