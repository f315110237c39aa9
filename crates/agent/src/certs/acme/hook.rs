//! The user's program that puts a record into the DNS for DNS-01, and takes it away again.
//!
//! It is run as it is written, without a shell, with three more arguments: `present` or `cleanup`, the record's name, its value. It gets an empty
//! environment but for PATH and HOME, and returns when the record can be seen. An exit code other than 0, or silence for too long, is a failure.

use super::super::problem::{Kind, Problem};
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// How long it may take: records take minutes to be seen with some providers.
const LIMIT: Duration = Duration::from_secs(300);
/// Bytes of its output that are shown.
const SHOWN: u64 = 16 * 1024;

/// Runs it once.
pub(super) async fn run(argv: &[String], action: &str, record: &str, value: &str) -> Result<(), Problem> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Problem::new(Kind::Hook, "there is no hook"));
    };
    let failed = |what: String| Problem::new(Kind::Hook, format!("the hook {program} {what}"));
    let inherited = ["PATH", "HOME"].into_iter().filter_map(|key| Some((key, std::env::var_os(key)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .args([action, record, value])
        .env_clear()
        .envs(inherited)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(format!("cannot be started: {e}")))?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(LIMIT, async { tokio::join!(child.wait(), read(stdout), read(stderr)) }).await;
    let Ok((status, stdout, stderr)) = ended else {
        // All that it started too: they would hold its output open, and the record with it.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        return Err(failed(format!("did not end within {} s", LIMIT.as_secs())));
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("failed at `{action}`: {status}")).with_log(&format!("{stdout}\n{stderr}"))),
        Err(e) => Err(failed(format!("cannot be waited for: {e}"))),
    }
}

/// The first of what it says; the rest is read and dropped, so that it never waits for us.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut text = Vec::new();
    let _ = (&mut pipe).take(SHOWN).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(argv: &[&str]) -> Vec<String> {
        argv.iter().map(|&w| w.to_owned()).collect()
    }

    #[tokio::test]
    async fn it_gets_its_words_as_they_are_and_its_complaint_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let script = format!("echo \"$#:$1:$2:$3\" > {}; echo out; echo err >&2; exit $0", seen.display());
        let argv = |code: &str| words(&["/bin/sh", "-c", &script, code]);
        run(&argv("0"), "present", "_acme-challenge.example.org", "$(id); x").await.unwrap();
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "3:present:_acme-challenge.example.org:$(id); x\n");
        let failure = run(&argv("3"), "cleanup", "r", "v").await.unwrap_err().failure("example.org");
        assert_eq!((failure.code.as_str(), failure.log), ("certificate-hook", words(&["out", "", "err"])));
        assert!(run(&words(&["/nowhere"]), "present", "r", "v").await.is_err());
    }
}
