//! A project in memory for the targets that need files, and what must hold of every project, whoever wrote it.
//!
//! Text is cut into files the way golden cases are: what comes before the first `---- ` line is `compose.yaml`; `---- file PATH` begins another
//! file, so that every case of `cases/compose/` is a seed.

pub mod bounds;
pub mod pieces;

use landfall_model::compose::{Facts, FileProblem, Files, Input, Output, resolve};
use std::collections::{BTreeMap, BTreeSet};

const DIR: &str = "/srv/app";

/// Files by absolute path.
#[derive(Default)]
pub struct Project {
    files: BTreeMap<String, String>,
}

impl Files for Project {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        self.files.get(&absolute(path)).map(|text| text.clone().into_bytes()).ok_or(FileProblem::NotFound)
    }

    fn exists(&self, path: &str) -> bool {
        let path = absolute(path);
        path == DIR || self.files.contains_key(&path)
    }
}

fn absolute(path: &str) -> String {
    let relative = path.strip_prefix(DIR).unwrap_or(path);
    format!("{DIR}/{}", relative.trim_start_matches("./").trim_matches('/'))
}

impl Project {
    /// Of one file.
    pub fn of(text: &str) -> Self {
        Self { files: BTreeMap::from([(absolute("compose.yaml"), text.to_owned())]) }
    }

    /// Of a case.
    pub fn parse(text: &str) -> Self {
        let mut project = Self::default();
        let mut sections = format!("\n{text}");
        if !text.starts_with("---- ") {
            sections = format!("\n---- file compose.yaml{sections}");
        }
        for section in sections.split("\n---- ").skip(1).take(16) {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            if let Some(name) = head.strip_prefix("file ") {
                project.files.insert(absolute(name.trim()), body.to_owned());
            }
        }
        project
    }

    /// With the override file when there is one.
    pub fn resolve(&self) -> Output {
        let names = ["compose.yaml", "compose.override.yaml"].map(absolute);
        let files: Vec<String> =
            names.into_iter().enumerate().filter(|(i, n)| *i == 0 || self.files.contains_key(n)).map(|(_, n)| n).collect();
        resolve(&Input {
            files: &files,
            cwd: DIR,
            project_dir: DIR,
            project_name: None,
            env: &BTreeMap::from([("HOME".to_owned(), "/root".to_owned()), ("SET".to_owned(), "a b".to_owned())]),
            env_files: None,
            profiles: BTreeSet::new(),
            reader: self,
            rules: Some(&Facts::default()),
            environment: None,
        })
    }

    /// Resolves, and holds the result against what must be so: complaints have places inside their files, an error means no spec, and what
    /// `config` prints is accepted and is printed the same again.
    pub fn check(&self) {
        let output = self.resolve();
        for span in output.diagnostics.iter().filter_map(|d| d.span.as_ref()) {
            assert!(span.line > 0 && span.column > 0 && span.start <= span.end, "{span:?}");
            if let Some(text) = output.sources.get(&span.file) {
                assert!(text.get(span.start..span.end).is_some(), "{span:?} is not in its file");
            }
        }
        let errors = output.diagnostics.iter().any(|d| d.severity == landfall_model::diagnostic::Severity::Error);
        assert_eq!(output.spec.is_none(), errors, "a spec and errors exclude each other: {:?}", output.diagnostics);
        let (Some(config), Some(model)) = (output.config(), output.model.as_ref()) else { return };
        if errors || !stays(&config) {
            return;
        }
        // Compose prints a few values so that they are read as others, such as `-0`; what is read then, stays.
        let second = self.printed(model.yaml()).resolve();
        let Some(model) = second.model.as_ref() else { panic!("what is printed is refused: {:?}", second.diagnostics) };
        let third = self.printed(model.yaml()).resolve();
        assert_eq!(second.config(), third.config(), "printed twice, it resolves to something else: {:?}", third.diagnostics);
    }

    /// The same files with that text instead of the Compose files.
    fn printed(&self, text: String) -> Self {
        let files = self.files.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { files }.with("compose.yaml", text).without("compose.override.yaml")
    }

    fn with(mut self, name: &str, text: String) -> Self {
        self.files.insert(absolute(name), text);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.files.remove(&absolute(name));
        self
    }
}

/// Whether Compose, too, reads back what it prints. It does not when an optional dependency is a service of another profile, which is printed
/// without the service; a text that begins with an empty line loses one each time; and a label without a name, which a `label_file` may give, is
/// refused elsewhere.
fn stays(config: &serde_json::Value) -> bool {
    let services = config.get("services").and_then(serde_json::Value::as_object);
    let depends = services.into_iter().flatten().filter_map(|(_, s)| s.get("depends_on")?.as_object()).flatten();
    let there = depends.into_iter().all(|(name, _)| services.is_some_and(|s| s.contains_key(name)));
    let text = config.to_string();
    there && !text.contains(r#""\n"#) && !text.contains(r#""":"#)
}
