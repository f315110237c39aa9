//! Payloads written to break out (`cases/injection`) in every field of a Compose file: each is refused at a place, or stays text in its own field.
//!
//! The fields are the leaves and the chosen keys of `cases/injection/compose.json`, which must have every key that the table of Compose's keys and
//! the reference of `x-landfall` call honoured, so a field that is new is attacked without anybody adding it here. Each payload goes into some
//! of the fields, and into all of them with `INJECTION=all`. What reaches programs and engines is watched by `crates/landfall/tests/injection`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use landfall_model::compose::{FileProblem, Files, Input, Output, Support, resolve, support_table};
use landfall_model::diagnostic::Severity;
use landfall_model::spec::Spec;
use landfall_model::visible::is_hidden;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const BASE: &str = include_str!("../../../cases/injection/compose.json");
const PAYLOADS: &str = include_str!("../../../cases/injection/payloads.json");
const PROJECT: &str = "/srv/shop";

/// A payload goes into every so manieth field, so that each field gets about twenty; a prime, so that all fields have their turn.
const SHARE: usize = 31;

/// Mappings whose keys the user chooses.
const CHOSEN: [&str; 19] = [
    "services",
    "networks",
    "volumes",
    "secrets",
    "configs",
    "environment",
    "labels",
    "sysctls",
    "ulimits",
    "extra_hosts",
    "driver_opts",
    "storage_opt",
    "depends_on",
    "options",
    "rate_limits",
    "headers",
    "basic_auth",
    "claims",
    "args",
];

/// The project's files.
struct Project;

impl Files for Project {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        match path.strip_prefix(PROJECT) {
            Some("/web.env" | "/labels.env") => Ok(b"A=b\n".to_vec()),
            Some("/key.pem") => Ok(b"a key".to_vec()),
            _ => Err(FileProblem::NotFound),
        }
    }
    fn exists(&self, path: &str) -> bool {
        path == PROJECT || path.starts_with("/srv/shop/")
    }
}

/// The Compose file as text, which is YAML too.
struct Compose(String);

impl Files for Compose {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        if path == "compose.yaml" { Ok(self.0.clone().into_bytes()) } else { Project.read(path) }
    }
    fn exists(&self, path: &str) -> bool {
        path == "compose.yaml" || Project.exists(path)
    }
}

fn run(compose: &Value) -> (Output, usize) {
    // YAML allows fewer characters to stand for themselves than JSON does.
    let text = compose.to_string().chars().fold(String::new(), |text, c| match u32::from(c) {
        0x20..=0x7e => text + c.encode_utf8(&mut [0; 4]),
        code => text + &format!("\\U{code:08X}"),
    });
    let length = text.len();
    let disk = Compose(text);
    let input = Input {
        files: &["compose.yaml".to_owned()],
        cwd: PROJECT,
        project_dir: PROJECT,
        project_name: None,
        env: &BTreeMap::new(),
        env_files: None,
        profiles: BTreeSet::new(),
        environment: None,
        reader: &disk,
        rules: None,
    };
    (resolve(&input), length)
}

/// A place in the base: the steps to a leaf, or to an entry whose key is meant.
#[derive(Debug, Clone)]
struct Field {
    steps: Vec<String>,
    key: bool,
}

impl Field {
    /// `services.web.labels.team`, and `services.web.labels.team~` for the key.
    fn name(&self) -> String {
        format!("{}{}", self.steps.join("."), if self.key { "~" } else { "" })
    }

    /// The base with the payload here.
    fn with(&self, base: &Value, payload: &str) -> Value {
        let mut whole = base.clone();
        let (last, path) = self.steps.split_last().unwrap();
        let parent = path.iter().fold(&mut whole, |at, step| match at {
            Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
            at => &mut at[step.as_str()],
        });
        match parent {
            Value::Array(items) => items[last.parse::<usize>().unwrap()] = payload.into(),
            Value::Object(entries) if self.key => {
                let value = entries.remove(last).unwrap();
                entries.insert(payload.to_owned(), value);
            }
            parent => parent[last.as_str()] = payload.into(),
        }
        whole
    }
}

fn fields(at: &Value, steps: &mut Vec<String>, found: &mut Vec<Field>) {
    let mut below = |step: String, value: &Value, found: &mut Vec<Field>| {
        steps.push(step);
        fields(value, steps, found);
        steps.pop();
    };
    match at {
        Value::Object(entries) => {
            for (key, value) in entries {
                below(key.clone(), value, found);
            }
            if steps.last().is_some_and(|last| CHOSEN.contains(&last.as_str())) {
                found.extend(entries.keys().map(|key| Field { steps: steps.iter().chain([key]).cloned().collect(), key: true }));
            }
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| below(n.to_string(), item, found)),
        _ => found.push(Field { steps: steps.clone(), key: false }),
    }
}

