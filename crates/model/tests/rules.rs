//! Golden cases of the production rules: `cases/rules/*.case`, one file per code, and `cases/rules/plans/*.case`, one per plan of the seeds.
//!
//! A file is a list of parts that begin with `==== bad` (the rule fires) or `==== good` (it does not); every code has at least one of each. A
//! part is a Compose file, then sections that begin with `---- `: `env` (`NAME=value` lines, the process environment), `file PATH` (another file
//! of the project; an empty one stands for a directory), `tracked` (paths git tracks), `server` (`memory: 2g`, `cpus: 2`), and last `expect`:
//! the complaints of this code with their hints, and the other codes that complain. In a plan's file it is everything that is complained about.
//! The examples on a rule's page are parts too. `BLESS=1` rewrites what is expected, and writes a case for a rule that has none.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::code::Code;
use landfall_model::compose::{Facts, FileProblem, Files, Input, Output, resolve, rules};
use landfall_model::diagnostic::{Diagnostic, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const PROJECT: &str = "/srv/app";

#[derive(Default)]
struct Part {
    files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    facts: Facts,
}

impl Files for Part {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let text = self.files.get(&absolute(path)).ok_or(FileProblem::NotFound)?;
        if text.is_empty() { Err(FileProblem::Directory) } else { Ok(text.clone().into_bytes()) }
    }
    fn exists(&self, path: &str) -> bool {
        let path = absolute(path);
        path == PROJECT || self.files.keys().any(|f| *f == path || f.strip_prefix(&path).is_some_and(|r| r.starts_with('/')))
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{PROJECT}/{path}") }
}

impl Part {
    /// `None` when a section has a name nobody knows.
    fn parse(text: &str) -> Option<Self> {
        let mut part = Part::default();
        let mut sections = text.split("\n---- ");
        part.files.insert(absolute("compose.yaml"), format!("{}\n", sections.next().unwrap_or("").trim_end_matches('\n')));
        for section in sections {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            match head.split_once(' ').unwrap_or((head, "")) {
                ("env", _) => {
                    let pair = |l: &str| l.split_once('=').map(|(k, v)| (k.to_owned(), v.trim_matches('\'').to_owned()));
                    part.env = body.lines().filter_map(pair).collect();
                }
                ("tracked", _) => part.facts.tracked = body.lines().map(absolute).collect(),
                ("server", _) => {
                    let value = |key: &str| body.lines().find_map(|l| l.strip_prefix(key)).map(|v| v.trim().trim_end_matches('g'));
                    part.facts.memory = value("memory:").and_then(|v| v.parse::<u64>().ok()).map(|g| g << 30);
                    part.facts.cpu_millis = value("cpus:").and_then(|v| v.parse::<u64>().ok()).map(|c| c * 1000);
                }
                ("file", name) => {
                    part.files.insert(absolute(name.trim()), body.to_owned());
                }
                _ => return None,
            }
        }
        Some(part)
    }

    fn run(&self) -> Output {
        resolve(&Input {
            files: &[absolute("compose.yaml")],
            cwd: PROJECT,
            project_dir: PROJECT,
            project_name: Some("app"),
            env: &self.env,
            env_files: None,
            profiles: BTreeSet::new(),
            reader: self,
            rules: Some(&self.facts),
            environment: None,
        })
    }
}

/// One complaint as the cases write it.
fn line(d: &Diagnostic) -> String {
    let place = d.span.as_ref().map_or("-".to_owned(), |s| {
        let file = s.file.trim_start_matches(PROJECT).trim_start_matches('/');
        let file = if file == "compose.yaml" { String::new() } else { format!("{file}:") };
        format!("{file}{}:{}", s.line, s.column)
    });
    let severity = if d.severity == Severity::Error { "error" } else { "warning" };
    let hint = d.hint.as_ref().map(|h| format!("    hint: {h}\n")).unwrap_or_default();
    format!("{place} {severity} {} {}\n{hint}", d.code, d.message)
}

/// No complaint shows a value of the environment or of another file.
fn no_secret_is_shown(part: &Part, output: &Output) {
    let secret = |v: &String| v.len() >= 8 && v.bytes().any(|b| b.is_ascii_digit());
    for d in &output.diagnostics {
        for value in part.env.values().filter(|v| secret(v)) {
            let hint = d.hint.clone().unwrap_or_default();
            assert!(!d.message.contains(value.as_str()) && !hint.contains(value.as_str()), "{} shows a value: {}", d.code, d.message);
        }
    }
}

fn expected(code: &str, part: &Part) -> (bool, String) {
    let output = part.run();
    no_secret_is_shown(part, &output);
    let mut out = String::new();
    for d in output.diagnostics.iter().filter(|d| d.code == code) {
        out.push_str(&line(d));
    }
    let others: BTreeSet<&str> = output.diagnostics.iter().map(|d| d.code.as_str()).filter(|c| *c != code).collect();
    if !others.is_empty() {
        writeln!(out, "also: {}", others.into_iter().collect::<Vec<_>>().join(", ")).unwrap();
    }
    (output.diagnostics.iter().any(|d| d.code == code), out)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/rules")
}

fn new_case(code: &Code) -> String {
    format!("==== bad\n{}==== good\n{}", code.bad, code.good)
}

#[test]
fn every_rule_fires_where_it_should_and_nowhere_else() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let rules = rules();
    assert!(rules.len() >= 60, "{} rules", rules.len());
    for code in &rules {
        let path = directory().join(format!("{}.case", code.code));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| if bless { new_case(code) } else { String::new() });
        let (mut now, mut seen) = (String::new(), [0, 0]);
        for part in text.split("==== ").skip(1) {
            let (kind, body) = part.split_once('\n').unwrap_or((part, ""));
            let input = body.split_once("\n---- expect\n").map_or(body, |(input, _)| input).trim_end();
            let (fires, got) = expected(code.code, &Part::parse(input).unwrap());
            let bad = kind.starts_with("bad");
            seen[usize::from(bad)] += 1;
            if fires != bad {
                wrong.push(format!("{}: `==== {kind}` {}:\n{input}\n{got}", code.code, if fires { "fires" } else { "does not fire" }));
            }
            write!(now, "==== {kind}\n{input}\n---- expect\n{got}").unwrap();
        }
        if seen.contains(&0) {
            wrong.push(format!("{}: a case for firing and one for not firing, please", code.code));
        }
        if now != text && bless {
            std::fs::write(&path, &now).unwrap();
        } else if now != text {
            wrong.push(format!("{}\n--- expected\n{text}\n--- got\n{now}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 rewrites what is expected:\n{}", wrong.join("\n"));
}

#[test]
fn the_examples_of_every_page_are_true() {
    for code in rules() {
        let (bad, good) = (Part::parse(code.bad).unwrap(), Part::parse(code.good).unwrap());
        assert!(expected(code.code, &bad).0, "{}: the bad example is not complained about", code.code);
        let (fires, got) = expected(code.code, &good);
        assert!(!fires, "{}: the good example is complained about: {got}", code.code);
    }
}

#[test]
fn no_case_is_left_of_a_rule_that_is_gone() {
    let known: BTreeSet<String> = rules().iter().map(|c| format!("{}.case", c.code)).collect();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name) || name == "plans", "{name} is the case of no rule");
    }
}

