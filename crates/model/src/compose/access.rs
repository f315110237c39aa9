//! Keys of a service that reach over the container's walls. None of them is an error: whether the service may have what it asks for is decided by
//! the server's owner and said by the agent; here each power is only noted with the place that asks for it.

use super::check::App;
use super::mount::SourceFile;
use super::path;
use super::reader::{Field, Fields, named};
use super::report::{Located, Place, Report};
use super::service::ServiceFile;
use crate::container::{Container, Device, Gpus, Namespace};
use crate::name::ServiceName;
use crate::power::{Power, TLS, USUAL_CAPABILITIES, grant_line, of_volume, takes_walls_away};
use crate::spec::{Network, Spec};
use std::collections::{BTreeMap, BTreeSet};

/// Powers asked for, and where.
pub(crate) type Demands = Vec<(Power, Place)>;

/// Reads them into `out`.
pub(crate) fn read(fields: &mut Fields<'_>, out: &mut Container, report: &mut Report) -> Demands {
    let mut demands = Demands::new();
    let access = &mut out.access;
    if let Some(field) = fields.take("privileged")
        && field.boolean(report).is_some_and(|b| b.value)
    {
        access.privileged = true;
        demands.push((Power::of("privileged", ""), field.key_place));
    }
    for capability in fields.take("cap_add").map(|f| capabilities(&f, report)).unwrap_or_default() {
        if !USUAL_CAPABILITIES.contains(&capability.value.as_str()) {
            demands.push((Power::of("cap", &capability.value), capability.place));
        }
        access.capabilities.insert(capability.value);
    }
    for item in fields.take("devices").and_then(|f| f.items("a list of devices such as `/dev/dri`", report)).unwrap_or_default() {
        let Some(device) = device(&item, report) else { continue };
        demands.push((Power::of("device", &device.source), item.place()));
        access.devices.push(device);
    }
    for rule in fields.take("device_cgroup_rules").and_then(|f| f.texts(report)).unwrap_or_default() {
        demands.push((Power::of("device-rule", &rule.value), rule.place));
        access.device_rules.push(rule.value);
    }
    if let Some(field) = fields.take("gpus") {
        access.gpus = gpus(&field, report);
        demands.extend((!access.gpus.is_empty()).then(|| (Power::of("gpus", ""), field.key_place)));
    }
    namespaces(fields, out, &mut demands, report);
    let access = &mut out.access;
    let mut word = |key: &'static str, kind: &'static str, usual: &[&str]| {
        let field = fields.take(key)?;
        let text = field.text(report).filter(|t| !usual.contains(&t.value.as_str()))?;
        demands.push((Power::of(kind, &text.value), field.place()));
        Some(text.value)
    };
    access.cgroup_parent = word("cgroup_parent", "cgroup-parent", &[]).unwrap_or_default();
    access.runtime = word("runtime", "runtime", &["runc"]).unwrap_or_default();
    for option in fields.take("security_opt").and_then(|f| f.texts(report)).unwrap_or_default() {
        if takes_walls_away(&option.value) {
            demands.push((Power::of("security", &option.value), option.place));
        }
        out.security.push(option.value);
    }
    demands
}

/// Capabilities in upper case, without `CAP_`.
pub(crate) fn capabilities(field: &Field<'_>, report: &mut Report) -> Vec<Located<String>> {
    let upper = |text: Located<String>| {
        text.map(|t| {
            let upper = t.to_ascii_uppercase();
            upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
        })
    };
    field.texts(report).unwrap_or_default().into_iter().map(upper).collect()
}

/// A device of the host, its short form written out.
fn device(item: &Field<'_>, report: &mut Report) -> Option<Device> {
    let mut fields = Fields::open(item, report)?;
    let mut text = |key: &'static str| fields.take(key).and_then(|f| f.text(report)).map(|t| t.value);
    let (source, target, permissions) = (text("source"), text("target"), text("permissions"));
    fields.finish(report);
    let source = source.filter(|s| !s.is_empty())?;
    Some(Device { target: target.unwrap_or_else(|| source.clone()), permissions: permissions.unwrap_or_else(|| "rwm".into()), source })
}

/// `all`, or a list of what is asked for.
pub(crate) fn gpus(field: &Field<'_>, report: &mut Report) -> Vec<Gpus> {
    if field.node.scalar().is_some() {
        let all = field.parsed(report, "`all` or a list", |t| (t == "all").then_some(()));
        return all.map(|_| Gpus { count: -1, capabilities: vec!["gpu".into()], ..Gpus::default() }).into_iter().collect();
    }
    let mut out = Vec::new();
    for item in field.items("a list of devices", report).unwrap_or_default() {
        let Some(mut fields) = Fields::open(&item, report) else { continue };
        let words = |field: Option<Field<'_>>, report: &mut Report| -> Vec<String> {
            field.and_then(|f| f.texts(report)).unwrap_or_default().into_iter().map(|t| t.value).collect()
        };
        let driver = fields.take("driver").and_then(|f| f.text(report)).map(|t| t.value).unwrap_or_default();
        let ids = words(fields.take("device_ids"), report);
        let mut capabilities = words(fields.take("capabilities"), report);
        if capabilities.is_empty() {
            capabilities.push("gpu".into());
        }
        let options = super::container::named_values(fields.take("options"), report);
        let count = fields.take("count").and_then(|f| {
            f.parsed(report, "a number or `all`", |t| if t == "all" { Some(-1) } else { t.parse::<i64>().ok().filter(|n| *n >= -1) })
        });
        let count = count.map_or(if ids.is_empty() { -1 } else { 0 }, |c| c.value);
        fields.finish(report);
        out.push(Gpus { driver, count, ids, capabilities, options });
    }
    out
}

