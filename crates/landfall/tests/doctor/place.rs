//! Namespaces in which faults are planted: mounts and a network that nobody else sees, and the real binary in them.

use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Namespaces for as long as it lives.
pub(crate) struct Place {
    holder: Child,
    dir: tempfile::TempDir,
}

/// What an examination said.
pub(crate) struct Examined {
    pub(crate) report: Value,
    pub(crate) code: Option<i32>,
}

impl Place {
    /// A machine that systemd runs, with a directory of its own for what is not on any disk, and a loopback.
    pub(crate) fn new() -> Self {
        let place = Self::bare();
        place.must(&["mount", "-t", "tmpfs", "tmpfs", "/run"]);
        place.must(&["mkdir", "-p", "/run/systemd/system"]);
        place
    }

    /// Only the namespaces.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut holder = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--propagation",
                "private",
                "--",
                "python3",
                "-c",
                "import sys\nprint(flush=True)\nsys.stdin.read()",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The line says that it is in them.
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let place = Self { holder, dir };
        place.must(&["ip", "link", "set", "lo", "up"]);
        // apt reads the lists of this machine for seconds, each time.
        place.empty("/var/lib/apt/lists");
        place
    }

    /// A program in them.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount", "--net", "--"]).args(argv);
        command
    }

    /// One that must not fail.
    pub(crate) fn must(&self, argv: &[&str]) -> String {
        let output = self.command(argv).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{argv:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file of this text covers another.
    pub(crate) fn cover(&self, path: &str, text: &str) {
        let file = self.dir.path().join(path.replace('/', "_"));
        fs::write(&file, text).unwrap();
        self.must(&["mount", "--bind", file.to_str().unwrap(), path]);
    }

    /// An empty directory covers another.
    pub(crate) fn empty(&self, path: &str) {
        self.must(&["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path]);
    }

    /// A file in a directory that is covered.
    pub(crate) fn write(&self, path: &str, text: &str, mode: &str) {
        let file = self.dir.path().join("written");
        fs::write(&file, text).unwrap();
        self.must(&["install", "-D", "-m", mode, file.to_str().unwrap(), path]);
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `landfall` in it.
    pub(crate) fn landfall(&self, args: &[&str]) -> Output {
        let mut command = self.command(&[&[env!("CARGO_BIN_EXE_landfall")], args].concat());
        command.env("LANDFALL_HOME", self.home()).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn examine(&self) -> Examined {
        self.examine_with(&[])
    }

    /// With another engine than the machine's.
    pub(crate) fn examine_engine(&self, socket: &str) -> Examined {
        let mut command = self.command(&[env!("CARGO_BIN_EXE_landfall"), "server", "doctor", "--json"]);
        let output = command.env("LANDFALL_HOME", self.home()).env("DOCKER_HOST", format!("unix://{socket}")).stdin(Stdio::null()).output();
        Examined::of(&output.unwrap())
    }

    pub(crate) fn examine_with(&self, more: &[&str]) -> Examined {
        Examined::of(&self.landfall(&[&["server", "doctor", "--json"], more].concat()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Examined {
    pub(crate) fn of(output: &Output) -> Self {
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)));
        Self { report, code: output.status.code() }
    }

    /// Severity and words of each finding of a check.
    pub(crate) fn of_check(&self, check: &str) -> Vec<(String, String)> {
        let findings = self.report["findings"].as_array().unwrap();
        let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        findings.iter().filter(|f| f["check"] == check).map(|f| (word(f, "severity"), word(f, "seen"))).collect()
    }

    /// The check is silent: it was done, and all is well.
    #[track_caller]
    pub(crate) fn silent(&self, check: &str) {
        let found = self.of_check(check);
        assert!(!found.is_empty() && found.iter().all(|(severity, _)| severity == "ok"), "{check}: {found:?}");
    }

    /// The check fires with that severity and these words.
    #[track_caller]
    pub(crate) fn fires(&self, check: &str, severity: &str, words: &str) {
        let found = self.of_check(check);
        let hit = found.iter().find(|(_, seen)| seen.contains(words));
        assert_eq!(hit.map(|(severity, _)| severity.as_str()), Some(severity), "{check} {words}: {found:?}");
        let finding = self.report["findings"].as_array().unwrap().iter().find(|f| f["seen"].as_str().unwrap().contains(words)).unwrap();
        assert!(finding["why"].as_str().is_some_and(|why| !why.is_empty()), "{finding}");
    }

    /// Checks that found something, with how bad it is.
    pub(crate) fn bad(&self) -> Vec<(String, String)> {
        let findings = self.report["findings"].as_array().unwrap().iter();
        let bad = findings.filter(|f| f["severity"] == "warning" || f["severity"] == "critical");
        bad.map(|f| (f["check"].as_str().unwrap().to_owned(), f["severity"].as_str().unwrap().to_owned())).collect()
    }
}

/// A program that is ended with its owner.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program in Python that says with a line that it is ready, and then stays.
pub(crate) fn stays(mut command: Command, program: &str) -> Running {
    let program = format!("{program}\nprint(flush=True)\nimport time\ntime.sleep(600)");
    let mut child = command.args(["-c", &program]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "\n", "{program}");
    Running(child)
}

/// All a command said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
