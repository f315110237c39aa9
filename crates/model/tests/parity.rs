//! What Docker Compose makes of a project, and what Landfall makes of it: `cases/compose/parity/**/*.case`, one file = one case.
//!
//! The format is told by `cases/compose/expect`, which makes the expected halves with Compose itself; nothing here can write them. Compared are
//! whether the project is accepted, and the resolved model as JSON. A case that Landfall answers otherwise on purpose says why (`---- differs`)
//! and what Landfall does instead. `PARITY=word` runs only the cases whose path has the word, `PARITY_BRIEF=1` lists names only, and `PARITY_DIR`
//! names another directory of cases, as `cases/compose/differ` makes one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::compose::{FileProblem, Files, Input, Model, Output, environment, resolve};
use landfall_model::diagnostic::Severity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const PROJECT: &str = "/srv/app";
/// Fewer than this, and somebody has lost cases.
const AT_LEAST: usize = 900;

#[derive(Default)]
struct Case {
    /// Files by their absolute paths; `None` is a directory.
    files: BTreeMap<String, Option<Vec<u8>>>,
    env: BTreeMap<String, String>,
    args: Vec<String>,
    compose: Option<Answer>,
    /// Further questions, `--services` and the like, and the texts that were answered. Nothing asks for the YAML.
    also: Vec<(String, String)>,
    differs: Option<String>,
    landfall: Option<Answer>,
}

/// What a program says to a project.
enum Answer {
    Rejects(String),
    Prints(Value),
}

impl Files for Case {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let bytes = self.files.get(&absolute(path)).ok_or(FileProblem::NotFound)?;
        bytes.clone().ok_or(FileProblem::Directory)
    }
    fn exists(&self, path: &str) -> bool {
        self.files.contains_key(&absolute(path))
    }
}

/// The path from the root, without `.` and `..`.
fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in (if path.starts_with('/') { "" } else { PROJECT }).split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The text of an `escaped` file.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.replace('\n', "").into_bytes().into_iter());
    while let Some(byte) = rest.next() {
        out.push(match (byte == b'\\').then(|| rest.next().unwrap()) {
            None => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            Some(other) => other,
        });
    }
    out
}

