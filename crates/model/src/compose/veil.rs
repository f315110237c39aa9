//! Secrets in the text of a project: marked where they are put in, allowed where they stay references, and refused elsewhere.
//!
//! A project with values of secrets at hand is compiled twice. The first time with the values, so that everything that can be wrong with them is
//! found; the second with a mark in the place of each, and that is what becomes the spec and what `config` prints. A secret nobody here knows is
//! marked both times: the server has it, or refuses the release.

use super::attached::Sort;
use super::check::App;
use super::contract::{self, Environments};
use super::interpolate::Variables;
use super::landfall::{self, EnvRule};
use super::node::{Entry, Node, Value};
use super::report::Report;
use crate::name::{EnvKey, SecretName};
use crate::secret::{Need, SecretRef, SecretValue, mark, marked, only_marked, unmarked};
use crate::spec::EnvValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Secrets of the contract, and the values that are known here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    pub(crate) names: BTreeSet<SecretName>,
    pub(crate) given: BTreeMap<SecretName, SecretValue>,
}

impl Secrets {
    /// Marks the variables the contract calls secret, all of them or those without a value.
    pub(crate) fn find<'a>(documents: impl Iterator<Item = &'a Node>, all: bool, variables: &mut Variables) -> Self {
        let mut out = Self { names: documents.flat_map(landfall::secret_names).collect(), ..Self::default() };
        let values = Arc::make_mut(&mut variables.values);
        for name in &out.names {
            let slot = values.entry(name.to_string()).or_default();
            if !slot.is_empty() {
                out.given.insert(name.clone(), SecretValue::new(slot.as_str()));
            }
            if all || slot.is_empty() {
                *slot = mark(name);
            }
        }
        out
    }

    /// Makes references of what services are given literally under the name of a secret.
    pub(crate) fn hide(&mut self, environments: &mut Environments) {
        for (service, environment) in environments {
            for (key, value) in environment.iter_mut().filter(|(_, v)| v.parts().is_empty() && !v.reveal().is_empty()) {
                let Some(name) = key.as_str().parse::<SecretName>().ok().filter(|n| self.names.contains(n)) else { continue };
                let literal = SecretValue::new(value.reveal());
                // Two services may each have their own; the second gets a name that says whose it is.
                let own = format!("{name}.{service}").parse::<SecretName>();
                let name = if self.given.get(&name).is_none_or(|known| *known == literal) { name } else { own.unwrap_or(name) };
                *value = EnvValue::marked(&mark(&name));
                self.given.insert(name, literal);
            }
        }
    }
}

/// What the server must have.
pub(crate) fn needs(
    rules: &[EnvRule],
    app: &App<'_>,
    (variables, environments): (&Variables, &Environments),
) -> BTreeMap<SecretName, Need> {
    let of_rule = |rule: &EnvRule| {
        let required = rule.required || contract::is_wanted(rule, variables, environments);
        let min_length = rule.min_length.as_ref().map_or(0, |m| m.value);
        Some((rule.name.value.as_str().parse::<SecretName>().ok()?, Need { required, min_length }))
    };
    let mut out: BTreeMap<SecretName, Need> = rules.iter().filter(|r| r.secret).filter_map(of_rule).collect();
    let used = app.enabled.values().flat_map(|s| &s.files).filter(|f| f.sort() == Sort::Secret);
    for name in used.filter_map(|file| app.file.declared.get(&(Sort::Secret, file.source().to_owned()))?.secret(file.source())) {
        out.entry(name).or_insert(Need { required: true, min_length: 0 });
    }
    out
}

/// A reference to the secret of that name.
pub(crate) fn reference(name: &SecretName) -> SecretRef {
    SecretRef { name: name.clone(), version: 0 }
}

/// Programs that say a secret's value.
pub(crate) fn sources(rules: &[EnvRule]) -> BTreeMap<SecretName, Vec<String>> {
    rules.iter().filter_map(|rule| Some((rule.name.value.as_str().parse().ok()?, rule.from.clone()?))).collect()
}

/// Whether a variable of the contract is a secret whose value is not known here.
pub(crate) fn is_elsewhere(name: &EnvKey, variables: &Variables) -> bool {
    variables.values.get(name.as_str()).is_some_and(|value| !marked(value).is_empty())
}

/// Complains about secrets that would end up in the spec, in an argument or in an image.
pub(crate) fn check(root: &Node, report: &mut Report) {
    for entry in root.entries().iter().filter(|e| !matches!(e.key.as_str(), "secrets" | "configs") && is_read(&e.key)) {
        if entry.key != "services" {
            walk(&entry.value, &entry.key, report);
            continue;
        }
        for service in entry.value.entries() {
            for key in service.value.entries().iter().filter(|e| e.key != "environment" && is_read(&e.key)) {
                walk(&key.value, &format!("services.{}.{}", service.key, key.key), report);
            }
        }
    }
}

/// What nobody reads may hold anything.
fn is_read(key: &str) -> bool {
    !key.starts_with("x-") || key == "x-landfall"
}

/// `secret` of a route's `jwt` stays a reference too: the agent puts the value into the proxy's table.
fn is_token_key(path: &str, entry: &Entry) -> bool {
    let whole = || entry.value.scalar().is_some_and(|scalar| only_marked(&scalar.text).is_some());
    entry.key == "secret" && path.contains("x-landfall.") && path.ends_with(".jwt") && whole()
}

fn walk(node: &Node, path: &str, report: &mut Report) {
    match &node.value {
        // Alerts are for later, and will keep the addresses of their channels as references.
        Value::Map(entries) => {
            let later = |e: &&Entry| path == "x-landfall" && e.key == "alerts";
            let entries = entries.iter().filter(|e| !later(e) && !is_token_key(path, e));
            entries.for_each(|e| walk(&e.value, &format!("{path}.{}", e.key), report));
        }
        Value::List(items) => items.iter().for_each(|item| walk(item, path, report)),
        Value::Scalar(scalar) => {
            if let Some(name) = marked(&scalar.text).first() {
                report
                    .error("secret-misplaced", node.place, format!("`{}` would hold the secret `{name}` for everybody to see", super::yaml::shorten(path)))
                    .hint(format!("a secret goes into `environment`, or into a file by `secrets`; a command can read it there: `\"$${name}\"` in `sh -c`"));
            }
        }
    }
}

/// Shows names in place of marks.
pub(crate) fn unveil(node: &mut Node) {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().for_each(|e| unveil(&mut e.value)),
        Value::List(items) => items.iter_mut().for_each(unveil),
        Value::Scalar(scalar) => {
            if let Some(shown) = unmarked(&scalar.text) {
                scalar.text = shown;
            }
        }
    }
}
