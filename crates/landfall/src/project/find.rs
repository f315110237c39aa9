//! Which files a project is made of, found as `docker compose` 2.40 finds them.
//!
//! `-f`, else COMPOSE_FILE, else the usual names here and then in every directory above. The variables of the `.env` where the command was typed
//! count as those of the process: they may name the files, and win over the `.env` of a project that lies above. The compiler reads the project's for
//! its values. Paths are made absolute by their words alone, as
//! Compose does: a link stays a link, and a project directory need not exist. Refused: paths that are no UTF-8, for a Compose file cannot say them.

use super::Disk;
use super::fence::Fence;
use crate::cli::ProjectArgs;
use crate::error::{Outcome, Plain};
use landfall_model::compose::{Input, environment};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Names a Compose file has when nobody says, in the order of preference of compose-go's loader.
const USUAL: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Names of the file that is merged onto it, likewise. Either goes with any of the above.
const OVERRIDE: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Standard input, where a file is named.
pub const STDIN: &str = "-";

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// As people know them: relative to where they are when they lie below, else absolute; [`STDIN`] for standard input.
    pub files: Vec<String>,
    /// Where the command was typed; `files` and `env_files` are relative to it.
    pub cwd: String,
    /// Project directory; absolute.
    pub dir: String,
    /// Files of variables, when somebody named them or wants none; else it is `.env` of the project directory.
    pub env_files: Option<Vec<String>>,
    /// Variables of the process, and those of a `.env` that named the files.
    pub env: BTreeMap<String, String>,
    /// What the project may read.
    pub fence: Fence,
    /// What the user should know: which of several files was taken.
    pub notes: Vec<String>,
}

/// A place to look from.
pub struct Finder<'a> {
    /// Where the command was typed.
    pub cwd: &'a Path,
    /// Variables of the process.
    pub env: BTreeMap<String, String>,
}