/// The plans of the seeds: what is complained about is what their checklists name.
#[test]
fn the_plans_are_told_what_their_checklists_name() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut plans: Vec<PathBuf> = std::fs::read_dir(directory().join("plans")).unwrap().map(|e| e.unwrap().path()).collect();
    plans.sort();
    assert_eq!(plans.len(), 5);
    for path in plans {
        let text = std::fs::read_to_string(&path).unwrap();
        let (input, want) = text.split_once("\n---- expect\n").unwrap_or((text.trim_end(), ""));
        let part = Part::parse(input).unwrap();
        let output = part.run();
        no_secret_is_shown(&part, &output);
        let got: String = output.diagnostics.iter().map(line).collect();
        // The table at the head of the file: `#   what the checklist says → code`.
        for code in input.lines().filter(|l| l.starts_with('#')).filter_map(|l| l.split_once("→")).flat_map(|(_, c)| c.split(',')) {
            let code = code.trim();
            assert!(output.diagnostics.iter().any(|d| d.code == code), "{}: `{code}` is not complained about:\n{got}", path.display());
        }
        if bless && got != want {
            std::fs::write(&path, format!("{input}\n---- expect\n{got}")).unwrap();
        } else {
            assert_eq!(got, want, "{}", path.display());
        }
    }
}

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        std::fs::read(path).map_err(|_| FileProblem::NotFound)
    }
    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }
}

/// What the repository shows as good is good, or says why it is so.
#[test]
fn the_repositorys_own_examples_break_no_rule() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").canonicalize().unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let project = entry.unwrap().path();
        let file = project.join("compose.yaml");
        if !file.exists() {
            continue;
        }
        let secrets = [
            ("POSTGRES_PASSWORD", "6c1f0e9d8b7a5f4e3d2c"),
            ("DB_PASSWORD", "2d9f1c7e5d3a48268f60"),
            ("JWT_SECRET", "a1b2c3d4e5f60718293a4b5c6d7e0f9b"),
        ];
        let env = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let output = resolve(&Input {
            files: &[file.to_str().unwrap().to_owned()],
            cwd: project.to_str().unwrap(),
            project_dir: project.to_str().unwrap(),
            project_name: None,
            env: &env,
            env_files: None,
            profiles: BTreeSet::new(),
            reader: &Disk,
            rules: Some(&Facts::default()),
            environment: None,
        });
        let complaints: String = output.diagnostics.iter().map(line).collect();
        assert_eq!(complaints, "", "{}", file.display());
        assert!(output.spec.is_some());
        seen += 1;
    }
    assert!(seen >= 2);
}

/// Whatever a file becomes while somebody types, the rules answer, and every place lies in its file.
#[test]
fn half_written_files_are_borne() {
    let marks = ["\u{0}", "é", "${", "://", "@", "'", "[", "\n", "\\", "  - ", "# landfall: allow x, --", "<<EOF", ": "];
    for code in rules() {
        for text in [code.bad, code.good] {
            for n in 0..6usize {
                // Places spread over the text, the same in every run.
                let at = text.char_indices().map(|(i, _)| i).nth((n * 7919 + code.code.len() * 31) % text.chars().count()).unwrap();
                let mark = marks[(n + code.code.len()) % marks.len()];
                let changed = if n % 2 == 0 { text[..at].to_owned() } else { format!("{}{mark}{}", &text[..at], &text[at..]) };
                let Some(part) = Part::parse(&changed) else { continue };
                for d in part.run().diagnostics.iter().filter_map(|d| d.span.as_ref()) {
                    let text = part.files.get(&absolute(&d.file)).or_else(|| part.files.get(&d.file));
                    let inside = text.is_none_or(|t| d.start <= d.end && t.get(d.start..d.end).is_some());
                    assert!(inside, "{d:?} in\n{changed}");
                }
            }
        }
    }
}
