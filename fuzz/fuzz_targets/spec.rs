//! What an API client says an app is: JSON laid over the spec of a usual one (RFC 7396), so that a seed is only what is unusual. Whatever it is, it is
//! refused or is one spec: written and read again it is the same, asks for every power that a reader of the JSON finds in it, and names nothing that
//! could be more than a name in the engine's URLs.

#![no_main]

use landfall_fuzz::Project;
use landfall_model::spec::Spec;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

static BASE: LazyLock<Value> = LazyLock::new(|| {
    let text = "name: shop\nservices:\n  web:\n    image: nginx:1\n    volumes: [data:/data, ./compose.yaml:/conf:ro]\n    networks: [front]\n\
                \x20   environment: {A: b}\n    x-landfall: {port: 80}\n  job:\n    image: busybox:1\n    restart: \"no\"\n\
                volumes: {data: {}}\nnetworks: {front: {}}\n";
    let output = Project::of(text).resolve();
    serde_json::to_value(output.spec.as_ref().unwrap_or_else(|| panic!("{:?}", output.diagnostics))).expect("JSON")
});

fn merge(base: &mut Value, over: &Value) {
    let Value::Object(over) = over else {
        *base = over.clone();
        return;
    };
    if !base.is_object() {
        *base = Value::Object(serde_json::Map::new());
    }
    for (key, value) in over {
        let object = base.as_object_mut().expect("an object");
        match value {
            Value::Null => drop(object.remove(key)),
            value => merge(object.entry(key).or_insert(Value::Null), value),
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A path that is the directory or below it, by its text.
fn is_below(dir: &str, path: &str) -> bool {
    let plain = !path.split('/').any(|part| part == ".." || part == ".");
    let dir = dir.trim_end_matches('/');
    plain && path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Powers that cannot be missed by looking at the JSON of one service; `*` stands for any value.
fn plainly(spec: &Value, service: &Value) -> BTreeSet<String> {
    let template = &service["template"];
    let (container, access) = (&template["container"], &template["container"]["access"]);
    let mut powers = BTreeSet::new();
    let mut take = |kind: &str, value: &str| {
        let value = if value.chars().any(char::is_control) { value.escape_debug().to_string() } else { value.to_owned() };
        powers.insert(if value.is_empty() { kind.to_owned() } else { format!("{kind}:{value}") });
    };
    if access["privileged"] == true {
        take("privileged", "");
    }
    let usual = landfall_model::power::USUAL_CAPABILITIES;
    for cap in texts(&access["capabilities"]).into_iter().filter(|cap| !usual.contains(cap)) {
        take("cap", cap);
    }
    for rule in texts(&access["device_rules"]) {
        take("device-rule", rule);
    }
    for _ in texts(&access["host"]) {
        take("namespace", "*");
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for device in list(&access["devices"]) {
        take("device", device["source"].as_str().unwrap_or_default());
    }
    if !list(&access["gpus"]).is_empty() {
        take("gpus", "");
    }
    for (key, kind) in [("cgroup_parent", "cgroup-parent"), ("runtime", "runtime")] {
        if let Some(value) = access[key].as_str().filter(|value| !value.is_empty()) {
            take(kind, value);
        }
    }
    if container["ipc"].as_str().is_some_and(|ipc| ipc == "host" || ipc.starts_with("container:")) {
        take("namespace", "*");
    }
    for option in texts(&container["security"]) {
        if ["unconfined", "label", "systempaths"].iter().any(|open| option.ends_with(open) || option.starts_with(open))
            && !option.starts_with("no-new-privileges")
        {
            take("security", option);
        }
    }
    for mount in list(&template["mounts"]) {
        let (source, dir) = (&mount["source"], spec["project_dir"].as_str().unwrap_or_default());
        if source["kind"] == "bind" {
            let path = source["path"].as_str().unwrap_or_default();
            if !is_below(dir, path) || path.ends_with("docker.sock") {
                take("bind", path);
            }
        }
        let volume = source["name"].as_str().map_or(&Value::Null, |name| &spec["volumes"][name]);
        let driver = volume["driver"].as_str().unwrap_or_default();
        if source["kind"] == "volume" && !matches!(driver, "" | "local") {
            take("driver", driver);
        }
    }
    for network in texts(&template["networks"]) {
        if spec["networks"][network]["external_name"] == "host" {
            take("namespace", "*");
        }
    }
    powers
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(over) = serde_json::from_slice::<Value>(data) else { return };
    let mut value = BASE.clone();
    merge(&mut value, &over);
    let Ok(spec) = serde_json::from_value::<Spec>(value) else { return };
    let written = serde_json::to_value(&spec).expect("a spec is JSON");
    let again: Spec = serde_json::from_value(written.clone()).expect("what is written is read");
    assert!(again == spec && again.revision() == spec.revision(), "read again it is another");
    let powers = spec.powers();
    assert_eq!(powers, again.powers());
    for power in powers.values().flatten() {
        let line = power.to_string();
        assert!(!line.chars().any(char::is_control), "{line:?} is more than a line");
        assert!(!power.reason().is_empty());
        if let Ok(read) = line.parse::<landfall_model::power::Power>() {
            assert_eq!(read, *power);
        }
    }
    if written["runtime"] == "docker" {
        for (name, service) in written["services"].as_object().into_iter().flatten() {
            let own = powers.iter().find(|(key, _)| key.as_str() == name).map(|(_, powers)| powers);
            for wanted in plainly(&written, service) {
                let has = |power: &landfall_model::power::Power| match wanted.strip_suffix('*') {
                    Some(kind) => power.to_string().starts_with(kind),
                    None => power.to_string() == wanted,
                };
                assert!(own.is_some_and(|own| own.iter().any(has)), "{name} takes {wanted} and does not say so: {own:?}");
            }
        }
    }
    let mounts = spec.services.values().flat_map(|service| &service.template.mounts);
    assert!(mounts.count() < data.len() + 8);
});
