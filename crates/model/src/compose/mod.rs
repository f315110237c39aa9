//! Compose text → [`Spec`], without touching a disk.
//!
//! yaml → interpolate → merge → typed file → check → resolve. Every stage keeps the place each value was written at and goes on after a complaint,
//! so that one run finds everything that is wrong. Files are asked for through [`Files`]; nothing else comes in from outside, so the same input
//! gives the same output everywhere. Refused: files over 1 MiB, and whatever the stages' own bounds say.

mod check;
mod config;
mod contract;
mod deploy;
mod dotenv;
mod duration;
mod env;
mod file;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod interpolate;
mod landfall;
mod merge;
mod mount;
mod node;
mod path;
mod port;
mod reader;
mod report;
mod resolve;
mod service;
mod shape;
mod size;
mod suggest;
mod support;
mod words;
mod yaml;

pub use support::{SERVICE_KEYS, Support};
pub use yaml::{MAX_DEPTH, MAX_EXPANDED, MAX_NODES, MAX_TEXT};

use crate::diagnostic::Diagnostic;
use crate::name::ServiceName;
use crate::spec::{RuntimeKind, Spec};
use check::App;
use interpolate::Variables;
use node::Node;
use report::Report;
use std::collections::{BTreeMap, BTreeSet};

/// The user's files, as the compiler asks for them.
pub trait Files {
    /// The bytes of a file. `path` is as the user gave it for Compose files, and absolute for those the file names. Need read no more than
    /// [`MAX_TEXT`] bytes and one.
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem>;
    /// Whether something is there: a file or a directory.
    fn exists(&self, path: &str) -> bool;
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// There is none.
    #[error("there is no such file")]
    NotFound,
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is larger than [`MAX_TEXT`].
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// The system's words for anything else.
    #[error("{0}")]
    Other(String),
    /// A complaint with a place was made already.
    #[error("it is no text")]
    Complained,
}

/// What is to be resolved.
pub struct Input<'a> {
    /// Paths of Compose files in the order of `-f`; later ones win.
    pub files: &'a [String],
    /// Absolute directory that relative paths are relative to.
    pub project_dir: &'a str,
    /// Name of the app; from the environment, the file or the directory when absent.
    pub project_name: Option<&'a str>,
    /// The process environment.
    pub env: &'a BTreeMap<String, String>,
    /// Files of variables; `.env` in the project directory, if there is one, when absent.
    pub env_files: Option<&'a [String]>,
    /// Chosen profiles; `COMPOSE_PROFILES` when empty. `*` chooses all.
    pub profiles: BTreeSet<String>,
    /// Where files are read.
    pub reader: &'a dyn Files,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The desired state; `None` if there is an error among the diagnostics.
    pub spec: Option<Spec>,
    /// The resolved file as `docker compose config --format json` prints it. Holds every value, secrets too.
    pub config: Option<serde_json::Value>,
    /// Complaints, in the order a reader meets them.
    pub diagnostics: Vec<Diagnostic>,
    /// Texts of the Compose files by name, for excerpts. Files of variables are not among them: they hold passwords.
    pub sources: BTreeMap<String, String>,
    /// `x-landfall.build`: what the command line runs in the project directory before it looks at a service's program.
    pub builds: BTreeMap<ServiceName, Vec<String>>,
}

/// Resolves a Compose project.
pub fn resolve(input: &Input<'_>) -> Output {
    let mut report = Report::default();
    let mut output = Output::default();
    if let Some(tree) = tree(input, &mut report) {
        compile(input, tree, &mut output, &mut report);
    }
    let failed = report.failed();
    (output.diagnostics, output.sources) = report.finish();
    if failed {
        output.spec = None;
    }
    output
}

/// The merged tree, and what was put into it.
struct Tree {
    root: Node,
    variables: Variables,
    /// `COMPOSE_PROJECT_NAME` from outside the Compose files.
    name: Option<String>,
}