fn base() -> (Value, Vec<Field>) {
    let (base, mut found) = (serde_json::from_str(BASE).unwrap(), Vec::new());
    fields(&base, &mut Vec::new(), &mut found);
    (base, found)
}

/// Every payload, and each with `$` once more with `$$`, which is how a `$` gets through Compose's interpolation.
fn payloads() -> Vec<String> {
    let kinds: BTreeMap<String, Vec<String>> = serde_json::from_str(PAYLOADS).unwrap();
    let plain: Vec<String> = kinds.into_values().flatten().map(|p| p.replace("@TRAP@", "/tmp/trap")).collect();
    assert!(plain.iter().collect::<BTreeSet<_>>().len() >= 500, "{}", plain.len());
    let escaped: Vec<String> = plain.iter().filter(|p| p.contains('$')).map(|p| p.replace('$', "$$")).collect();
    plain.into_iter().chain(escaped).collect()
}

/// Names become parts of paths, of container names and of DNS names.
fn is_safe(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && name.chars().all(inner) && name.len() <= 253
}

/// What of the host a project asks for, service by service: what its owner must grant.
fn host(spec: &Spec) -> Value {
    spec.services
        .iter()
        .map(|(name, service)| {
            let service = serde_json::to_value(service).unwrap();
            let binds: Vec<Value> =
                service["template"]["mounts"].as_array().into_iter().flatten().filter(|m| m["source"]["kind"] == "bind").cloned().collect();
            serde_json::json!([name, service["template"]["container"]["access"], binds])
        })
        .collect()
}

/// Fields that may say what a container gets of the host; what they ask for is granted by the server's owner or not at all.
fn speaks_of_the_host(field: &str) -> bool {
    ["volumes", "devices", "cap_add", "security_opt", "ipc", "device_read_bps", "ports", "networks", "driver_opts", "sysctls"]
        .iter()
        .any(|word| field.contains(word))
}

/// The parts of the desired state that the rest of a project must keep when a field of `web` changes.
fn rest(spec: &Spec) -> Value {
    let mut rest = serde_json::to_value(spec).unwrap();
    let all = rest.as_object_mut().unwrap();
    for part in ["volumes", "networks", "secrets"] {
        all.remove(part);
    }
    all["services"].as_object_mut().unwrap().remove("web");
    rest
}

#[test]
fn the_base_has_every_field() {
    let (base, _) = base();
    let (output, _) = run(&base);
    let errors: Vec<_> = output.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(output.spec.is_some(), "{errors:#?}");
    let mut has = BTreeSet::new();
    keys(&base, "", &mut has);
    let written = |path: &str| has.contains(path);
    // Of those no value can be injected into, or which stand for the same field in another form.
    let elsewhere = [
        "include",
        "extends",
        "external",
        "enable_ipv6",
        "attachable",
        "aux_addresses",
        "ip_range",
        "ipam.driver",
        "ipam.options",
        "scale",
        "cpu_",
        "mem",
        "oom_",
        "pids_limit",
        "init",
        "read_only",
        "tty",
        "stdin_open",
        "privileged",
        "network_mode",
        "pid",
        "userns_mode",
        "uts",
        "cgroup",
        "runtime",
        "gpus",
        "device_cgroup_rules",
        "links",
        "volumes_from",
        "disable",
        "use_api_socket",
        "bind",
        "consistency",
        "cpus",
        "version",
        "environment",
        "secrets.*.name",
        "configs.*.name",
        "interface_name",
        "ipv4_address",
        "ipv6_address",
        "link_local_ips",
        "subpath",
        "size",
        "tmpfs",
        "models",
        "provider",
        "deploy",
        "blkio",
        "name",
        "pull_policy",
        "platform",
    ];
    let missing: Vec<String> = support_table()
        .into_iter()
        .filter(|row| !matches!(row.docker, Support::Refused(_) | Support::Ignored(_)))
        .map(|row| row.path)
        .filter(|path| !written(path) && !elsewhere.iter().any(|word| path.contains(word)))
        .collect();
    assert!(missing.is_empty(), "no payload reaches {missing:#?}");
    let reference = include_str!("../../../docs/reference/schema.json");
    let schema: Value = serde_json::from_str(reference).unwrap();
    let mut known = BTreeSet::new();
    for part in ["x_landfall_app", "x_landfall_service"] {
        properties(&schema["definitions"][part], &mut known);
    }
    let text = base["x-landfall"].to_string() + &base["services"]["web"]["x-landfall"].to_string();
    // Without effect in this version, under the other runtime only, or in place of what the base has.
    let other = ["alerts", "backup", "build", "cert", "error_pages", "key", "page", "rollout", "secret"];
    let missing: Vec<&String> = known.iter().filter(|k| !text.contains(&format!("\"{k}\":")) && !other.contains(&k.as_str())).collect();
    let below: Vec<&&String> = missing
        .iter()
        .filter(|k| {
            ![
                "engine",
                "schedule",
                "keep",
                "daily",
                "weekly",
                "monthly",
                "before_deploy",
                "drill",
                "channels",
                "slack",
                "email",
                "bake",
                "max_error_rate",
                "canary",
            ]
            .contains(&k.as_str())
        })
        .collect();
    assert!(below.is_empty(), "no payload reaches x-landfall's {below:?}");
}

