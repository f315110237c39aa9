//! A project on disk: which Compose files it is made of, and what they resolve to.
//!
//! Files are found as `docker compose` finds them ([`find`]) and read from disk ([`disk`]); the compiler in `model` asks for them and is pure.

mod disk;
mod facts;
mod fence;
mod find;
pub mod source;

use crate::cli::{AppArgs, ProjectArgs};
use crate::error::{Explain, Kind, Outcome, Plain};
use crate::output::Printer;
use crate::settings::Settings;
use disk::{Disk, Instead};
use find::{Finder, Found};
use landfall_model::code;
use landfall_model::compose::{Facts, FileProblem, Files, Input, MAX_TEXT, Output, resolve};
use landfall_model::diagnostic::{Diagnostic, Severity};
use landfall_model::name::{AppName, EnvironmentName};
use landfall_model::server::ServerAddress;
use landfall_model::spec::Spec;
use std::path::{Path, PathBuf};

/// Where a project is.
#[derive(Debug, Clone)]
pub struct Project {
    /// Absolute.
    pub dir: PathBuf,
    found: Found,
    name: Option<AppName>,
    profiles: Vec<String>,
    disk: Disk,
    /// The named variant that is meant.
    pub environment: Option<EnvironmentName>,
    /// What the production rules know beside the files; without it they are not asked.
    facts: Option<Facts>,
}

/// The files have errors, which were shown.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: {}", files, count(*errors, "error"))]
pub struct BadFile {
    files: String,
    errors: usize,
}

impl Explain for BadFile {
    fn code(&self) -> &str {
        "bad-file"
    }
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

/// `1 error`, `2 errors`.
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

impl Project {
    /// From a path (directory or file, as typed) and options.
    pub fn locate(settings: &Settings, path: Option<&Path>, args: &ProjectArgs) -> Outcome<Self> {
        // A variable that is no UTF-8 cannot be written into a file that is.
        let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        let found = Finder { cwd: &settings.cwd, env }.find(path, args)?;
        let disk = Disk::new(&settings.cwd, found.fence.clone());
        Ok(Self {
            dir: PathBuf::from(&found.dir),
            found,
            name: args.project_name.clone(),
            profiles: args.profiles.clone(),
            disk,
            environment: args.environment.clone(),
            facts: None,
        })
    }

    /// The production rules are asked too: what is not about this machine but about going live.
    #[must_use]
    pub fn with_rules(self) -> Self {
        let facts = Facts { tracked: facts::tracked(&self.dir), ..Facts::default() };
        Self { facts: Some(facts), ..self }
    }

    /// With a variable as if the environment had it.
    #[must_use]
    pub fn with_variable(mut self, key: &str, value: &str) -> Self {
        self.found.env.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Compiles the files. Complaints are in the output, not shown yet.
    pub fn resolve(&self) -> Output {
        self.resolve_from(&self.disk)
    }

    /// Compiles as if a file had that text.
    pub fn resolve_with(&self, name: &str, text: &str) -> Output {
        self.resolve_from(&Instead { name, text, disk: &self.disk })
    }

    fn resolve_from(&self, reader: &dyn Files) -> Output {
        resolve(&Input {
            files: &self.found.files,
            cwd: &self.found.cwd,
            project_dir: &self.found.dir,
            project_name: self.name.as_ref().map(AppName::as_str),
            env: &self.found.env,
            env_files: self.found.env_files.as_deref(),
            profiles: self.profiles.iter().cloned().collect(),
            reader,
            rules: self.facts.as_ref(),
            environment: self.environment.as_ref(),
        })
    }

    /// The text of one of its files.
    pub fn read(&self, name: &str) -> Outcome<String> {
        let failed = |why: String| Plain::usage("unreadable-file", format!("cannot read {name}")).because(why);
        let bytes = self.disk.read(name).map_err(|e| failed(e.to_string()))?;
        if bytes.len() > MAX_TEXT {
            return Err(failed(FileProblem::TooLarge.to_string()).into());
        }
        String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()).into())
    }

