//! How the doctor looks: files, programs of the system and work that may take long, each bounded in size and time.
//!
//! What cannot be seen is an `Err` with the reason in words, which becomes a finding of its own. Nothing here writes.

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Longest text that is read.
const MAX_TEXT: u64 = 8 * 1024 * 1024;
/// Longest wait for a program: `apt-get` on a slow disk takes its time.
const PROGRAM: Duration = Duration::from_secs(60);
/// Longest wait for files.
const FILES: Duration = Duration::from_secs(10);

/// What was seen, or why not.
pub(super) type Seen<T> = Result<T, String>;

/// A program that told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silent {
    /// It is not installed.
    Absent(String),
    /// It failed, or said nothing in time.
    Failed(String),
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(program) => write!(f, "`{program}` is not installed"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl From<Silent> for String {
    fn from(silent: Silent) -> Self {
        silent.to_string()
    }
}

/// The text of a file.
pub(super) fn text(path: impl AsRef<Path>) -> Seen<String> {
    text_if_any(&path)?.ok_or_else(|| format!("there is no {}", path.as_ref().display()))
}

/// Likewise; `None` when there is no such file.
pub(super) fn text_if_any(path: impl AsRef<Path>) -> Seen<Option<String>> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", path.display())),
    }
}

/// What a program of the system says when it is given these arguments.
pub(super) async fn said(argv: &[&str]) -> Result<String, Silent> {
    let Some((program, arguments)) = argv.split_first() else { return Err(Silent::Failed("nothing was asked".to_owned())) };
    let name = program.rsplit('/').next().unwrap_or(program);
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", crate::server::PATH).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| match e.kind() {
        ErrorKind::NotFound => Silent::Absent(name.to_owned()),
        _ => Silent::Failed(format!("`{name}` cannot be run: {e}")),
    })?;
    let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Silent::Failed(format!("`{name}` cannot be heard")));
    };
    let hear = async {
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let (mut output, mut errors) = (output.take(MAX_TEXT), errors.take(MAX_TEXT));
        let (first, second) = tokio::join!(output.read_to_end(&mut said), errors.read_to_end(&mut complained));
        first.and(second)?;
        // One that says more than we hear would wait for ever to be heard.
        drop((output, errors));
        Ok::<_, std::io::Error>((child.wait().await?, said, complained))
    };
    match timeout(PROGRAM, hear).await {
        Err(_) => Err(Silent::Failed(format!("`{name}` did not end within {} s", PROGRAM.as_secs()))),
        Ok(Err(e)) => Err(Silent::Failed(format!("`{name}` cannot be heard: {e}"))),
        Ok(Ok((status, said, _))) if status.success() => Ok(String::from_utf8_lossy(&said).into_owned()),
        Ok(Ok((status, _, complained))) => {
            let complained = String::from_utf8_lossy(&complained);
            let last = complained.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why").trim();
            Err(Silent::Failed(format!("`{name}` failed ({status}): {last}")))
        }
    }
}

/// Work on files: a disk that does not answer must not keep the rest.
pub(super) async fn files<T: Send + 'static>(work: impl FnOnce() -> Seen<T> + Send + 'static) -> Seen<T> {
    match timeout(FILES, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) => Err("looking at it ended early".to_owned()),
        Err(_) => Err(format!("the disk did not answer within {} s", FILES.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_program_that_is_absent_or_fails_says_so() {
        assert_eq!(said(&["landfall-no-such-program"]).await, Err(Silent::Absent("landfall-no-such-program".to_owned())));
        let failed = said(&["ls", "/nonexistent"]).await.unwrap_err().to_string();
        assert!(failed.contains("`ls` failed") && failed.contains("/nonexistent"), "{failed}");
        assert_eq!(said(&["printf", "%s", "a b; $HOME"]).await.unwrap(), "a b; $HOME");
    }

    #[test]
    fn a_file_that_is_absent_is_told_from_one_that_cannot_be_read() {
        assert_eq!(text_if_any("/nonexistent"), Ok(None));
        assert!(text("/nonexistent").unwrap_err().contains("there is no /nonexistent"));
        assert!(text_if_any("/proc/self").is_err());
    }
}
