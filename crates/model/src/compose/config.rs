//! The resolved file in the shape of `docker compose config --format json`: short forms written out, variables put in, services of other profiles
//! left out, `x-` keys kept. Keys Landfall has no reading of are passed on as they are.

use super::check::App;
use super::contract::Environments;
use super::health::HealthFile;
use super::mount::SourceFile;
use super::node::{Node, Value as Tree};
use super::service::ServiceFile;
use super::{duration, path};
use crate::name::{AppName, ServiceName};
use crate::spec::{Condition, HealthTest};
use serde_json::{Map, Value, json};

/// The whole model.
pub(crate) fn render(name: &AppName, root: &Node, app: &App<'_>, environments: &Environments) -> Value {
    let mut out = Map::new();
    for entry in root.entries() {
        if entry.key.starts_with("x-") || matches!(entry.key.as_str(), "secrets" | "configs") {
            out.insert(entry.key.clone(), entry.value.json());
        }
    }
    let mut services = Map::new();
    for (service, file) in app.enabled {
        let node = root.get("services").and_then(|s| s.get(service.as_str()));
        services.insert(service.to_string(), render_service(service, (node, file), app, environments));
    }
    out.insert("name".into(), json!(name.as_str()));
    out.insert("services".into(), Value::Object(services));
    out.insert("networks".into(), networks(name, app));
    if !app.file.volumes.is_empty() {
        out.insert("volumes".into(), volumes(name, app));
    }
    Value::Object(out)
}

fn networks(name: &AppName, app: &App<'_>) -> Value {
    let uses_default =
        app.enabled.values().any(|s| s.networks.as_ref().is_none_or(|n| n.is_empty() || n.iter().any(|n| n.value.as_str() == "default")));
    let mut out = Map::new();
    if uses_default {
        out.insert("default".into(), json!({ "name": format!("{name}_default"), "ipam": {} }));
    }
    for (key, file) in &app.file.networks {
        let own = if file.external { key.to_string() } else { format!("{name}_{key}") };
        let mut network = json!({ "name": Some(file.external_name.clone()).filter(|n| !n.is_empty()).unwrap_or(own), "ipam": {} });
        if file.external {
            network["external"] = json!(true);
        }
        if file.internal {
            network["internal"] = json!(true);
        }
        out.insert(key.to_string(), network);
    }
    Value::Object(out)
}

fn volumes(name: &AppName, app: &App<'_>) -> Value {
    let mut out = Map::new();
    for (key, file) in &app.file.volumes {
        let own = if file.external { key.to_string() } else { format!("{name}_{key}") };
        let mut volume = json!({ "name": Some(file.external_name.clone()).filter(|n| !n.is_empty()).unwrap_or(own) });
        if file.external {
            volume["external"] = json!(true);
        }
        out.insert(key.to_string(), volume);
    }
    Value::Object(out)
}

fn render_service(name: &ServiceName, (node, file): (Option<&Node>, &ServiceFile), app: &App<'_>, environments: &Environments) -> Value {
    let mut out = Map::new();
    for entry in node.map(Node::entries).unwrap_or_default() {
        if !entry.value.is_null() && !matches!(entry.key.as_str(), "env_file" | "scale") {
            out.insert(entry.key.clone(), entry.value.json());
        }
    }
    let words = |argv: &Option<super::report::Located<Vec<String>>>| argv.as_ref().map_or(Value::Null, |a| json!(a.value));
    out.insert("command".into(), words(&file.command));
    out.insert("entrypoint".into(), words(&file.entrypoint));
    environment(name, file, environments, &mut out);
    out.insert("networks".into(), service_networks(node, file));
    put(&mut out, "depends_on", !file.depends_on.is_empty(), || depends_on(file));
    put(&mut out, "ports", !file.ports.is_empty(), || ports(file));
    put(&mut out, "volumes", out_has_volumes(file), || mounts(file, app));
    put(&mut out, "labels", !file.labels.is_empty(), || json!(file.labels));
    put(&mut out, "expose", !file.expose.is_empty(), || json!(file.expose.iter().map(|p| p.value.to_string()).collect::<Vec<_>>()));
    if let Some(check) = node.and_then(|n| n.get("healthcheck")) {
        out.insert("healthcheck".into(), healthcheck(check, file));
    }
    if let Some(ms) = file.stop_grace_ms {
        out.insert("stop_grace_period".into(), json!(duration::print(ms)));
    }
    scalars(node, file, &mut out);
    if let Some(build) = node.and_then(|n| n.get("build")) {
        out.insert("build".into(), render_build(build, app.project_dir));
    }
    Value::Object(out)
}

fn put(out: &mut Map<String, Value>, key: &str, present: bool, value: impl FnOnce() -> Value) {
    if present {
        out.insert(key.into(), value());
    } else {
        out.remove(key);
    }
}

fn environment(name: &ServiceName, file: &ServiceFile, environments: &Environments, out: &mut Map<String, Value>) {
    let resolved = environments.get(name);
    let mut all: Map<String, Value> = resolved.into_iter().flatten().map(|(k, v)| (k.to_string(), json!(v.reveal()))).collect();
    for (key, _) in &file.environment {
        all.entry(key.value.to_string()).or_insert(Value::Null);
    }
    put(out, "environment", !all.is_empty(), || Value::Object(all));
}