impl Finder<'_> {
    /// From a path (directory or file, as typed) and options.
    pub fn find(mut self, path: Option<&Path>, args: &ProjectArgs) -> Outcome<Found> {
        let typed_dir = args.project_directory.as_ref().map(|dir| self.absolute(dir));
        let mut named: Vec<PathBuf> = Vec::new();
        let mut only_in = None;
        if let Some(path) = path {
            let path = self.absolute(path);
            if path.is_dir() {
                only_in = Some(path);
            } else if path.is_file() {
                named.push(path);
            } else {
                return Err(Plain::usage("no-file", format!("there is no directory or file {}", path.display())).into());
            }
        }
        named.extend(args.files.iter().map(|file| self.file(file)));
        let (mut notes, mut pass) = (Vec::new(), 1);
        // What a `.env` names was not typed by who runs the command, and moves no fence.
        let typed = self.typed(&named, args)?;
        let mut fence = None;
        loop {
            let found = match (&only_in, named.is_empty(), self.named_outside()) {
                (_, false, _) => Ok(named.clone()),
                (None, true, Some(files)) => Ok(files),
                (Some(dir), true, _) => usual_files(dir, false, &mut notes),
                (None, true, None) => usual_files(typed_dir.as_deref().unwrap_or(self.cwd), true, &mut notes),
            };
            // That there is none is no mistake yet: the `.env` here may name them.
            let none = Vec::new();
            let files = found.as_ref().unwrap_or(&none);
            let beside = || files.iter().find(|file| file.as_os_str() != STDIN).and_then(|file| file.parent()).map(Path::to_owned);
            let dir = typed_dir.clone().or_else(|| only_in.clone()).or_else(beside).unwrap_or_else(|| self.cwd.to_owned());
            let env_files = self.env_files(args)?;
            let fence = fence.get_or_insert_with(|| Fence::around(&dir, &typed, args.allow_outside));
            // The `.env` here may name the files itself; then they are looked for once more, and the one beside them is read as well.
            let here = typed_dir.as_deref().unwrap_or(self.cwd);
            let apart = here != dir && env_files.is_none();
            if pass == 1 && named.is_empty() && only_in.is_none() && self.learn((here, apart), env_files.as_deref(), fence)? {
                (pass, notes) = (2, Vec::new());
                continue;
            }
            let files = found?.iter().map(|path| shown(path, self.cwd)).collect::<Outcome<_>>()?;
            let fence = fence.clone();
            return Ok(Found { files, cwd: text(self.cwd)?, dir: text(&dir)?, env_files, env: self.env, fence, notes });
        }
    }

    /// Files that are named on the command line or by variables of the process.
    fn typed(&self, named: &[PathBuf], args: &ProjectArgs) -> Outcome<Vec<PathBuf>> {
        let env_files = self.env_files(args)?.unwrap_or_default();
        let outside = self.named_outside().unwrap_or_default();
        let all = named.iter().cloned().chain(outside).chain(env_files.iter().map(|file| self.absolute(Path::new(file))));
        Ok(all.collect())
    }

    /// COMPOSE_FILE; relative to where the command was typed.
    fn named_outside(&self) -> Option<Vec<PathBuf>> {
        let separator = self.env.get("COMPOSE_PATH_SEPARATOR").filter(|s| !s.is_empty()).map_or(":", String::as_str);
        Some(self.env.get("COMPOSE_FILE")?.split(separator).map(|file| self.file(Path::new(file))).collect())
    }

    /// `--env-file`, else COMPOSE_ENV_FILES, else none at all when COMPOSE_DISABLE_ENV_FILE says so.
    fn env_files(&self, args: &ProjectArgs) -> Outcome<Option<Vec<String>>> {
        let typed = || args.env_files.iter().map(|file| shown(&self.absolute(file), self.cwd)).collect::<Outcome<Vec<_>>>();
        if !args.env_files.is_empty() {
            return typed().map(Some);
        }
        if let Some(listed) = self.env.get("COMPOSE_ENV_FILES").filter(|list| !list.is_empty()) {
            return listed.split(',').map(|file| shown(&self.absolute(Path::new(file)), self.cwd)).collect::<Outcome<_>>().map(Some);
        }
        match self.env.get("COMPOSE_DISABLE_ENV_FILE").map(|word| (word, truth(word))) {
            None | Some((_, Some(false))) => Ok(None),
            Some((_, Some(true))) => Ok(Some(Vec::new())),
            Some((word, None)) => Err(Plain::usage("bad-variable", format!("COMPOSE_DISABLE_ENV_FILE is `{word}`"))
                .hint("set it to true or false, or not at all")
                .into()),
        }
    }

    /// Takes over the variables of the `.env` there when one of them names the files, which is the answer, or when it is `apart` from the project's.
    fn learn(&mut self, (dir, apart): (&Path, bool), env_files: Option<&[String]>, fence: &Fence) -> Outcome<bool> {
        let known = self.env.contains_key("COMPOSE_FILE");
        if known && !apart {
            return Ok(false);
        }
        let (project_dir, cwd, reader) = (text(dir)?, text(self.cwd)?, Disk::new(self.cwd, fence.clone()));
        let input = Input {
            files: &[],
            cwd: &cwd,
            project_dir: &project_dir,
            project_name: None,
            env: &self.env,
            env_files,
            profiles: BTreeSet::new(),
            reader: &reader,
            rules: None,
            environment: None,
        };
        // Whatever is wrong with the file is complained about when it is read for its values.
        let env = environment(&input);
        let names = !known && env.contains_key("COMPOSE_FILE");
        if names || apart {
            self.env = env;
        }
        Ok(names)
    }

    fn file(&self, path: &Path) -> PathBuf {
        if path.as_os_str() == STDIN { path.to_owned() } else { self.absolute(path) }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        clean(&self.cwd.join(path))
    }
}

/// Go's `strconv.ParseBool`, which reads the variable in Compose.
fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An absolute path without `.` and `..`, by its words alone.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // Above the root is the root.
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

fn usual_files(start: &Path, above: bool, notes: &mut Vec<String>) -> Outcome<Vec<PathBuf>> {
    let mut choose = |dir: &Path, names: [&str; 4]| {
        let mut found = names.into_iter().filter(|name| dir.join(name).is_file());
        let first = found.next()?;
        let others: Vec<&str> = found.collect();
        if !others.is_empty() {
            notes.push(format!("{} lies beside {first} in {} and is not read", others.join(", "), dir.display()));
        }
        Some(dir.join(first))
    };
    for dir in start.ancestors().take(if above { usize::MAX } else { 1 }) {
        if let Some(main) = choose(dir, USUAL) {
            return Ok(std::iter::once(main).chain(choose(dir, OVERRIDE)).collect());
        }
    }
    let also = if above { " or above it" } else { "" };
    Err(Plain::usage("no-file", format!("there is no compose.yaml in {}{also}", start.display()))
        .hint("change into the project's directory, or say where it is: `landfall up PATH`")
        .into())
}

