//! The typed Compose file: every key of the top level read, nothing decided yet. Defaults and cross-references are `resolve`'s and `check`'s.

use super::attached::{self, Declared, Sort};
use super::container::named_values;
use super::landfall::{LandfallFile, misplaced};
use super::node::{Entry, Node};
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use super::service::{self, ServiceFile};
use crate::name::{NetworkName, ServiceName, VolumeName};
use crate::spec::{Network, RuntimeKind, Subnet, Volume};
use std::collections::BTreeMap;

/// Most services of one app.
const MAX_SERVICES: usize = 500;

/// A whole file.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) name: Option<Located<String>>,
    pub(crate) services: BTreeMap<ServiceName, ServiceFile>,
    /// Their `external_name` is empty when the file gives none.
    pub(crate) networks: BTreeMap<NetworkName, Network>,
    /// Likewise.
    pub(crate) volumes: BTreeMap<VolumeName, Volume>,
    /// Secrets and configs.
    pub(crate) declared: Declared,
    pub(crate) landfall: LandfallFile,
}

/// Reads the merged tree, and services that take no part.
pub(crate) fn read(root: &Node, disabled: &[Entry], report: &mut Report) -> File {
    let mut file = File::default();
    let Some(mut fields) = Fields::open(&Field::root(root), report) else { return file };
    for sort in [Sort::Secret, Sort::Config] {
        if let Some(field) = fields.take(sort.key()) {
            attached::declared(&field, sort, &mut file.declared, report);
        }
    }
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
    fields.know(["models"]);
    fields.finish_with(report, |key| misplaced("", key));
    let runtime = file.landfall.runtime.as_ref().map_or(RuntimeKind::Docker, |r| r.value);
    super::support::check(root, runtime, report);
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

fn networks(field: &Field<'_>, report: &mut Report) -> BTreeMap<NetworkName, Network> {
    let mut out = BTreeMap::new();
    let Some(all) = Fields::open(field, report) else { return out };
    for (key, entry) in all.all() {
        let text = Located::new(key.to_owned(), entry.key_place);
        let Some(name) = named::<NetworkName>(&text, "bad-name", report) else { continue };
        let mut network = Network::default();
        if !entry.node.is_null() {
            let Some(mut fields) = Fields::open(entry, report) else { continue };
            network.external_name = engine_name(&mut fields, report).unwrap_or_default();
            network.external = external(&mut fields, &mut network.external_name, report);
            let mut flag = |key: &'static str| fields.take(key).and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
            (network.internal, network.attachable, network.ipv6) = (flag("internal"), flag("attachable"), flag("enable_ipv6"));
            network.options = named_values(fields.take("driver_opts"), report);
            network.labels = named_values(fields.take("labels"), report);
            if let Some(ipam) = fields.take("ipam") {
                addresses(&ipam, &mut network, report);
            }
            bridge(&mut fields, report);
            fields.know(["enable_ipv4"]);
            fields.finish(report);
        }
        out.insert(name.value, network);
    }
    out
}

/// Who hands out a network's addresses, and which.
fn addresses(field: &Field<'_>, network: &mut Network, report: &mut Report) {
    let Some(mut fields) = Fields::open(field, report) else { return };
    network.ipam_driver =
        fields.take("driver").and_then(|f| f.text(report)).map(|t| t.value).filter(|d| d != "default").unwrap_or_default();
    network.ipam_options = named_values(fields.take("options"), report);
    for item in fields.take("config").and_then(|f| f.items("a list of subnets", report)).unwrap_or_default() {
        let Some(mut one) = Fields::open(&item, report) else { continue };
        let mut text = |key: &'static str| one.take(key).and_then(|f| f.text(report)).map(|t| t.value).unwrap_or_default();
        let (subnet, range, gateway) = (text("subnet"), text("ip_range"), text("gateway"));
        let reserved = named_values(one.take("aux_addresses"), report);
        one.finish(report);
        network.subnets.push(Subnet { subnet, range, gateway, reserved });
    }
    fields.finish(report);
}

fn volumes(field: &Field<'_>, report: &mut Report) -> BTreeMap<VolumeName, Volume> {
    let mut out = BTreeMap::new();
    let Some(all) = Fields::open(field, report) else { return out };
    for (key, entry) in all.all() {
        let text = Located::new(key.to_owned(), entry.key_place);
        let Some(name) = named::<VolumeName>(&text, "bad-name", report) else { continue };
        let mut volume = Volume::default();
        if !entry.node.is_null() {
            let Some(mut fields) = Fields::open(entry, report) else { continue };
            volume.external_name = engine_name(&mut fields, report).unwrap_or_default();
            volume.external = external(&mut fields, &mut volume.external_name, report);
            volume.driver =
                fields.take("driver").and_then(|f| f.text(report)).map(|t| t.value).filter(|d| d != "local").unwrap_or_default();
            volume.options = named_values(fields.take("driver_opts"), report);
            volume.labels = named_values(fields.take("labels"), report);
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
fn external(fields: &mut Fields<'_>, name: &mut String, report: &mut Report) -> bool {
    let Some(field) = fields.take("external") else { return false };
    if field.node.scalar().is_some() {
        return field.boolean(report).is_some_and(|b| b.value);
    }
    if let Some(mut inner) = Fields::open(&field, report) {
        if let Some(old) = engine_name(&mut inner, report) {
            *name = old;
        }
        inner.finish(report);
    }
    true
}

/// Names are answered on the gateway of a bridge, so every network is one.
fn bridge(fields: &mut Fields<'_>, report: &mut Report) {
    let Some(field) = fields.take("driver") else { return };
    if !field.node.scalar().is_some_and(|s| matches!(s.text.as_str(), "bridge" | "default")) {
        let message = format!("`{}` is refused: the only driver of networks is `bridge`", field.path);
        report
            .error("refused", field.place(), message)
            .hint("remove the key, or create the network by hand and declare it `external: true`");
    }
}