    /// Compiles, shows every complaint, and goes on only without errors.
    pub fn spec(&self, printer: &Printer) -> Outcome<(Spec, Output)> {
        let mut output = self.resolve();
        self.declared(&output)?;
        self.notes(printer);
        if !printer.is_json() {
            // Who deploys wants to see what stands in the way; advice is for `check`.
            let advice = |d: &Diagnostic| d.severity == Severity::Warning && code::find(&d.code).is_some_and(|code| code.can_be_allowed());
            let (advice, rest): (Vec<_>, Vec<_>) = output.diagnostics.iter().cloned().partition(advice);
            printer.diagnostics(&rest, &output.sources);
            if !advice.is_empty() {
                let them = if advice.len() == 1 { "it" } else { "them" };
                printer.warning(&format!("production rules have {}: `landfall check` shows {them}", count(advice.len(), "more warning")));
            }
        } else if output.spec.is_none() {
            printer.json_line(&serde_json::json!({ "ok": false, "diagnostics": output.diagnostics }))?;
        }
        match output.spec.take() {
            Some(spec) => Ok((spec, output)),
            None => Err(self.bad(&output).into()),
        }
    }

    /// The error for files that have errors.
    pub fn bad(&self, output: &Output) -> BadFile {
        BadFile { files: self.found.files.join(", "), errors: output.diagnostics.iter().filter(|d| d.severity == Severity::Error).count() }
    }

    /// Its files, as people know them.
    pub fn files(&self) -> String {
        self.found.files.join(", ")
    }

    /// Likewise, one by one.
    pub fn names(&self) -> &[String] {
        &self.found.files
    }

    /// Shows what was noticed while the files were found.
    pub fn notes(&self, printer: &Printer) {
        self.found.notes.iter().for_each(|note| printer.warning(note));
    }
}

/// The project that names the app a verb is about.
pub fn of_app(settings: &Settings, args: &AppArgs) -> Outcome<Project> {
    let project = ProjectArgs {
        files: args.files.clone(),
        project_directory: args.project_directory.clone(),
        project_name: args.app.clone(),
        environment: args.environment.clone(),
        ..ProjectArgs::default()
    };
    Project::locate(settings, None, &project)
}

/// The app a verb is about, as far as command line and files tell; `None` when there is no file here.
pub fn app_named(settings: &Settings, args: &AppArgs) -> Outcome<Option<AppName>> {
    if let (Some(app), None) = (&args.app, &args.environment) {
        return Ok(Some(app.clone()));
    }
    let explicit = !args.files.is_empty() || args.project_directory.is_some() || args.environment.is_some();
    match of_app(settings, args) {
        Ok(project) => Ok(Some(project.app()?)),
        Err(problem) if explicit => Err(problem),
        Err(_) => Ok(None),
    }
}

impl Project {
    /// Where its environment is deployed to; absent for this machine.
    pub fn server(&self) -> Outcome<Option<ServerAddress>> {
        let Some(environment) = &self.environment else { return Ok(None) };
        let output = self.resolve();
        self.declared(&output)?;
        Ok(output.environments.get(environment).and_then(|e| e.server.clone()))
    }

    /// The environment that is meant is one of the file's.
    fn declared(&self, output: &Output) -> Outcome {
        let Some(environment) = self.environment.as_ref().filter(|name| !output.environments.contains_key(*name)) else { return Ok(()) };
        let names: Vec<&str> = output.environments.keys().map(EnvironmentName::as_str).collect();
        let hint = match names.as_slice() {
            [] => format!("declare it: `x-landfall: {{ environments: {{ {environment}: {{ domains: […] }} }} }}`"),
            names => format!("there are: {}", names.join(", ")),
        };
        Err(Plain::usage("unknown-environment", format!("{} has no environment `{environment}`", self.files())).hint(hint).into())
    }

    /// Its name, also when its files have errors that do not concern the name.
    pub fn app(&self) -> Outcome<AppName> {
        let output = self.resolve();
        self.declared(&output)?;
        let named = output.spec.as_ref().map(|spec| spec.app.clone());
        let named = named.or_else(|| output.model.as_ref()?.name().parse().ok());
        match named {
            Some(app) => Ok(app),
            None => Err(Plain::usage("no-app-name", format!("{} does not say which app it is", self.files()))
                .hint("see `landfall check`, or name the app: `-p NAME`")
                .into()),
        }
    }
}
