//! A repository of its own with the project of a plan.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const PLANS: [&str; 5] = ["portfolio", "lightsail", "glossary", "tutor", "analytics"];

/// System, file, and its name as a golden file.
pub(crate) const FILES: [(&str, &str, &str); 3] = [
    ("github", ".github/workflows/landfall.yml", "github.yml"),
    ("github", ".github/workflows/landfall-deploy.yml", "github-deploy.yml"),
    ("gitlab", ".gitlab-ci.yml", "gitlab.yml"),
];

pub(crate) struct Place {
    dir: tempfile::TempDir,
    options: Vec<String>,
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/ci")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Place {
    pub(crate) fn of(plan: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&cases().join(plan).join("project"), dir.path());
        let options = std::fs::read_to_string(cases().join(plan).join("options")).unwrap();
        Self { dir, options: options.split_whitespace().map(str::to_owned).collect() }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(args).current_dir(self.dir.path()).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        // The program that is tested is another one after every change of it; what it writes is not.
        command.args(["--landfall-sha256", &"0".repeat(64)]);
        if !args.iter().any(|arg| arg.starts_with("--production") || arg.starts_with("--staging")) {
            command.args(&self.options);
        }
        command.output().unwrap()
    }

    #[track_caller]
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Path and text of each file that would be written.
    #[track_caller]
    pub(crate) fn printed(&self, system: &str) -> Vec<(String, String)> {
        let printed: Vec<Value> = serde_json::from_str(&self.good(&["ci", system, "--print", "--json"])).unwrap();
        printed.iter().map(|file| (file["path"].as_str().unwrap().to_owned(), file["text"].as_str().unwrap().to_owned())).collect()
    }

    /// What the programs of a script were given, one after the other, beside what is asked of a builder.
    #[track_caller]
    pub(crate) fn step(&self, script: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let bin = self.dir.path().join("stand-in");
        std::fs::create_dir_all(&bin).unwrap();
        for program in ["docker", "landfall"] {
            let path = bin.join(program);
            let text = "#!/bin/sh\ncase \"$1 $2\" in context*|buildx\\ use|buildx\\ create) exit 0 ;; esac\ncat > password\nprintf '%s\\0' \"$@\" >> given\n";
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(!self.dir.path().join("pwned").exists(), "{variables:?} was run");
        let given = std::fs::read_to_string(self.dir.path().join("given")).unwrap();
        std::fs::remove_file(self.dir.path().join("given")).unwrap();
        given.split_terminator('\0').map(str::to_owned).collect()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }
}

#[track_caller]
pub(crate) fn golden(plan: &str, name: &str, actual: &str) {
    let path = cases().join(plan).join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == actual, "cases/ci/{plan}/{name} changed; BLESS=1 writes it anew.\n---- wanted\n{wanted}\n---- got\n{actual}");
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
