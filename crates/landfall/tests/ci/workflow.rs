//! A pipeline as another reader of YAML understands it, and what has to be true of each.

use super::place::{self, PLANS, Place};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Of YAML 1.1, where `on` is a truth: GitHub's own reader takes it for the word.
const READER: &str = "import sys,json,yaml\ndef plain(v):\n  if isinstance(v,dict): return {('on' if k is True else str(k)):plain(w) for k,w in v.items()}\n  return [plain(w) for w in v] if isinstance(v,list) else v\njson.dump(plain(yaml.safe_load(sys.stdin)),sys.stdout)";

/// A pipeline that was read.
pub(crate) struct Parsed(pub(crate) Value);

fn fed(program: &str, args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; run ./test, which installs it"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), place::text(&output))
}

impl Parsed {
    #[track_caller]
    pub(crate) fn new(text: &str) -> Self {
        let (good, said) = fed("/usr/bin/python3", &["-c", READER], text);
        assert!(good, "{said}\n{text}");
        Self(serde_json::from_str(&said).unwrap())
    }

    fn jobs(&self) -> Vec<(&String, &Value)> {
        self.0["jobs"].as_object().unwrap().iter().collect()
    }

    fn steps(&self) -> Vec<&Value> {
        self.jobs().into_iter().flat_map(|(_, job)| job["steps"].as_array().unwrap()).collect()
    }

    /// The script of the first step of this name.
    #[track_caller]
    pub(crate) fn script(&self, name: &str) -> String {
        self.steps().into_iter().find(|step| step["name"] == name).and_then(|step| step["run"].as_str()).unwrap().to_owned()
    }

    /// Everything that a shell gets to read.
    pub(crate) fn scripts(&self, system: &str) -> Vec<String> {
        let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(|v| Some(v.as_str()?.to_owned())).collect::<Vec<_>>();
        match system {
            "github" => self.steps().into_iter().filter_map(|step| Some(step["run"].as_str()?.to_owned())).collect(),
            _ => self.0.as_object().unwrap().values().flat_map(|job| texts(&job["script"])).collect(),
        }
    }
}

/// Every pipeline of every plan.
fn all() -> Vec<(String, &'static str, Parsed)> {
    let mut all = Vec::new();
    for plan in PLANS {
        let place = Place::of(plan);
        for system in ["github", "gitlab"] {
            for (path, text) in place.printed(system) {
                all.push((format!("{plan}: {path}"), system, Parsed::new(&text)));
            }
        }
    }
    assert_eq!(all.len(), 15);
    all
}

#[test]
fn they_are_what_the_systems_schemas_ask_for() {
    let schema = |name: &str| {
        let text = std::fs::read_to_string(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
    };
    let (github, gitlab) = (schema("github-workflow.json"), schema("gitlab-ci.json"));
    for (name, system, parsed) in all() {
        let validator = if system == "github" { &github } else { &gitlab };
        let wrong: Vec<String> = validator.iter_errors(&parsed.0).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn every_command_passes_shellcheck() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, system, parsed) in all() {
        for script in parsed.scripts(system) {
            // As the runner starts it.
            let (shell, script) = match system {
                "github" => ("--shell=bash", format!("set -euo pipefail\n{script}")),
                _ => ("--shell=sh", script),
            };
            if seen.insert((shell, script.clone())) {
                let (good, said) = fed("shellcheck", &[shell, "--severity=style", "-"], &script);
                assert!(good, "{name}: {said}");
            }
        }
    }
    assert!(seen.len() > 20, "{}", seen.len());
}

#[test]
fn actions_are_pinned_and_rights_and_secrets_are_given_where_they_are_used() {
    for (name, system, parsed) in all() {
        let whole = parsed.0.to_string();
        assert!(!whole.contains("pull_request_target") && !whole.contains("StrictHostKeyChecking"), "{name}");
        for script in parsed.scripts(system) {
            assert!(!script.contains("${{"), "{name}: an expression becomes part of a script: {script}");
        }
        if system != "github" {
            continue;
        }
        assert_eq!(parsed.0["permissions"], serde_json::json!({ "contents": "read" }), "{name}");
        assert!(!parsed.0["env"].to_string().contains("secrets."), "{name}");
        for (id, job) in parsed.jobs() {
            let rights = job["permissions"].as_object().unwrap_or_else(|| panic!("{name}: {id} does not say its permissions"));
            for (right, level) in rights {
                let may = level == "read" || (id == "check" && right == "security-events") || (id == "build" && right == "packages");
                assert!(may, "{name}: {id} may {right}: {level}");
            }
            assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes <= 60), "{name}: {id} has no limit");
            let outside: Value =
                job.as_object().unwrap().iter().filter(|(key, _)| *key != "steps").map(|(k, v)| (k.clone(), v.clone())).collect();
            assert!(!outside.to_string().contains("secrets."), "{name}: {id} gives a secret to all its steps");
        }
        for step in parsed.steps() {
            if let Some(uses) = step["uses"].as_str() {
                let (action, commit) = uses.split_once('@').unwrap();
                assert!(
                    action.split('/').count() == 2 && commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()),
                    "{name}: {uses}"
                );
            }
        }
        expressions(&name, &parsed.0);
    }
}

/// Each is closed, and names contexts that there are; what a stranger writes (titles, branches of forks) is in none of them.
fn expressions(name: &str, value: &Value) {
    match value {
        Value::String(text) => {
            for part in text.split("${{").skip(1) {
                let (expression, _) = part.split_once("}}").unwrap_or_else(|| panic!("{name}: an expression is not closed: {text}"));
                for word in
                    expression.split(|c: char| !(c.is_ascii_alphanumeric() || "._*-'".contains(c))).filter(|word| word.contains('.'))
                {
                    let known = ["github.", "matrix.", "vars.", "secrets.", "needs.", "inputs.", "'"]
                        .iter()
                        .any(|context| word.starts_with(context));
                    assert!(known && !word.contains("github.event.") && !word.contains("head_ref"), "{name}: {expression}");
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(name, item)),
        Value::Object(map) => map.values().for_each(|item| expressions(name, item)),
        _ => {}
    }
}
