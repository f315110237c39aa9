//! The catalogue of complaints against the compiler: every code it uses is in the catalogue, every code of the catalogue is used, and its examples do
//! what they say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::code;
use landfall_model::compose::{FileProblem, Files, Input, resolve};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The compiler's sources, each without its tests.
fn sources() -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compose")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }
    found
}

/// Words in quotes of the sources, outside of comments.
fn words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for code in sources() {
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            words.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    words
}

/// Words that a complaint is made with: what follows `error(` and the like, and names of codes that are handed on.
fn codes_in_use() -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for code in sources() {
        for maker in [".error(", ".warning(", "Diagnostic::error(", "Diagnostic::warning("] {
            for after in code.split(maker).skip(1) {
                let Some(word) = after.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
                used.insert(word.to_owned());
            }
        }
    }
    // What is only a fallback that nobody sees.
    used.remove("");
    used
}

#[test]
fn every_code_that_is_used_is_in_the_catalogue() {
    let known: BTreeSet<String> = code::all().iter().map(|c| c.code.to_owned()).collect();
    let unknown: Vec<String> = codes_in_use().difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "no entry in crates/model/src/code: {unknown:?}");
}

#[test]
fn every_code_of_the_catalogue_is_used() {
    let words = words();
    let idle: Vec<&str> = code::compile().map(|c| c.code).filter(|c| !words.contains(*c)).collect();
    assert!(idle.is_empty(), "nothing complains with {idle:?}");
}

/// A project of one file.
struct One(String);

impl Files for One {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path.ends_with("compose.yaml") { Ok(self.0.clone().into_bytes()) } else { Err(FileProblem::NotFound) }
    }
    fn exists(&self, path: &str) -> bool {
        path.ends_with("compose.yaml")
    }
}

fn complaints(text: &str) -> Vec<String> {
    let output = resolve(&Input {
        files: &["compose.yaml".to_owned()],
        cwd: "/srv/app",
        project_dir: "/srv/app",
        project_name: None,
        env: &BTreeMap::new(),
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &One(text.to_owned()),
        rules: None,
        environment: None,
    });
    output.diagnostics.into_iter().map(|d| d.code).collect()
}

#[test]
fn examples_have_the_mistake_and_not_have_it_once_put_right() {
    // What takes more than one file, a variable, or a file too long for a page: its examples tell it in a comment.
    let told = |example: &str| !example.contains("services") || example.starts_with("# compose.yaml ");
    let alone = ["empty-file", "alias-cycle"];
    let mut wrong = Vec::new();
    for known in code::compile() {
        if told(known.bad) && !alone.contains(&known.code) {
            continue;
        }
        let (bad, good) = (complaints(known.bad), complaints(known.good));
        if !bad.iter().any(|c| c == known.code) {
            wrong.push(format!("{}: the bad example has only {bad:?}", known.code));
        }
        if !good.is_empty() {
            wrong.push(format!("{}: the good example has {good:?}", known.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pages_are_those_of_the_catalogue() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/diagnostics");
    let mut pages: BTreeMap<String, String> = code::all().iter().map(|c| (format!("{}.md", c.code), c.page())).collect();
    pages.insert("README.md".to_owned(), code::index());
    let found = || -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let read = |path: &Path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap());
        entries.map(|entry| read(&entry.path())).collect()
    };
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for name in found().keys().filter(|name| !pages.contains_key(*name)) {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let found = found();
    for name in pages.keys().chain(found.keys()) {
        assert!(pages.get(name) == found.get(name), "docs/reference/diagnostics/{name} is not what is generated; BLESS=1 writes it anew");
    }
}
