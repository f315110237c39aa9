//! A project on disk: which Compose files it is made of, and what they resolve to.
//!
//! Files are found as `docker compose` finds them. This is the only place of the command line that reads them; the compiler in `model` asks for
//! them through [`Files`] and is pure.

use crate::cli::{AppArgs, ProjectArgs};
use crate::error::{Explain, Kind, Outcome, Plain};
use crate::output::Printer;
use crate::settings::Settings;
use landfall_model::compose::{FileProblem, Files, Input, MAX_TEXT, Output, resolve};
use landfall_model::diagnostic::Severity;
use landfall_model::name::AppName;
use landfall_model::spec::Spec;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Names a Compose file has when nobody says, in order (Compose Specification, "Compose file").
const USUAL: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// Where a project is.
#[derive(Debug, Clone)]
pub struct Project {
    /// Absolute.
    pub dir: PathBuf,
    files: Vec<String>,
    name: Option<AppName>,
    profiles: Vec<String>,
    env_files: Vec<String>,
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
        let path = path.map(|path| settings.cwd.join(path));
        let (dir, mut files) = match &path {
            Some(path) if path.is_dir() => (Some(path.clone()), Vec::new()),
            Some(path) if path.is_file() => (None, vec![path.clone()]),
            Some(path) => return Err(Plain::usage("no-file", format!("there is no directory or file {}", path.display())).into()),
            None => (None, Vec::new()),
        };
        files.extend(args.files.iter().map(|file| settings.cwd.join(file)));
        if files.is_empty() && path.is_none() {
            files.extend(named_by_environment(settings));
        }
        let dir = match (&args.project_dir, dir, files.first().and_then(|file| file.parent())) {
            (Some(typed), _, _) => settings.cwd.join(typed),
            (None, Some(dir), _) => dir,
            (None, None, Some(parent)) => parent.to_owned(),
            (None, None, None) => settings.cwd.clone(),
        };
        if files.is_empty() {
            files = usual_files(&dir)?;
        }
        let dir =
            dir.canonicalize().map_err(|e| Plain::usage("no-file", format!("cannot use the directory {}", dir.display())).because(e))?;
        Ok(Self {
            files: texts(&files, &settings.cwd)?,
            env_files: texts(&args.env_files.iter().map(|file| settings.cwd.join(file)).collect::<Vec<_>>(), &settings.cwd)?,
            dir,
            name: args.project_name.clone(),
            profiles: args.profiles.clone(),
        })
    }

    /// Compiles the files. Complaints are in the output, not shown yet.
    pub fn resolve(&self, settings: &Settings) -> Outcome<Output> {
        let (dir, cwd) = (text(&self.dir)?, text(&settings.cwd)?);
        // A variable that is no UTF-8 cannot be written into a file that is.
        let env: BTreeMap<String, String> =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Ok(resolve(&Input {
            files: &self.files,
            cwd: &cwd,
            searched: false,
            project_dir: &dir,
            project_name: self.name.as_ref().map(AppName::as_str),
            env: &env,
            env_files: (!self.env_files.is_empty()).then_some(self.env_files.as_slice()),
            profiles: self.profiles.iter().cloned().collect(),
            reader: &Disk { cwd: &settings.cwd },
            rules: None,
        }))
    }

    /// Compiles, shows every complaint, and goes on only without errors.
    pub fn spec(&self, settings: &Settings, printer: &Printer) -> Outcome<(Spec, Output)> {
        let mut output = self.resolve(settings)?;
        if !printer.is_json() {
            printer.diagnostics(&output.diagnostics, &output.sources);
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
        BadFile { files: self.files.join(", "), errors: output.diagnostics.iter().filter(|d| d.severity == Severity::Error).count() }
    }

    /// Its files, as people know them.
    pub fn files(&self) -> String {
        self.files.join(", ")
    }
}

/// The app a verb is about, as far as command line and files tell; `None` when there is no file here.
pub fn app_named(settings: &Settings, args: &AppArgs) -> Outcome<Option<AppName>> {
    if let Some(app) = &args.app {
        return Ok(Some(app.clone()));
    }
    let explicit = !args.files.is_empty() || args.project_dir.is_some();
    let project = ProjectArgs { files: args.files.clone(), project_dir: args.project_dir.clone(), ..ProjectArgs::default() };
    match Project::locate(settings, None, &project) {
        Ok(project) => Ok(Some(project.app(settings)?)),
        Err(problem) if explicit => Err(problem),
        Err(_) => Ok(None),
    }
}

impl Project {
    /// Its name, also when its files have errors that do not concern the name.
    pub fn app(&self, settings: &Settings) -> Outcome<AppName> {
        let output = self.resolve(settings)?;
        let named = output.spec.as_ref().map(|spec| spec.app.clone());
        let named = named.or_else(|| output.config.as_ref()?.get("name")?.as_str()?.parse().ok());
        match named {
            Some(app) => Ok(app),
            None => Err(Plain::usage("no-app-name", format!("{} does not say which app it is", self.files()))
                .hint("see `landfall check`, or name the app: `-p NAME`")
                .into()),
        }
    }
}

/// COMPOSE_FILE, as `docker compose` reads it.
fn named_by_environment(settings: &Settings) -> Vec<PathBuf> {
    let named = std::env::var_os("COMPOSE_FILE").unwrap_or_default();
    std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).map(|path| settings.cwd.join(path)).collect()
}

fn usual_files(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let Some(main) = USUAL.iter().map(|name| dir.join(name)).find(|path| path.is_file()) else {
        return Err(Plain::usage("no-file", format!("there is no compose.yaml in {}", dir.display()))
            .hint("change into the project's directory, or say where it is: `landfall up PATH`")
            .into());
    };
    let stem = main.with_extension("");
    let beside = ["yaml", "yml"]
        .iter()
        .map(|extension| PathBuf::from(format!("{}.override.{extension}", stem.display())))
        .find(|path| path.is_file());
    Ok(std::iter::once(main).chain(beside).collect())
}

/// Paths as people know them: relative to where they are, when they lie below.
fn texts(paths: &[PathBuf], cwd: &Path) -> Outcome<Vec<String>> {
    paths.iter().map(|path| text(path.strip_prefix(cwd).unwrap_or(path))).collect()
}

fn text(path: &Path) -> Outcome<String> {
    let text = path.to_str().ok_or_else(|| Plain::usage("bad-path", format!("the path {} is not UTF-8", path.display())))?;
    Ok(text.to_owned())
}

/// Files as they are on disk.
struct Disk<'a> {
    cwd: &'a Path,
}

impl Files for Disk<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let problem = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FileProblem::NotFound,
            std::io::ErrorKind::IsADirectory => FileProblem::Directory,
            _ => FileProblem::Other(error.to_string()),
        };
        let path = self.cwd.join(path);
        // Only regular files: a pipe or a device might never end.
        let meta = std::fs::metadata(&path).map_err(problem)?;
        if meta.is_dir() {
            return Err(FileProblem::Directory);
        }
        if !meta.is_file() {
            return Err(FileProblem::Other("it is no regular file".to_owned()));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&path).map_err(problem)?.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes).map_err(problem)?;
        Ok(bytes)
    }

    fn exists(&self, path: &str) -> bool {
        self.cwd.join(path).exists()
    }
}
