//! `x-landfall.environments`: named variants of the app, each with a server, domains and values of its own.
//!
//! The chosen one takes part before anything is interpolated: its values win over `.env` and give way to the process environment, and its name is
//! part of the project's, so that names of volumes and networks made from it differ between environments.

use super::Input;
use super::interpolate::Variables;
use super::landfall::domain;
use super::node::Node;
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use crate::name::{Domain, EnvironmentName};
use crate::secret::{Environment, Environments};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most environments of one app.
const MAX: usize = 50;

/// As declared.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnvironmentFile {
    pub(crate) shown: Environment,
    pub(crate) domains: Option<Vec<Located<Domain>>>,
}

/// By name.
pub(crate) type Declared = BTreeMap<EnvironmentName, EnvironmentFile>;

/// Reads `environments`.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Declared {
    let mut out = Declared::new();
    for (key, entry) in Fields::open(field, report).iter().flat_map(Fields::all) {
        if out.len() >= MAX {
            report.error("too-large", entry.key_place, format!("more than {MAX} environments")).hint("split the app");
            break;
        }
        let text = Located::new(key.to_owned(), entry.key_place);
        let Some(name) = named::<EnvironmentName>(&text, "bad-name", report) else { continue };
        out.insert(name.value, one(entry, report));
    }
    out
}

fn one(entry: &Field<'_>, report: &mut Report) -> EnvironmentFile {
    let mut out = EnvironmentFile::default();
    if entry.node.is_null() {
        return out;
    }
    let Some(mut fields) = Fields::open(entry, report) else { return out };
    let server = fields.take("server").and_then(|f| f.parsed(report, "`ssh://[user@]host[:port]`", |text| text.parse().ok()));
    out.shown.server = server.map(|server| server.value);
    out.shown.approve = fields.take("approve").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    out.domains = fields
        .take("domains")
        .map(|f| super::landfall::one_or_more(&f, report))
        .map(|items| items.iter().filter_map(|item| domain(item, report)).collect());
    // What they are was taken before the file was interpolated.
    if let Some(values) = fields.take("values").and_then(|f| Fields::open(&f, report)) {
        for (_, value) in values.all() {
            value.loose_text(report);
        }
    }
    fields.finish(report);
    out
}

/// What the command line needs to know of them.
pub(crate) fn shown(declared: &Declared) -> Environments {
    declared.iter().map(|(name, file)| (name.clone(), file.shown.clone())).collect()
}

/// Puts the values of the chosen environment among the variables.
pub(crate) fn apply<'a>(input: &Input<'_>, documents: impl Iterator<Item = &'a Node>, variables: &mut Variables, report: &mut Report) {
    let Some(chosen) = input.environment else { return };
    let of = |root: &'a Node| root.get("x-landfall")?.get("environments")?.get(chosen.as_str())?.get("values");
    let values = documents.filter_map(of).flat_map(Node::entries);
    let mut own: Vec<(String, String)> = Vec::new();
    let mut missed = variables.same_values();
    for entry in values.filter(|entry| !input.env.contains_key(&entry.key)) {
        let Some(scalar) = entry.value.scalar() else { continue };
        let text = scalar.canonical();
        let text = if text.contains('$') { missed.expand(&text, entry.value.place, report) } else { Some(text) };
        own.extend(text.map(|text| (entry.key.clone(), text)));
    }
    variables.unset.append(&mut missed.unset);
    Arc::make_mut(&mut variables.values).extend(own);
}