/// A path as people know it.
fn shown(path: &Path, cwd: &Path) -> Outcome<String> {
    // What `-f ""` names is the directory itself, and must not become an empty word.
    text(path.strip_prefix(cwd).ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path))
}

fn text(path: &Path) -> Outcome<String> {
    let text = path.to_str().ok_or_else(|| Plain::usage("bad-path", format!("the path {} is not UTF-8", path.display())))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(dir: &Path, env: &[(&str, &str)], args: &ProjectArgs) -> Result<Found, String> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Finder { cwd: dir, env }.find(None, args).map_err(|problem| problem.failure().message)
    }

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_usual_files_are_found_here_and_above() {
        let place = project(&[("docker-compose.yml", ""), ("docker-compose.yaml", ""), ("compose.override.yaml", ""), ("a/b/x", "")]);
        let found = find(place.path(), &[], &ProjectArgs::default()).unwrap();
        assert_eq!(found.files, ["docker-compose.yml", "compose.override.yaml"]);
        assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
        let below = find(&place.path().join("a/b"), &[], &ProjectArgs::default()).unwrap();
        assert_eq!(below.dir, place.path().to_str().unwrap());
        assert_eq!(below.files.len(), 2);
    }

    #[test]
    fn variables_name_files_and_so_does_dotenv() {
        let place = project(&[("x.yaml", ""), ("sub/y.yaml", ""), (".env", "COMPOSE_FILE=sub/y.yaml\n"), ("compose.yaml", "")]);
        let args = ProjectArgs::default();
        let found = find(place.path(), &[("COMPOSE_FILE", "x.yaml,sub/y.yaml"), ("COMPOSE_PATH_SEPARATOR", ",")], &args).unwrap();
        assert_eq!(found.files, ["x.yaml", "sub/y.yaml"]);
        let found = find(place.path(), &[], &args).unwrap();
        assert_eq!((found.files.as_slice(), found.dir.ends_with("/sub")), (&["sub/y.yaml".to_owned()][..], true));
        let found = find(place.path(), &[("COMPOSE_DISABLE_ENV_FILE", "1")], &args).unwrap();
        assert_eq!((found.files.as_slice(), found.env_files), (&["compose.yaml".to_owned()][..], Some(vec![])));
        assert!(find(place.path(), &[("COMPOSE_DISABLE_ENV_FILE", "maybe")], &args).is_err());
        let only = project(&[("a.yaml", ""), (".env", "COMPOSE_FILE=a.yaml\n")]);
        assert_eq!(find(only.path(), &[], &args).unwrap().files, ["a.yaml"]);
        let found = find(place.path(), &[("COMPOSE_ENV_FILES", "a,b")], &ProjectArgs { files: vec!["-".into()], ..args }).unwrap();
        assert_eq!((found.files, found.env_files), (vec!["-".to_owned()], Some(vec!["a".to_owned(), "b".to_owned()])));
    }

    #[test]
    fn the_dotenv_where_the_command_is_typed_counts_and_not_the_one_above() {
        let files = [
            ("compose.yaml", ""),
            (".env", "COMPOSE_FILE=sub/x.yaml\n"),
            ("sub/x.yaml", ""),
            ("sub/.env", "A=sub\n"),
            ("deep/.env", "COMPOSE_FILE=../sub/x.yaml\n"),
        ];
        let place = project(&files);
        let below = |dir: &str| find(&place.path().join(dir), &[("B", "b")], &ProjectArgs::default()).unwrap();
        let found = below("sub");
        assert_eq!((found.files.len(), found.dir.as_str()), (1, place.path().to_str().unwrap()));
        assert!(found.files[0].ends_with("/compose.yaml"), "{:?}", found.files);
        assert_eq!((found.env["A"].as_str(), found.env["B"].as_str()), ("sub", "b"));
        assert!(below("deep").files[0].ends_with("/sub/x.yaml"));
    }

    #[test]
    fn the_project_directory_may_be_named_and_need_not_exist() {
        let place = project(&[("compose.yaml", "")]);
        let args = ProjectArgs { project_directory: Some("nope/../new".into()), ..ProjectArgs::default() };
        let found = find(place.path(), &[], &args).unwrap();
        assert!(found.dir.ends_with("/new") && !found.dir.contains(".."), "{}", found.dir);
        assert_eq!(found.files, ["compose.yaml"]);
    }
}
