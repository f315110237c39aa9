//! Compose text → [`Spec`], without touching a disk.
//!
//! Two layers. The first does what Docker Compose does, no more and no less: files → yaml → interpolate → extend → include → merge → schema → short
//! forms written out ([`load`]), then names, profiles, references, environments ([`Model`]). `landfall config` prints that. The second is
//! Landfall's: typed file → check → resolve. Every stage keeps the place each value was written at and goes on after a complaint, so that one run
//! finds everything that is wrong. Files are asked for through [`Files`]; nothing else comes in from outside, so the same input
//! gives the same output everywhere. Refused: files over 1 MiB, and whatever the stages' own bounds say.

mod access;
mod answer;
mod attached;
mod build;
mod canonical;
mod check;
mod consistency;
mod container;
mod contract;
mod defaults;
mod deploy;
mod dotenv;
mod duration;
mod env;
mod environment;
pub mod extension;
mod fence;
mod file;
mod filter;
mod front;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod grant;
mod health;
pub mod init;
mod interpolate;
mod jwt;
mod landfall;
mod load;
mod mask;
mod merge;
mod model;
mod mount;
mod node;
mod normalize;
mod outside;
mod path;
mod paths;
mod port;
mod print;
mod reader;
mod report;
mod resolve;
mod rules;
pub mod schema;
mod service;
mod shape;
mod size;
pub(crate) mod suggest;
mod support;
mod tls;
mod typed;
mod validate;
mod veil;
mod walk;
mod words;
mod yaml;

pub use contract::is_placeholder;
pub use grant::parse_grants;
pub use mask::without_secrets;
pub use model::Model;
pub use outside::{environment, variables_of};
pub use rules::{Facts, rules, weakness};
pub use support::{Row, Support, table as support_table};
pub use yaml::{MAX_DEPTH, MAX_EXPANDED, MAX_NODES, MAX_TEXT};

use crate::build::ImageBuild;
use crate::diagnostic::Diagnostic;
use crate::name::{EnvironmentName, SecretName, ServiceName};
use crate::secret::{Environments, SecretValue, Unset};
use crate::spec::{RuntimeKind, Spec};
use check::App;
use interpolate::Variables;
use load::Loaded;
use node::Node;
use report::Report;
use service::ServiceFile;
use std::collections::{BTreeMap, BTreeSet};
use veil::Secrets;

/// The user's files, as the compiler asks for them.
pub trait Files {
    /// The bytes of a file. `path` is as the user gave it for Compose files, and absolute for those the file names. Need read no more than
    /// [`MAX_TEXT`] bytes and one.
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem>;
    /// Whether something is there: a file or a directory.
    fn exists(&self, path: &str) -> bool;
    /// Whether a path, with its links followed, lies outside of what the project may read; then `read` refuses it and `exists` says yes.
    fn is_outside(&self, _path: &str) -> bool {
        false
    }
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
    /// It lies outside of what the project may read, also by a link.
    #[error("it lies outside of the repository")]
    Outside,
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
    /// Absolute directory the command was given in: `files` and `env_files` are relative to it.
    pub cwd: &'a str,
    /// Absolute directory that relative paths in the files are relative to.
    pub project_dir: &'a str,
    /// Name of the app; from the environment, the file or the directory when absent.
    pub project_name: Option<&'a str>,
    /// The process environment.
    pub env: &'a BTreeMap<String, String>,
    /// Files of variables; `.env` in the project directory, if there is one, when absent.
    pub env_files: Option<&'a [String]>,
    /// Chosen profiles; `COMPOSE_PROFILES` when empty. `*` chooses all.
    pub profiles: BTreeSet<String>,
    /// The named variant of the app that is meant.
    pub environment: Option<&'a EnvironmentName>,
    /// Where files are read.
    pub reader: &'a dyn Files,
    /// Whether the production rules are asked, and what is known beside the files.
    pub rules: Option<&'a Facts>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The desired state; `None` if there is an error among the diagnostics.
    pub spec: Option<Spec>,
    /// What `docker compose config` prints, whenever Compose accepts the files, though Landfall may not. Holds every value, secrets too.
    pub model: Option<Model>,
    /// Complaints, in the order a reader meets them.
    pub diagnostics: Vec<Diagnostic>,
    /// Texts of the Compose files by name, for excerpts, with the values of secrets replaced by `*`. Files of variables are not among them.
    pub sources: BTreeMap<String, String>,
    /// `x-landfall.build`: what the command line runs in the project directory before it looks at a service's program.
    pub builds: BTreeMap<ServiceName, Vec<String>>,
    /// `build`: how images are made, of every service that says so.
    pub images: BTreeMap<ServiceName, ImageBuild>,
    /// Values of secrets that are known here. They go to the server beside the spec, which only refers to them.
    pub given: BTreeMap<SecretName, SecretValue>,
    /// Programs of this machine that say the value of a secret: `x-landfall.env.*.from`.
    pub sources_of: BTreeMap<SecretName, Vec<String>>,
    /// Named variants the file declares.
    pub environments: Environments,
    /// What it asks for and finds nowhere here.
    pub unset: Unset,
}

impl Output {
    /// The resolved file as `docker compose config --format json` prints it.
    pub fn config(&self) -> Option<serde_json::Value> {
        self.model.as_ref().map(Model::json)
    }
}