fn service_networks(node: Option<&Node>, file: &ServiceFile) -> Value {
    let given = node.and_then(|n| n.get("networks"));
    match (&file.networks, given.map(|n| &n.value)) {
        (Some(names), Some(Tree::List(_))) if !names.is_empty() => {
            Value::Object(names.iter().map(|n| (n.value.to_string(), Value::Null)).collect())
        }
        (Some(names), Some(Tree::Map(_))) if !names.is_empty() => given.map_or(Value::Null, Node::json),
        _ => json!({ "default": null }),
    }
}

fn depends_on(file: &ServiceFile) -> Value {
    let one = |condition: Condition| match condition {
        Condition::ServiceStarted => "service_started",
        Condition::ServiceHealthy => "service_healthy",
        Condition::ServiceCompletedSuccessfully => "service_completed_successfully",
    };
    let entry = |(name, (d, _)): (&ServiceName, &(crate::spec::Dependency, super::report::Place))| {
        (name.to_string(), json!({ "condition": one(d.condition), "required": d.required }))
    };
    Value::Object(file.depends_on.iter().map(entry).collect())
}

fn ports(file: &ServiceFile) -> Value {
    let one = |p: &crate::spec::PublishedPort| {
        let mut port = json!({ "mode": "ingress", "target": p.port, "protocol": if p.udp { "udp" } else { "tcp" } });
        if p.host_port > 0 {
            port["published"] = json!(p.host_port.to_string());
        }
        if !p.host_ip.is_empty() {
            port["host_ip"] = json!(p.host_ip);
        }
        port
    };
    Value::Array(file.ports.iter().map(|p| one(&p.value)).collect())
}

/// `tmpfs:` is a key of its own in Compose and stays as it was written.
fn out_has_volumes(file: &ServiceFile) -> bool {
    file.mounts.iter().any(|m| !matches!(m.source, SourceFile::Tmpfs(_) | SourceFile::Memory(_)))
}

fn mounts(file: &ServiceFile, app: &App<'_>) -> Value {
    let mut out = Vec::new();
    for mount in &file.mounts {
        let mut json = match &mount.source {
            SourceFile::Volume(name) => json!({ "type": "volume", "source": name.as_str(), "volume": {} }),
            SourceFile::Anonymous => json!({ "type": "volume", "volume": {} }),
            SourceFile::Bind(source) => {
                json!({ "type": "bind", "source": path::absolute(app.project_dir, source), "bind": { "create_host_path": true } })
            }
            SourceFile::Tmpfs(_) | SourceFile::Memory(_) => continue,
        };
        json["target"] = json!(mount.target);
        if mount.read_only {
            json["read_only"] = json!(true);
        }
        out.push(json);
    }
    Value::Array(out)
}

fn healthcheck(node: &Node, file: &ServiceFile) -> Value {
    let mut out = node.json();
    let HealthFile::Given(check, _) = &file.healthcheck else { return out };
    out["test"] = match &check.test {
        HealthTest::Exec { argv } => json!(std::iter::once("CMD").chain(argv.iter().map(String::as_str)).collect::<Vec<_>>()),
        HealthTest::Shell { script } => json!(["CMD-SHELL", script]),
    };
    for (key, ms) in [("interval", check.interval_ms), ("timeout", check.timeout_ms), ("start_period", check.start_period_ms)] {
        if node.get(key).is_some() {
            out[key] = json!(duration::print(ms));
        }
    }
    if node.get("retries").is_some() {
        out["retries"] = json!(check.retries);
    }
    out
}

/// Numbers as Compose prints them: sizes as text, cores as numbers.
fn scalars(node: Option<&Node>, file: &ServiceFile, out: &mut Map<String, Value>) {
    let given = |key: &str| node.is_some_and(|n| n.get(key).is_some_and(|v| !v.is_null()));
    let cores = |millis: u64| json!(millis as f64 / 1000.0);
    if let Some(memory) = file.limits.memory.as_ref().filter(|_| given("mem_limit")) {
        out.insert("mem_limit".into(), json!(memory.value.to_string()));
    }
    if let Some(cpus) = file.limits.cpus.as_ref().filter(|_| given("cpus")) {
        out.insert("cpus".into(), cores(cpus.value));
    }
    if given("shm_size") {
        out.insert("shm_size".into(), json!(file.shm_bytes.to_string()));
    }
    if let Some(limits) =
        out.get_mut("deploy").and_then(|d| d.get_mut("resources")).and_then(|r| r.get_mut("limits")).filter(|l| l.is_object())
    {
        for (key, value) in [
            ("memory", file.limits.memory.as_ref().map(|m| json!(m.value.to_string()))),
            ("cpus", file.limits.cpus.as_ref().map(|c| cores(c.value))),
            ("pids", file.limits.pids.as_ref().map(|p| json!(p.value))),
        ] {
            if let (true, Some(value)) = (limits.get(key).is_some(), value) {
                limits[key] = value;
            }
        }
    }
}

fn render_build(node: &Node, project_dir: &str) -> Value {
    let mut out = match &node.value {
        Tree::Scalar(context) => json!({ "context": context.text }),
        _ => node.json(),
    };
    let context = out.get("context").and_then(Value::as_str).unwrap_or(".").to_owned();
    if let Value::Object(map) = &mut out {
        if !context.contains("://") && !context.starts_with("git@") {
            map.insert("context".into(), json!(path::absolute(project_dir, &context)));
        }
        if !map.contains_key("dockerfile_inline") {
            map.entry("dockerfile").or_insert(json!("Dockerfile"));
        }
    }
    out
}
