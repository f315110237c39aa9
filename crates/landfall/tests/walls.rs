//! The walls of the house, kept by a machine: which crate may know which, and what may be said only in one place.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Names under `[dependencies]` of a crate's manifest.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    section
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split(['.', '=', ' ']).next())
        .filter(|n| !n.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Every source file below `crates/<name>/src`, with its text without comments and tests.
fn sources(name: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates").join(name).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{name} has no sources");
    found
}

/// Whether a file is a module of tests alone.
fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs")
}

fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or(text);
    before_tests.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

const CRATES: [&str; 6] = ["model", "runtime", "proxy", "agent", "landfall", "sim"];

#[test]
fn arrows_never_turn_back() {
    let allowed: [(&str, &[&str]); 6] = [
        ("model", &[]),
        ("runtime", &["landfall-model"]),
        ("proxy", &["landfall-model"]),
        ("agent", &["landfall-model", "landfall-runtime"]),
        ("landfall", &["landfall-model", "landfall-runtime", "landfall-proxy", "landfall-agent"]),
        ("sim", &["landfall-model", "landfall-runtime", "landfall-agent"]),
    ];
    for (name, may) in allowed {
        for dependency in dependencies(name).iter().filter(|d| d.starts_with("landfall-")) {
            assert!(may.contains(&dependency.as_str()), "crates/{name} must not know {dependency}");
        }
    }
}

#[test]
fn the_model_is_pure() {
    for dependency in dependencies("model") {
        assert!(
            ["base64", "serde", "serde_json", "sha2", "thiserror"].contains(&dependency.as_str()),
            "the model does no I/O, so it needs no {dependency}"
        );
    }
    for (path, text) in sources("model").into_iter().filter(|(path, _)| !is_tests(path)) {
        for word in
            ["std::fs", "std::env", "std::process", "std::thread", "TcpStream", "SystemTime", "Instant", "HashMap", "HashSet", "rand::"]
        {
            assert!(!code(&text).contains(word), "{path} uses {word}: the model has no I/O, clock, randomness or hash order");
        }
    }
}

#[test]
fn what_is_said_in_one_place_only() {
    let places: [(&str, &[&str]); 4] = [
        ("rusqlite", &["crates/agent/src/store/"]),
        ("bollard", &["crates/runtime/src/docker/"]),
        ("println!", &["crates/landfall/src/output/"]),
        ("annotate_snippets", &["crates/landfall/src/output/"]),
    ];
    for name in CRATES {
        for (path, text) in sources(name) {
            for (word, rooms) in places {
                let here = rooms.iter().any(|room| path.starts_with(room));
                assert!(here || !code(&text).contains(word), "{path} says `{word}`, which belongs in {rooms:?}");
            }
        }
    }
}

/// A shell is named in one place only: inside a container, where the Compose Specification says so (`CMD-SHELL`). The conformance suite's programs are
/// scripts; it runs in tests. The production rules name what a file names, to judge it.
#[test]
fn no_shell_is_run_on_the_server() {
    for name in CRATES {
        for (path, text) in sources(name) {
            let code = code(&text);
            let shell = code.contains("\"sh\"") || code.contains("/bin/sh") || code.contains("bash\"");
            let may = path == "crates/model/src/spec.rs"
                || path.starts_with("crates/runtime/src/conformance/")
                || path.starts_with("crates/model/src/compose/rules/")
                // The login shell of an account: sshd runs its forced command by it.
                || path == "crates/landfall/src/server/deployer.rs";
            assert!(!shell || may, "{path} names a shell");
        }
    }
}

#[test]
fn nothing_is_global() {
    for name in CRATES {
        for (path, text) in sources(name) {
            for line in code(&text).lines().map(str::trim_start) {
                let stateful = line.starts_with("static ") || line.starts_with("pub static ") || line.starts_with("thread_local!");
                assert!(
                    !stateful || line.contains("#[global_allocator]") || line.contains("MiMalloc"),
                    "{path} keeps global state: {line}"
                );
            }
        }
    }
}

#[test]
fn files_say_what_they_are_and_have_one_subject() {
    for name in CRATES {
        for (path, text) in sources(name) {
            assert!(text.starts_with("//!"), "{path} does not begin by saying what it is");
            let lines = text.lines().count();
            assert!(lines <= 500, "{path} has {lines} lines: two subjects?");
            for word in ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("] {
                assert!(!text.contains(word), "{path} has an unfinished word: {word}");
            }
        }
    }
}