/// Resolves a Compose project.
pub fn resolve(input: &Input<'_>) -> Output {
    let mut report = Report::default();
    let mut output = Output::default();
    let known = load::load(input, false, &mut report).is_some_and(|loaded| {
        let known = !loaded.secrets.given.is_empty();
        compile(input, loaded, &mut output, &mut report);
        known
    });
    if known && !report.failed() {
        again(input, &mut output, &mut report);
    }
    let failed = report.failed();
    (output.diagnostics, output.sources) = report.finish();
    if failed {
        output.spec = None;
    }
    output
}

/// Compiles once more with every secret marked, for the spec and for what is printed. What is wrong then and was not before is a secret in a place
/// where it cannot stay a reference.
fn again(input: &Input<'_>, output: &mut Output, report: &mut Report) {
    let input = Input { rules: None, profiles: input.profiles.clone(), ..*input };
    let (mut veiled, mut complaints) = (Output::default(), Report::default());
    if let Some(loaded) = load::load(&input, true, &mut complaints) {
        compile(&input, loaded, &mut veiled, &mut complaints);
    }
    report.take_errors(complaints);
    *output = veiled;
}

/// What Docker Compose does with a merged project, and then what Landfall does.
fn compile(input: &Input<'_>, loaded: Loaded, output: &mut Output, report: &mut Report) {
    let (mut model, mut secrets) = complete(input, loaded, report);
    let accepted = !report.failed();
    let file = file::read(&model.root, &model.disabled, report);
    let idle = |name: &ServiceName| model.disabled.iter().any(|d| d.key == name.as_str());
    let enabled: shape::Enabled<'_> = file.services.iter().filter(|(name, _)| !idle(name)).collect();
    let runtime = file.landfall.runtime.as_ref().map_or(RuntimeKind::Docker, |r| r.value);
    output.environments = environment::shown(&file.landfall.environments);
    let app = App { file: &file, enabled: &enabled, runtime, project_dir: input.project_dir, reader: input.reader };
    app.check(report);
    fence::check(&file.services, input.reader, report);
    let mut environments = env::environments(&enabled);
    contract::check(&file.landfall.env, &model.variables, &environments, report);
    let known = |name: &str| file.landfall.env.iter().any(|rule| rule.name.value.as_str() == name);
    model.variables.warn_of_undefined(known, report);
    // Also for a file that Compose refuses: whoever mends it wants to know all at once.
    if let Some(facts) = input.rules {
        rules::run(input, facts, &model, report);
    }
    output.unset = Unset { variables: model.variables.unset.clone(), files: model.variables.absent.clone() };
    veil::check(&model.root, report);
    if let Some(app_name) = resolve::app_name(&model.name, &app, report) {
        let needs = veil::needs(&file.landfall.env, &app, (&model.variables, &environments));
        secrets.hide(&mut environments);
        let files = attached::files(&app, (&model.variables, &mut secrets), report);
        let values = resolve::Values { environments: &environments, files: &files, environment: input.environment, needs: &needs };
        output.spec = resolve::resolve(&app_name, &app, &values, report);
        output.sources_of = veil::sources(&file.landfall.env);
        output.given = secrets.given;
        output.images = built(&app);
        output.builds = enabled.iter().filter_map(|(name, s)| Some(((*name).clone(), s.landfall.build.as_ref()?.value.clone()))).collect();
    }
    veil::unveil(&mut model.root);
    output.model = accepted.then_some(model);
}

/// How the images of services are made.
fn built(app: &App<'_>) -> BTreeMap<ServiceName, ImageBuild> {
    let docker = app.enabled.iter().filter(|_| app.runtime == RuntimeKind::Docker);
    let build = |(name, service): (&&ServiceName, &&ServiceFile)| {
        let build = &service.build.as_ref()?.build;
        Some(((*name).clone(), ImageBuild { unnamed: service.image_place.is_none(), ..build.clone() }))
    };
    docker.filter_map(build).collect()
}

/// The stages that come once for the whole project, in the order of Compose.
fn complete(input: &Input<'_>, loaded: Loaded, report: &mut Report) -> (Model, Secrets) {
    let Loaded { mut root, name, mut variables, secrets } = loaded;
    let passed = model::passed_args(&root);
    normalize::normalize(&mut root, &name, &variables.values, report);
    typed::decode::check(&root, report);
    let profiles = profiles(input, &variables);
    let mut disabled = Vec::new();
    if let Some(services) = root.get_mut("services").and_then(Node::entries_mut) {
        let (on, off) = std::mem::take(services).into_iter().partition(|service| takes_part(&service.value, &profiles));
        (*services, disabled) = (on, off);
    }
    consistency::check(&mut root, &disabled, report);
    let env_files = rules::env_files(input.project_dir, &root);
    env::read_files(&mut root, input, &mut variables, report);
    (Model { name, root, disabled, variables, passed, env_files }, secrets)
}

fn profiles(input: &Input<'_>, variables: &Variables) -> BTreeSet<String> {
    if !input.profiles.is_empty() {
        return input.profiles.clone();
    }
    let variable = variables.values.get("COMPOSE_PROFILES").map_or("", String::as_str);
    variable.split(',').map(str::trim).map(str::to_owned).collect()
}

/// A service takes part when it names no profile, or one that is chosen.
fn takes_part(service: &Node, profiles: &BTreeSet<String>) -> bool {
    let named = service.get("profiles").map(Node::items).unwrap_or_default();
    named.is_empty() || profiles.contains("*") || named.iter().filter_map(Node::scalar).any(|s| profiles.contains(&s.text))
}