/// Words as a shell splits them; quotes hold words together and nothing else is special.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (Vec::new(), None, None);
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Case { env: BTreeMap::from([("HOME".to_owned(), "/home/u".to_owned())]), ..Case::default() };
        let mut paths = vec![PROJECT.to_owned()];
        for section in format!("\n{text}").split("\n---- ").skip(1) {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            let body = if body.is_empty() { String::new() } else { format!("{}\n", body.trim_end_matches('\n')) };
            match head.split_once(' ').unwrap_or((head, "")) {
                ("file", name) => {
                    let (escaped, name) = name.strip_prefix("escaped ").map_or((false, name), |n| (true, n));
                    let content = if escaped { unescaped(&body) } else { body.into_bytes() };
                    case.files.insert(absolute(name), (!name.ends_with('/')).then_some(content));
                    paths.push(absolute(name));
                }
                ("env", _) => case.env.extend(body.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned()))),
                ("args", _) => case.args = words(&body),
                ("docker", answer) if answer.ends_with(" rejects") => case.compose = Some(Answer::Rejects(body)),
                ("docker", answer) if answer.ends_with("--format json") => {
                    case.compose = Some(Answer::Prints(serde_json::from_str(&body).unwrap()));
                }
                ("differs", _) => case.differs = Some(body),
                ("landfall", "rejects") => case.landfall = Some(Answer::Rejects(body)),
                ("landfall", _) => case.landfall = Some(Answer::Prints(serde_json::from_str(&body).unwrap())),
                ("docker", answer) => case.also.push((answer.split_once(" config").unwrap().1.trim().to_owned(), body)),
                ("also", _) => {}
                (other, _) => panic!("`---- {other}` is no section of a case"),
            }
        }
        for path in paths {
            for (at, _) in path.match_indices('/').skip(1) {
                case.files.entry(path[..at].to_owned()).or_default();
            }
        }
        case.files.entry(PROJECT.to_owned()).or_default();
        case
    }

    /// What the command line gives to [`resolve`].
    fn run(&self) -> Output {
        let (mut files, mut env_files, mut profiles) = (Vec::new(), Vec::new(), BTreeSet::new());
        let (mut name, mut directory) = (None, None);
        let mut args = self.args.iter().flat_map(|a| if a.starts_with("--") { a.splitn(2, '=').collect() } else { vec![a.as_str()] });
        while let Some(flag) = args.next() {
            let value = args.next().unwrap().to_owned();
            match flag {
                "-f" | "--file" => files.push(value),
                "--profile" => drop(profiles.insert(value)),
                "--env-file" => env_files.push(absolute(&value)),
                "-p" | "--project-name" => name = Some(value),
                "--project-directory" => directory = Some(absolute(&value)),
                other => panic!("this test knows no {other}"),
            }
        }
        // What the command line does before it resolves anything: the variables may name files of variables, and either may name the files.
        if env_files.is_empty() {
            let listed = self.env.get("COMPOSE_ENV_FILES").map_or("", String::as_str);
            env_files = listed.split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect();
        }
        let mut env = self.env.clone();
        if files.is_empty() {
            let learned = environment(&Input {
                files: &[],
                cwd: PROJECT,
                project_dir: directory.as_deref().unwrap_or(PROJECT),
                project_name: None,
                env: &self.env,
                env_files: (!env_files.is_empty()).then_some(&env_files[..]),
                profiles: BTreeSet::new(),
                reader: self,
                rules: None,
                environment: None,
            });
            if learned.contains_key("COMPOSE_FILE") {
                env = learned;
            }
            let named = env.get("COMPOSE_FILE").map_or("", String::as_str);
            files = named.split(':').filter(|f| !f.is_empty()).map(str::to_owned).collect();
        }
        if files.is_empty() {
            files = self.usual(directory.as_deref().unwrap_or(PROJECT));
        }
        let first = files.first().map(|f| absolute(f)).unwrap_or_default();
        let beside = first.rsplit_once('/').map_or("/", |(dir, _)| dir).to_owned();
        resolve(&Input {
            files: &files,
            cwd: PROJECT,
            project_dir: &directory.unwrap_or(beside),
            project_name: name.as_deref(),
            env: &env,
            env_files: (!env_files.is_empty()).then_some(&env_files[..]),
            profiles,
            reader: self,
            rules: None,
            environment: None,
        })
    }

    /// The files that are read when none is named.
    fn usual(&self, directory: &str) -> Vec<String> {
        let among = |names: &[&str]| names.iter().copied().find(|n| self.exists(&format!("{directory}/{n}"))).map(str::to_owned);
        let main = among(&["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"]);
        let beside = ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];
        let found = main.into_iter().chain(among(&beside));
        found.map(|f| if directory == PROJECT { f } else { format!("{directory}/{f}") }).collect()
    }

    /// What is not as it should be.
    fn complaint(&self) -> Option<String> {
        let compose = self.compose.as_ref().unwrap();
        assert_eq!(self.differs.is_some(), self.landfall.is_some(), "a difference has a reason, and says what Landfall does");
        let output = self.run();
        let mut out = String::new();
        match (self.landfall.as_ref().unwrap_or(compose), &output.config()) {
            (Answer::Rejects(_), None) => {
                let located = output.diagnostics.iter().any(|d| d.severity == Severity::Error);
                if !located {
                    out.push_str("  refused, without an error\n");
                }
            }
            (Answer::Rejects(why), Some(_)) => writeln!(out, "  accepted; Compose: {}", why.trim()).unwrap(),
            (Answer::Prints(_), None) => {
                out.push_str("  refused:\n");
                for d in output.diagnostics.iter().filter(|d| d.severity == Severity::Error).take(5) {
                    let place = d.span.as_ref().map_or(String::new(), |s| format!("{}:{}:{}: ", s.file, s.line, s.column));
                    writeln!(out, "    {place}{} {}", d.code, d.message).unwrap();
                }
            }
            (Answer::Prints(want), Some(got)) => differences("", want, got, &mut out),
        }
        for (question, want) in &self.also {
            let got = output.model.as_ref().map_or(String::new(), |model| asked(model, question));
            // Of services that do not depend on each other Compose names now one first, now another.
            let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            let same = if matches!(question.as_str(), "--services" | "--images") { sorted(&got) == sorted(want) } else { got == *want };
            if !same {
                writeln!(out, "  config {question}: expected\n{want}  found\n{got}").unwrap();
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

/// The text of `config QUESTION`.
fn asked(model: &Model, question: &str) -> String {
    // Compose's order is another in every run; `expect` sorts.
    let lines = |mut names: Vec<String>| {
        names.sort();
        names.into_iter().map(|name| name + "\n").collect()
    };
    match question.split_once(' ').map_or((question, ""), |(flag, value)| (flag, value.trim_matches('\''))) {
        ("", _) => model.yaml(),
        ("--services", _) => lines(model.services()),
        ("--volumes", _) => lines(model.volumes()),
        ("--images", _) => lines(model.images()),
        ("--profiles", _) => lines(model.profiles()),
        ("--hash", only) => {
            let hashes = model.hashes().into_iter().filter(|(name, _)| only == "*" || name == only);
            hashes.map(|(name, hash)| format!("{name} {hash}\n")).collect()
        }
        (other, _) => panic!("this test knows no {other}"),
    }
}

/// The places where two values differ, each on a line.
fn differences(path: &str, want: &Value, got: &Value, out: &mut String) {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => differences(&path, x, y, out),
                    (Some(x), None) => writeln!(out, "  {path}: missing {x}").unwrap(),
                    (None, Some(y)) => writeln!(out, "  {path}: too much {y}").unwrap(),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{i}]"), x, y, out);
            }
        }
        // 1 and 1.0 are one number to whoever reads JSON.
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => writeln!(out, "  {path}: {a} expected, {b} found").unwrap(),
    }
}

fn found(dir: &Path, cases: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        // Not through links: a directory that is given may have any.
        if entry.file_type().unwrap().is_dir() {
            found(&path, cases);
        } else if path.extension().is_some_and(|e| e == "case") {
            cases.push(path);
        }
    }
}

#[test]
fn every_project_is_what_compose_makes_of_it() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/compose/parity");
    let dir = std::env::var_os("PARITY_DIR").map_or(own, PathBuf::from);
    let mut cases = Vec::new();
    found(&dir, &mut cases);
    cases.sort();
    assert!(cases.len() >= AT_LEAST || std::env::var_os("PARITY_DIR").is_some(), "{} cases are too few", cases.len());
    let only = std::env::var("PARITY").unwrap_or_default();
    let brief = std::env::var_os("PARITY_BRIEF").is_some();
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for path in &cases {
        let name = path.strip_prefix(&dir).unwrap().display().to_string();
        if !name.contains(&only) {
            continue;
        }
        ran += 1;
        let case = Case::parse(&std::fs::read_to_string(path).unwrap());
        assert!(case.compose.is_some(), "{name}: cases/compose/expect has not been here");
        let complaint = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.complaint()));
        match complaint.unwrap_or_else(|_| Some("  panicked\n".to_owned())) {
            Some(_) if brief => wrong.push(name),
            Some(complaint) => wrong.push(format!("{name}\n{complaint}")),
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {ran} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 0, "no case is called like {only}");
}
