//! Does one act of a change. Programs of the system are called by name with arguments, in an environment of ours, and may take only so long.

use super::change::Act;
use super::{generation, upgrade};
use crate::client::{Channel, Client};
use crate::error::{Outcome, Plain};
use crate::settings::Home;
use crate::supervise::start_in_background;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Where programs of the system are.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long one may take: packages of a slow mirror.
const RUN_LIMIT: Duration = Duration::from_secs(900);
/// How much of what it wrote is told when it fails.
const TOLD_LINES: usize = 20;

/// What acts are done with.
pub(super) struct Hands<'a> {
    /// The binary that was brought.
    pub brought: &'a Path,
    /// Its SHA-256.
    pub digest: &'a str,
    /// Landfall's home here.
    pub home: &'a Home,
}

impl Hands<'_> {
    /// Does it.
    pub(super) async fn apply(&self, act: &Act) -> Outcome {
        match act {
            Act::Run { argv } => run(argv).await,
            Act::Directory { path, mode } => directory(Path::new(path), *mode).map_err(|e| file_failed(path, e).into()),
            Act::File { path, mode, text } => file(Path::new(path), *mode, text).map_err(|e| file_failed(path, e).into()),
            Act::Judged { path, text, judge } => judged(Path::new(path), text, judge).await,
            Act::Binary => {
                let before = generation::current();
                let install = || {
                    generation::lay_down(self.brought, self.digest)?;
                    generation::point_at(self.digest)?;
                    generation::retain(before.as_deref())
                };
                install().map_err(|e| file_failed(generation::ROOT, e).into())
            }
            Act::Supervise => self.supervise().await,
            Act::AwaitAgent => upgrade::await_agent(&Client::new(Channel::Here(self.home.clone())), |_| true).await.map(drop),
        }
    }

    async fn supervise(&self) -> Outcome {
        let mut command = tokio::process::Command::new(generation::CURRENT);
        command
            .args(["supervise", "--binary", generation::CURRENT, "--http=0.0.0.0:80", "--https=0.0.0.0:443", "--home"])
            .arg(self.home.path())
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8");
        start_in_background(self.home, command).await.map(drop)
    }
}

async fn run(argv: &[String]) -> Outcome {
    let (program, arguments) = argv.split_first().ok_or_else(|| Plain::failed("change-failed", "there is nothing to run"))?;
    let shown = argv.join(" ");
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|e| Plain::failed("change-failed", format!("`{shown}` cannot be started")).because(e))?;
    let Ok(ended) = tokio::time::timeout(RUN_LIMIT, child.wait_with_output()).await else {
        return Err(Plain::failed(
            "change-failed",
            format!("`{shown}` was ended: it took longer than {} minutes", RUN_LIMIT.as_secs() / 60),
        )
        .hint("run it on the server by hand and see what it waits for; then `landfall server setup` again")
        .into());
    };
    let output = ended.map_err(|e| Plain::failed("change-failed", format!("`{shown}` cannot be waited for")).because(e))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Err(Plain::failed("change-failed", format!("`{shown}` failed ({})", output.status))
        .log(last_lines(&text))
        .hint("put it right on the server; then `landfall server setup` again goes on where this one stopped")
        .into())
}

/// The end of what a program wrote.
pub(super) fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(TOLD_LINES)).map(|line| (*line).to_owned()).collect()
}

fn directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    chown(path, Some(0), Some(0))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Written beside and moved over, so that nobody reads a half.
fn file(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // What was closed to others stays closed.
    let mode = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map_or(mode, |was| was.permissions().mode() & mode);
    let half = path.with_extension("landfall-new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&half)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&half, path)
}

async fn judged(path: &Path, text: &str, judge: &[String]) -> Outcome {
    let failed = |e| file_failed(&path.display().to_string(), e);
    let before = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.map_err(failed)?),
    };
    file(path, 0o644, text).map_err(failed)?;
    let Err(bad) = run(judge).await else { return Ok(()) };
    before.map_or_else(|| fs::remove_file(path), |before| file(path, 0o644, &before)).map_err(failed)?;
    Err(bad)
}

fn file_failed(path: &str, error: io::Error) -> Plain {
    Plain::failed("change-failed", format!("cannot write {path}")).because(error).hint("is the disk full, or mounted read-only?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_file_that_is_found_bad_is_as_it_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sshd_config.d/60-landfall.conf");
        let (good, bad) = (["true".to_owned()], ["false".to_owned()]);
        let refused = judged(&path, "first", &bad).await.unwrap_err().failure();
        assert!(refused.message.contains("`false` failed") && !path.exists(), "{refused:?}");
        judged(&path, "first", &good).await.unwrap();
        judged(&path, "second", &bad).await.unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(dir.path().join("sshd_config.d")).unwrap().count(), 1, "nothing lies beside it");
    }
}
