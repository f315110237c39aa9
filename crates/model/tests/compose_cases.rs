//! Golden cases of the compiler's front: `cases/compose/*.case`, one file = one case.
//!
//! A case is a Compose file, then sections that begin with `---- `: `---- env` (`NAME=value` lines, the process environment), `---- file PATH`
//! (another file of the project; an empty one stands for a directory), `---- options` (`files: a b`, `profiles: a b`, `name: x`, `show: spec`,
//! `show: config`, `env-files: a b`), and last `---- expect`. Expected are the diagnostics, `line:column severity code message`, with file
//! names where it is not the first file, and then, of the spec, what differs from the spec of the smallest file (all of it with `show: spec`).
//! `BLESS=1` rewrites what is expected.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::compose::{FileProblem, Files, Input, Output, resolve};
use landfall_model::diagnostic::Severity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const PROJECT: &str = "/srv/app";

#[derive(Default)]
struct Case {
    /// Files by the name they are asked for.
    files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
}

impl Files for Case {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let text = self.files.get(path).ok_or(FileProblem::NotFound)?;
        if text.is_empty() && path != "compose.yaml" { Err(FileProblem::Directory) } else { Ok(text.clone().into_bytes()) }
    }
    fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path) || path == PROJECT
    }
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Case::default();
        let mut sections = text.split("\n---- ");
        case.files.insert("compose.yaml".into(), format!("{}\n", sections.next().unwrap_or("").trim_end_matches('\n')));
        for section in sections {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            let pairs = |separator: &str| {
                let pair = |l: &str| l.split_once(separator).map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()));
                body.lines().filter_map(pair).collect::<BTreeMap<_, _>>()
            };
            match head.split_once(' ').unwrap_or((head, "")) {
                ("env", _) => case.env = pairs("="),
                ("options", _) => case.options = pairs(":"),
                ("file", name) => {
                    let name = name.trim();
                    let key = if name.ends_with(".yaml") { name.to_owned() } else { format!("{PROJECT}/{name}") };
                    case.files.insert(key, body.to_owned());
                }
                _ => {}
            }
        }
        case
    }

    fn list(&self, option: &str) -> Vec<String> {
        self.options.get(option).map(|v| v.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn run(&self) -> Output {
        let mut files = self.list("files");
        if files.is_empty() {
            files.push("compose.yaml".into());
        }
        let environment = self.options.get("environment").map(|name| name.parse().unwrap());
        let env_files: Vec<String> = self.list("env-files").iter().map(|f| format!("{PROJECT}/{f}")).collect();
        resolve(&Input {
            files: &files,
            cwd: PROJECT,
            project_dir: PROJECT,
            project_name: self.options.get("name").map(String::as_str),
            env: &self.env,
            env_files: (!env_files.is_empty()).then_some(&env_files[..]),
            profiles: self.list("profiles").into_iter().collect(),
            reader: self,
            rules: None,
            environment: environment.as_ref(),
        })
    }

    fn expected(&self) -> String {
        let output = self.run();
        let mut out = String::new();
        for d in &output.diagnostics {
            let place = d.span.as_ref().map_or("-".to_owned(), |s| {
                let file = if s.file == "compose.yaml" { String::new() } else { format!("{}:", s.file) };
                format!("{file}{}:{}", s.line, s.column)
            });
            let severity = if d.severity == Severity::Error { "error" } else { "warning" };
            writeln!(out, "{place} {severity} {} {}", d.code, d.message).unwrap();
            if let Some(hint) = &d.hint {
                writeln!(out, "    hint: {hint}").unwrap();
            }
            check_span(&output, d.span.as_ref());
        }
        assert_eq!(
            output.spec.is_none(),
            output.diagnostics.iter().any(|d| d.severity == Severity::Error),
            "no spec if and only if there is an error"
        );
        let show = self.options.get("show").map_or("", String::as_str);
        if show == "config" {
            print(&output.config().unwrap_or_default(), 0, &mut out);
            out.push('\n');
        }
        if let Some(spec) = &output.spec
            && show != "config"
        {
            let json = serde_json::to_value(spec).unwrap();
            let json = if show == "spec" { json } else { without_defaults(json) };
            print(&json, 0, &mut out);
            out.push('\n');
        }
        for (service, argv) in &output.builds {
            writeln!(out, "build {service}: {argv:?}").unwrap();
        }
        out
    }
}

/// Every place lies in its file and says the same in bytes as in lines and columns.
fn check_span(output: &Output, span: Option<&landfall_model::diagnostic::Span>) {
    let Some(span) = span else { return };
    let Some(text) = output.sources.get(&span.file) else { return };
    assert!(span.start <= span.end && span.end <= text.len(), "{span:?} in {} bytes", text.len());
    let before = &text[..span.start];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let column = text[line_start..span.start].trim_start_matches('\u{feff}').chars().count() + 1;
    assert_eq!((before.matches('\n').count() + 1, column), (span.line, span.column), "{span:?}");
    assert!(text.get(span.start..span.end).is_some());
}

/// Leaves out what the smallest file has too.
fn without_defaults(mut spec: Value) -> Value {
    let smallest = Case::parse("name: app\nservices: { x: { image: x } }").run().spec.unwrap();
    let smallest = serde_json::to_value(smallest).unwrap();
    for service in spec["services"].as_object_mut().unwrap().values_mut() {
        *service = differing(service, &smallest["services"]["x"]);
    }
    let (services, rest) = (spec["services"].take(), spec);
    let mut out = differing(&rest, &smallest);
    out["services"] = services;
    out
}

fn differing(value: &Value, default: &Value) -> Value {
    match (value, default) {
        (Value::Object(a), Value::Object(b)) if !a.contains_key("kind") => {
            let differs = |(k, v): (&String, &Value)| match b.get(k) {
                Some(d) if d == v => None,
                Some(d) => Some((k.clone(), differing(v, d))),
                None => Some((k.clone(), v.clone())),
            };
            Value::Object(a.iter().filter_map(differs).collect::<Map<_, _>>())
        }
        (value, _) => value.clone(),
    }
}

/// JSON with what fits a line on one line.
fn print(value: &Value, indent: usize, out: &mut String) {
    let flat = value.to_string();
    let (open, close, items): (char, char, Vec<(String, &Value)>) = match value {
        Value::Object(map) if flat.len() + indent > 130 => ('{', '}', map.iter().map(|(k, v)| (format!("{k:?}: "), v)).collect()),
        Value::Array(list) if flat.len() + indent > 130 => ('[', ']', list.iter().map(|v| (String::new(), v)).collect()),
        _ => return out.push_str(&flat),
    };
    out.push(open);
    for (i, (key, item)) in items.iter().enumerate() {
        write!(out, "{}\n{:width$}{key}", if i == 0 { "" } else { "," }, "", width = indent + 2).unwrap();
        print(item, indent + 2, out);
    }
    write!(out, "\n{:indent$}{close}", "").unwrap();
}

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/compose");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "case")).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_gives_what_it_expects() {
    let bless = std::env::var_os("BLESS").is_some();
    let cases = cases();
    assert!(cases.len() >= 20, "the cases are not where this test looks");
    let mut wrong = Vec::new();
    for path in cases {
        let text = std::fs::read_to_string(&path).unwrap();
        let (input, expected) = text.split_once("\n---- expect\n").unwrap_or((text.trim_end(), ""));
        let got = Case::parse(input).expected();
        if got == expected {
            continue;
        }
        if bless {
            std::fs::write(&path, format!("{input}\n---- expect\n{got}")).unwrap();
        } else {
            wrong.push(format!("{}\n--- expected\n{expected}\n--- got\n{got}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 rewrites these:\n{}", wrong.join("\n"));
}

/// The compose files of the five plans, as their authors wrote them.
#[test]
fn the_seeds_are_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/compose/seeds");
    let mut seeds: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    seeds.sort();
    assert!(seeds.len() >= 3);
    for path in seeds {
        let mut case = Case::default();
        case.files.insert("compose.yaml".into(), std::fs::read_to_string(&path).unwrap());
        for there in ["nginx.conf", "certs", "certbot/www", "nginx/ssl", "data", "backups", "backups/postgres", "backups/neo4j"] {
            case.files.insert(format!("{PROJECT}/{there}"), String::new());
        }
        case.files.insert(format!("{PROJECT}/.env"), "POSTGRES_USER=u\nPOSTGRES_PASSWORD=p\nPOSTGRES_DB=d\nGHCR_OWNER=acme\n".into());
        case.files.insert(format!("{PROJECT}/.env.production"), "API_PORT=8000\n".into());
        for name in [
            "DB_PASSWORD",
            "NEXT_PUBLIC_API_URL",
            "NEXTAUTH_URL",
            "NEXTAUTH_SECRET",
            "GOOGLE_CLIENT_ID",
            "GOOGLE_CLIENT_SECRET",
            "JWT_SECRET",
            "FRONTEND_URL",
            "NEO4J_PASSWORD",
            "POSTGRES_USER",
            "POSTGRES_PASSWORD",
        ] {
            case.env.insert(name.into(), "value".into());
        }
        let expected = path.with_extension("expect");
        let got = case.expected();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &got).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&expected).unwrap_or_default(), got, "{}", path.display());
    }
}