/// Paths of the keys as the table writes them.
fn keys(at: &Value, path: &str, has: &mut BTreeSet<String>) {
    let last = path.rsplit('.').next().unwrap_or_default();
    match at {
        Value::Object(entries) => {
            for (key, value) in entries {
                for step in [key.as_str(), "*"].into_iter().filter(|s| *s != "*" || CHOSEN.contains(&last)) {
                    let below = if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
                    keys(value, &below, has);
                    has.insert(below);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{path}[]"), has)),
        _ => {}
    }
}

/// Names of all properties of a schema.
fn properties(at: &Value, known: &mut BTreeSet<String>) {
    match at {
        Value::Object(entries) => {
            for (key, value) in entries {
                if key == "properties" {
                    known.extend(value.as_object().unwrap().keys().cloned());
                }
                properties(value, known);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, known)),
        _ => {}
    }
}

#[test]
fn a_payload_is_refused_at_a_place_or_stays_in_its_field() {
    let (base, fields) = base();
    let whole = run(&base).0.spec.unwrap();
    let before = (rest(&whole), host(&whole));
    let step = if std::env::var("INJECTION").is_ok_and(|v| v == "all") { 1 } else { SHARE };
    let payloads: Vec<(usize, String)> = payloads().into_iter().enumerate().collect();
    let (refused, taken) = std::thread::scope(|scope| {
        let halves = payloads.chunks(payloads.len().div_ceil(2));
        let threads: Vec<_> = halves.map(|half| scope.spawn(|| attack(&base, &fields, step, half, &before))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    });
    println!("{} payloads, {} fields: {refused} refused with a place, {taken} taken as text", payloads.len(), fields.len());
    assert!(refused > 0 && taken > 0);
}

/// Puts each payload into every `step`th field; how many were refused and how many taken.
fn attack(base: &Value, fields: &[Field], step: usize, payloads: &[(usize, String)], before: &(Value, Value)) -> (usize, usize) {
    let (mut refused, mut taken) = (0, 0);
    for (n, payload) in payloads {
        for field in fields.iter().skip(n % step).step_by(step) {
            let name = field.name();
            let (output, length) = run(&field.with(base, payload));
            let mut failed = false;
            for complaint in &output.diagnostics {
                let said = format!("{}{}", complaint.message, complaint.hint.as_deref().unwrap_or_default());
                assert!(!said.contains(is_hidden), "{name} with {payload:?} is told raw: {said:?}");
                if complaint.severity == Severity::Error {
                    failed = true;
                    let span = complaint.span.as_ref().unwrap_or_else(|| panic!("{name} with {payload:?} has no place: {complaint:?}"));
                    assert!(span.line >= 1 && span.end <= length, "{name} with {payload:?}: {span:?}");
                }
            }
            if let Some(spec) = output.spec {
                taken += 1;
                stays(&name, payload, &spec, before);
            } else {
                assert!(failed, "{name} with {payload:?} gave nothing and said nothing");
                refused += 1;
            }
        }
    }
    (refused, taken)
}

/// What was taken changed nothing but its own field.
fn stays(name: &str, payload: &str, spec: &Spec, (kept, of_the_host): &(Value, Value)) {
    let says = || format!("{name} with {payload:?}");
    let names = spec.services.keys().map(AsRef::as_ref).chain(spec.volumes.keys().map(AsRef::as_ref));
    let names = names.chain(spec.networks.keys().map(AsRef::as_ref)).chain(spec.secrets.keys().map(AsRef::as_ref));
    for one in names.chain([spec.app.as_str()]).chain(spec.all_domains().iter().map(AsRef::as_ref)) {
        assert!(is_safe(one), "{}: {one:?} is a name", says());
    }
    for service in spec.services.values() {
        for one in service.template.environment.keys() {
            assert!(is_safe(one.as_ref()), "{}: {one:?} is a variable", says());
        }
    }
    if name.starts_with("services.web.") && !name.starts_with("services.web.profiles") {
        assert_eq!(&rest(spec), kept, "{} changed something else", says());
    }
    if !speaks_of_the_host(name) && !name.ends_with('~') && name != "name" && name != "x-landfall.runtime" {
        assert_eq!(&host(spec), of_the_host, "{} changed what is asked of the host", says());
    }
}