/// Keys whose word `host` shares a namespace with the server.
fn namespaces(fields: &mut Fields<'_>, out: &mut Container, demands: &mut Demands, report: &mut Report) {
    for (key, namespace, own) in [
        ("cgroup", Namespace::Cgroup, &["private"][..]),
        ("ipc", Namespace::Ipc, &["private", "none", "shareable"]),
        ("network_mode", Namespace::Network, &["none", "bridge", "default"]),
        ("pid", Namespace::Pid, &[]),
        ("userns_mode", Namespace::Userns, &[]),
        ("uts", Namespace::Uts, &[]),
    ] {
        let Some(field) = fields.take(key) else { continue };
        let Some(text) = field.text(report) else { continue };
        match (text.value.as_str(), namespace) {
            ("host", _) => {
                out.access.host.insert(namespace);
                demands.push((Power::of("namespace", namespace.as_str()), field.key_place));
            }
            (word, Namespace::Ipc) if own.contains(&word) => out.ipc = word.to_owned(),
            ("private", Namespace::Cgroup) => out.private_cgroup = true,
            ("none", Namespace::Network) => out.access.no_network = true,
            (word, _) if own.contains(&word) => {}
            (word, _) => {
                let of_another = ["service:", "container:"].iter().find_map(|p| word.strip_prefix(p)).is_some();
                let why =
                    if of_another { "replicas come and go, and none can live in another's namespace" } else { "there is no such mode" };
                let mut modes: Vec<&str> = own.to_vec();
                modes.push("host");
                report
                    .error("refused", field.place(), format!("`{}` is refused: {why}", field.path))
                    .hint(format!("remove it; known are {}", super::suggest::one_of(&modes)));
            }
        }
    }
}

/// Warns of every power of a finished spec, where it is asked for.
pub(crate) fn warn(spec: &Spec, app: &App<'_>, report: &mut Report) {
    for (name, powers) in spec.powers() {
        let file = app.enabled.get(&name);
        let tls = app.file.landfall.tls.as_ref().filter(|_| name.as_str() == TLS).map(|tls| tls.place);
        let Some(whole) = tls.or(file.map(|f| f.place)) else { continue };
        let places = file.map(|file| places(file, spec)).unwrap_or_default();
        for power in powers {
            if report.is_full() {
                return;
            }
            let place = places.get(&power).copied().unwrap_or(whole);
            // With a variable in it the value may be a secret.
            let secret = report.written(place, "$") == "$";
            let shown = if secret { format!("{}:…", power.kind()) } else { power.to_string() };
            let line = grant_line(&spec.app, [(&name, vec![shown.clone()])]);
            report
                .warning("needs-grant", place, format!("`{name}` needs `{shown}` from the server's owner: {}", power.reason()))
                .hint(format!("the owner writes into `grants.yaml` in Landfall's home on the server: `{line}`"));
        }
    }
}

/// Where each power of a service is asked for: by a key of its own, by a mount, or by a network.
fn places(file: &ServiceFile, spec: &Spec) -> BTreeMap<Power, Place> {
    let mut out = BTreeMap::new();
    for network in file.networks.iter().flatten().filter(|n| spec.networks.get(&n.value).is_some_and(Network::is_host)) {
        out.insert(Power::of("namespace", Namespace::Network.as_str()), network.place);
    }
    for mount in &file.mounts {
        let power = match &mount.source {
            SourceFile::Bind(source) => Some(Power::of("bind", &path::absolute(&spec.project_dir, source))),
            SourceFile::Volume(volume) => spec.volumes.get(volume).and_then(|v| of_volume(&spec.project_dir, v)),
            _ => None,
        };
        if let (SourceFile::Bind(source), true) = (&mount.source, mount.options.propagation.is_shared()) {
            out.insert(Power::of("propagation", &path::absolute(&spec.project_dir, source)), mount.place);
        }
        out.extend(power.map(|power| (power, mount.place)));
    }
    out.extend(file.demands.iter().cloned());
    out
}

/// Names of the service besides its own: the container's, which others may know it by.
pub(crate) fn container_name(fields: &mut Fields<'_>, report: &mut Report) -> Option<String> {
    fields.take("container_name").and_then(|f| f.text(report)).map(|t| t.value)
}

/// `links`: the service, and the name it is wanted by.
pub(crate) fn links(fields: &mut Fields<'_>, report: &mut Report) -> BTreeSet<(ServiceName, String)> {
    let links = fields.take("links").and_then(|f| f.texts(report)).unwrap_or_default();
    let link = |text: Located<String>| {
        let (service, alias) = text.value.split_once(':')?;
        let service = named::<ServiceName>(&Located::new(service.to_owned(), text.place), "bad-name", report)?;
        Some((service.value, alias.to_owned()))
    };
    links.into_iter().filter_map(link).collect()
}
