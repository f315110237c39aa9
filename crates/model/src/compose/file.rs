//! The typed Compose file: every key of the top level read, nothing decided yet. Defaults and cross-references are `resolve`'s and `check`'s.

use super::landfall::{LandfallFile, misplaced};
use super::node::{Entry, Node};
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use super::service::{self, ServiceFile};
use crate::name::{NetworkName, ServiceName, VolumeName};
use std::collections::BTreeMap;

/// Most services of one app.
const MAX_SERVICES: usize = 500;

/// A whole file.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) name: Option<Located<String>>,
    pub(crate) services: BTreeMap<ServiceName, ServiceFile>,
    pub(crate) networks: BTreeMap<NetworkName, NetworkFile>,
    pub(crate) volumes: BTreeMap<VolumeName, VolumeFile>,
    pub(crate) landfall: LandfallFile,
}

/// An entry of `networks:`.
#[derive(Debug, Clone)]
pub(crate) struct NetworkFile {
    pub(crate) name: Option<String>,
    pub(crate) external: bool,
    pub(crate) internal: bool,
}

/// An entry of `volumes:`.
#[derive(Debug, Clone)]
pub(crate) struct VolumeFile {
    pub(crate) name: Option<String>,
    pub(crate) external: bool,
}

/// Reads the merged tree, and services that take no part.
pub(crate) fn read(root: &Node, disabled: &[Entry], report: &mut Report) -> File {
    let mut file = File::default();
    let Some(mut fields) = Fields::open(&Field::root(root), report) else { return file };
    if let Some(field) = fields.take("models") {
        report.error("not-honoured", field.key_place, "`models` is not honoured yet").hint("run the model as a service of its own");
    }
    // What services do with them is warned about there.
    fields.know(["secrets", "configs"]);
    file.name = fields.take("name").and_then(|f| f.text(report));
    file.landfall = fields.take("x-landfall").map(|f| super::landfall::read(&f, report)).unwrap_or_default();
    file.networks = fields.take("networks").map(|f| networks(&f, report)).unwrap_or_default();
    file.volumes = fields.take("volumes").map(|f| volumes(&f, report)).unwrap_or_default();
    match fields.take("services") {
        Some(field) => file.services = services(&field, disabled, report),
        None => report
            .error("no-services", root.place, "the file has no `services`")
            .hint("write `services:` and under it one entry per program"),
    }
    fields.finish_with(report, |key| misplaced("", key));
    file
}

fn services(field: &Field<'_>, disabled: &[Entry], report: &mut Report) -> BTreeMap<ServiceName, ServiceFile> {
    let mut out = BTreeMap::new();
    let Some(fields) = Fields::open(field, report) else { return out };
    if fields.all().count() > MAX_SERVICES {
        report.error("too-large", field.key_place, format!("more than {MAX_SERVICES} services")).hint("split the app");
        return out;
    }
    let idle = disabled.iter().map(|e| {
        let path = super::reader::join(&field.path, &e.key);
        (e.key.as_str(), Field { node: &e.value, key_place: e.key_place, path })
    });
    for (key, entry) in fields.all().map(|(key, field)| (key, field.clone())).chain(idle) {
        let text = Located::new(key.to_owned(), entry.key_place);
        let Some(name) = named::<ServiceName>(&text, "bad-name", report) else { continue };
        if let Some(service) = service::read(&entry, report) {
            out.insert(name.value, service);
        }
    }
    // The engine's names are told apart without case by the DNS that answers them.
    let mut lower: BTreeMap<String, &ServiceName> = BTreeMap::new();
    for name in out.keys() {
        if let Some(other) = lower.insert(name.as_str().to_ascii_lowercase(), name) {
            let place = out.get(name).map_or(field.key_place, |s| s.place);
            report
                .error("name-collision", place, format!("`{name}` and `{other}` are one name for DNS, which knows no case"))
                .hint("rename one");
        }
    }
    out
}

fn networks(field: &Field<'_>, report: &mut Report) -> BTreeMap<NetworkName, NetworkFile> {
    let mut out = BTreeMap::new();
    let Some(all) = Fields::open(field, report) else { return out };
    for (key, entry) in all.all() {
        let text = Located::new(key.to_owned(), entry.key_place);
        let Some(name) = named::<NetworkName>(&text, "bad-name", report) else { continue };
        let mut network = NetworkFile { name: None, external: false, internal: false };
        if !entry.node.is_null() {
            let Some(mut fields) = Fields::open(entry, report) else { continue };
            network.name = engine_name(&mut fields, report);
            network.external = external(&mut fields, &mut network.name, report);
            network.internal = fields.take("internal").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
            driver(&mut fields, &["bridge", "default"], "networks", report);
            fields.later(&["ipam", "attachable", "enable_ipv4", "enable_ipv6", "labels", "driver_opts"], report);
            fields.finish(report);
        }
        out.insert(name.value, network);
    }
    out
}

fn volumes(field: &Field<'_>, report: &mut Report) -> BTreeMap<VolumeName, VolumeFile> {
    let mut out = BTreeMap::new();
    let Some(all) = Fields::open(field, report) else { return out };
    for (key, entry) in all.all() {
        let text = Located::new(key.to_owned(), entry.key_place);
        let Some(name) = named::<VolumeName>(&text, "bad-name", report) else { continue };
        let mut volume = VolumeFile { name: None, external: false };
        if !entry.node.is_null() {
            let Some(mut fields) = Fields::open(entry, report) else { continue };
            volume.name = engine_name(&mut fields, report);
            volume.external = external(&mut fields, &mut volume.name, report);
            driver(&mut fields, &["local"], "volumes", report);
            if let Some(opts) = fields.take("driver_opts").filter(|f| !f.node.entries().is_empty()) {
                let message = format!("`{}` is not honoured yet: the data would be kept somewhere else than the file says", opts.path);
                report.error("not-honoured", opts.key_place, message).hint("create the volume by hand and declare it `external: true`");
            }
            fields.later(&["labels"], report);
            fields.finish(report);
        }
        out.insert(name.value, volume);
    }
    out
}

/// The name the engine knows it by. The same rule as for the keys: it becomes an argument and a path element.
fn engine_name(fields: &mut Fields<'_>, report: &mut Report) -> Option<String> {
    fields.take("name").and_then(|f| f.name::<VolumeName>("bad-name", report)).map(|n| n.value.to_string())
}

/// `external: true`, or the old `external: { name: … }`.
fn external(fields: &mut Fields<'_>, name: &mut Option<String>, report: &mut Report) -> bool {
    let Some(field) = fields.take("external") else { return false };
    if field.node.scalar().is_some() {
        return field.boolean(report).is_some_and(|b| b.value);
    }
    if let Some(mut inner) = Fields::open(&field, report) {
        if let Some(old) = engine_name(&mut inner, report) {
            *name = Some(old);
        }
        inner.finish(report);
    }
    true
}

fn driver(fields: &mut Fields<'_>, good: &[&str], kind: &str, report: &mut Report) {
    let Some(field) = fields.take("driver") else { return };
    if !field.node.scalar().is_some_and(|s| good.contains(&s.text.as_str())) {
        let message = format!("`{}` is not honoured: the only driver of {kind} is `{}`", field.path, good.first().unwrap_or(&""));
        report.error("not-honoured", field.place(), message).hint("remove the key, or create it by hand and declare it `external: true`");
    }
}