/// Reads, interpolates and merges. `None` after a complaint that leaves nothing to go on with.
fn tree(input: &Input<'_>, report: &mut Report) -> Option<Tree> {
    if input.files.is_empty() {
        report.push(Diagnostic::error("no-file", None, "no Compose file is given")).hint("write a `compose.yaml`");
    }
    let (mut documents, mut whole) = (Vec::new(), true);
    for name in input.files {
        match env::load(input, name, (name, true), report) {
            Ok(file) => {
                let text = report.text(file).to_owned();
                match yaml::parse(&text, file, report) {
                    Some(more) => documents.extend(more),
                    None => whole = false,
                }
            }
            Err(problem) => {
                env::unreadable(name, &problem, None, report);
                whole = false;
            }
        }
    }
    // With a file missing, complaints about what it would have said mislead.
    if !whole {
        return None;
    }
    let mut variables = env::variables(input, report);
    for (name, value) in documents.iter().flat_map(landfall::contract_defaults) {
        let slot = variables.values.entry(name).or_default();
        if slot.is_empty() {
            *slot = value;
        }
    }
    let outer_name = variables.values.get("COMPOSE_PROJECT_NAME").cloned();
    // Only one that depends on no variable can be one.
    let plain_name = documents.iter().rev().find_map(|d| d.get("name")?.scalar().filter(|s| !s.text.contains('$')).map(|s| s.text.clone()));
    if let Some(name) = input.project_name.map(str::to_owned).or(plain_name) {
        variables.values.entry("COMPOSE_PROJECT_NAME".into()).or_insert(name);
    }
    let mut root: Option<Node> = None;
    for mut document in documents {
        variables.interpolate(&mut document, report);
        root = Some(match root {
            Some(base) => merge::merge(base, document, report),
            None => document,
        });
    }
    match root {
        Some(root) if !root.is_null() => Some(Tree { root, variables, name: outer_name }),
        _ => {
            if !report.failed() {
                let name = input.files.first().map_or("", String::as_str);
                let start = report::Place { line: 1, column: 1, ..report::Place::default() };
                report
                    .error("empty-file", start, format!("`{name}` is empty"))
                    .hint("write `services:` and under it one entry per program");
            }
            None
        }
    }
}

fn compile(input: &Input<'_>, Tree { root, mut variables, name: outer_name }: Tree, output: &mut Output, report: &mut Report) {
    let file = file::read(&root, report);
    let profiles = profiles(input, &variables);
    let chosen =
        |s: &service::ServiceFile| s.profiles.is_empty() || profiles.contains("*") || s.profiles.iter().any(|p| profiles.contains(p));
    let enabled = file.services.iter().filter(|(_, s)| chosen(s)).collect();
    let runtime = file.landfall.runtime.as_ref().map_or(RuntimeKind::Docker, |r| r.value);
    let app = App { file: &file, enabled: &enabled, runtime, project_dir: input.project_dir, reader: input.reader };
    app.check(report);
    let environments = env::environments(&enabled, input, &mut variables, report);
    contract::check(&file.landfall.env, &variables, &environments, report);
    let known = |name: &str| file.landfall.env.iter().any(|rule| rule.name.value.as_str() == name);
    variables.warn_of_undefined(known, report);
    let Some(name) = resolve::app_name(input.project_name, &app, outer_name.as_deref(), report) else { return };
    output.config = Some(config::render(&name, &root, &app, &environments));
    output.spec = resolve::resolve(&name, &app, &environments, report);
    output.builds = enabled.iter().filter_map(|(name, s)| Some(((*name).clone(), s.landfall.build.as_ref()?.value.clone()))).collect();
}

fn profiles(input: &Input<'_>, variables: &Variables) -> BTreeSet<String> {
    if !input.profiles.is_empty() {
        return input.profiles.clone();
    }
    let variable = variables.values.get("COMPOSE_PROFILES").map_or("", String::as_str);
    variable.split(',').map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
}
