//! What the README shows is what `landfall check` says. `BLESS=1` writes the transcript and the picture anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All that a terminal would show of a run over the file of `docs/guides/check`.
fn shown(color: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["check", "--color", color]).current_dir(root().join("docs/guides/check")).env_clear();
    // A variable that is set as it would be on a server; git would name the repository this lies in.
    command.env("DB_PASSWORD", "fVq82hTz91kLxTr55bN0qW3e").env("LANDFALL_HOME", home.path()).env("PATH", "");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let all = text(output.stderr) + &text(output.stdout);
    all.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[track_caller]
fn same(path: &Path, found: &str, wanted: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, wanted).unwrap();
    } else {
        assert!(found == wanted, "{} does not show what `landfall check` says; BLESS=1 writes it anew", path.display());
    }
}

#[test]
fn the_transcript_is_a_real_one() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let head = "```console\n$ landfall check\n";
    let (before, rest) = readme.split_once(head).unwrap();
    let (_, after) = rest.split_once("```").unwrap();
    same(&path, &readme, &format!("{before}{head}{}```{after}", shown("never")));
}

#[test]
fn the_picture_is_a_real_one() {
    let path = root().join("docs/guides/check/check.svg");
    let typed = format!("\x1b[2m$\x1b[0m landfall check\n{}", shown("always"));
    let picture = anstyle_svg::Term::new().render_svg(&typed);
    same(&path, &std::fs::read_to_string(&path).unwrap_or_default(), &picture);
}
