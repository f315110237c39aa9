//! The table against the reader, and what is made of it against the reader and a validator that is not ours.

use super::*;
use crate::compose::report::Report;
use crate::compose::{FileProblem, Files, Input, Output, resolve, yaml};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Every key of the table, however deep.
fn all(keys: &'static [Key], out: &mut BTreeSet<&'static str>) {
    for key in keys {
        out.insert(key.name);
        // What is below a key that is not read is not read either.
        if key.honoured {
            all(key.keys(), out);
        }
    }
}

#[test]
fn the_reader_asks_for_the_keys_of_the_table_and_no_others() {
    let mut table = BTreeSet::new();
    all(APP, &mut table);
    all(SERVICE, &mut table);
    table.remove("*");
    let source = concat!(
        include_str!("../landfall.rs"),
        include_str!("../tls.rs"),
        include_str!("../filter.rs"),
        include_str!("../answer.rs"),
        include_str!("../front.rs"),
        include_str!("../environment.rs"),
        include_str!("../jwt.rs"),
        include_str!("../answer.rs")
    );
    assert!(!source.contains("#[cfg(test)]"), "what tests ask for is not what the reader asks for");
    let quoted = |text: &'static str| text.split('"').skip(1).step_by(2);
    let mut read = BTreeSet::new();
    for asks in [".take(\"", "duration(\""] {
        read.extend(source.split(asks).skip(1).filter_map(|rest| rest.split('"').next()));
    }
    read.extend(source.split(".later(&[").skip(1).filter_map(|rest| rest.split(']').next()).flat_map(quoted));
    assert_eq!(read, table);
}

#[test]
fn the_readers_lists_of_keys_are_those_of_the_table() {
    let names = |keys: &[Key]| keys.iter().map(|key| key.name).collect::<BTreeSet<_>>();
    assert_eq!(names(APP), super::super::landfall::TOP_KEYS.iter().copied().collect());
    assert_eq!(names(SERVICE), super::super::landfall::SERVICE_KEYS.iter().copied().collect());
}

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name)
}

/// `BLESS=1` writes it anew.
#[track_caller]
fn generated(name: &str, text: &str) {
    let path = docs(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/reference/{name} is not what is generated; BLESS=1 writes it anew");
}

struct One<'a>(&'a str);

impl Files for One<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path.ends_with("compose.yaml") { Ok(self.0.as_bytes().to_vec()) } else { Err(FileProblem::NotFound) }
    }
    fn exists(&self, _: &str) -> bool {
        false
    }
}

fn read(text: &str) -> Output {
    resolve(&Input {
        files: &["compose.yaml".to_owned()],
        cwd: "/srv/app",
        project_dir: "/srv/app",
        project_name: None,
        env: &BTreeMap::new(),
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &One(text),
        rules: None,
        environment: None,
    })
}

/// A file as its editor sees it: nothing put in, nothing resolved.
fn plain(text: &str) -> serde_json::Value {
    let mut report = Report::default();
    let file = report.add_file("compose.yaml", text.to_owned(), true);
    yaml::parse(text, file, &mut report).unwrap()[0].root.json()
}

#[test]
fn the_reference_has_every_key_and_the_reader_takes_it() {
    let text = reference();
    let output = read(&text);
    let wrong: Vec<_> = output.diagnostics.iter().filter(|d| !["not-honoured", "needs-grant"].contains(&d.code.as_str())).collect();
    assert!(wrong.is_empty() || wrong.iter().all(|d| d.message.contains("build")), "{wrong:#?}");
    let file = plain(&text);
    demand(APP, &file["x-landfall"], "x-landfall");
    demand(SERVICE, &file["services"]["backend"]["x-landfall"], "services.backend.x-landfall");
    generated("x-landfall.yaml", &text);
}

/// Every key that can be there is there. One that is refused stands in a comment, as does one that excludes others.
fn demand(keys: &[Key], value: &serde_json::Value, path: &str) {
    for key in keys {
        let found = if key.name == "*" { value.as_object().and_then(|all| all.values().next()) } else { value.get(key.name) };
        let path = format!("{path}.{}", key.name);
        match found {
            Some(found) => demand(key.keys(), found.get(0).unwrap_or(found), &path),
            None => assert!(
                (key.about.contains("Refused") || key.about.contains("In place of all"))
                    && reference().contains(&format!("# {}:", key.name)),
                "{path} is missing"
            ),
        }
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses() {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    generated("schema.json", &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
    let complaints = |text: &str| validator.iter_errors(&plain(text)).map(|e| format!("{} {e}", e.instance_path())).collect::<Vec<_>>();

    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let examples = [
        "examples/guestbook/compose.yaml",
        "examples/tutor/compose.yaml",
        "examples/portfolio/compose.yaml",
        "examples/glossary/compose.yaml",
        "examples/classroom/compose.yaml",
        "docs/reference/x-landfall.yaml",
    ];
    for name in examples {
        assert_eq!(complaints(&std::fs::read_to_string(root.join(name)).unwrap()), Vec::<String>::new(), "{name}");
    }
    let app = |text: &str| format!("x-landfall: {text}\nservices: {{ web: {{ image: nginx }} }}\n");
    let service = |text: &str| format!("services: {{ web: {{ image: nginx, x-landfall: {text} }} }}\n");
    for good in [
        app("{ domains: a.example.com, tls: off }"),
        app("{ tls: { email: \"${MAIL}\" }, env: { A: } }"),
        app("{ runtime: \"${R:-docker}\" }"),
        service("{ port: \"${PORT}\", routes: / }"),
        service("{ port: \"8000\", routes: [/a, { path: /b, timeout: 1m30s }], health: /up, drain: 0.5s }"),
    ] {
        assert_eq!(complaints(&good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        app("{ domain: a.example.com }"),
        app("{ domains: [\"https://a.example.com\"] }"),
        app("{ runtime: podman }"),
        app("{ env: { A: { secrets: true } } }"),
        app("{ env: { A: { min_length: -1 } } }"),
        app("[]"),
        service("{ port: 0 }"),
        service("{ port: http }"),
        service("{ routes: [api] }"),
        service("{ routes: [{ timeout: 1s }] }"),
        service("{ health: { path: health } }"),
        service("{ drain: 30 }"),
        service("{ migrate: run it }"),
        service("{ routing: / }"),
    ] {
        assert_ne!(complaints(&bad), Vec::<String>::new(), "{bad}");
        assert!(read(&bad).spec.is_none(), "the reader takes {bad}");
    }
}
