//! The resolved project: what Docker Compose would work with, and what of it is printed.

use super::interpolate::Variables;
use super::node::{Entry, Node};
use super::print;
use super::report::Place;
use std::collections::BTreeMap;

/// A project after every stage that Docker Compose has too. Holds every value, secrets too.
#[derive(Debug, Clone)]
pub struct Model {
    /// The app's name.
    pub(crate) name: String,
    /// The canonical tree, with the enabled services only.
    pub(crate) root: Node,
    /// Services of profiles that were not chosen.
    pub(crate) disabled: Vec<Entry>,
    /// The variables put in.
    pub(crate) variables: Variables,
    /// Build arguments without a value of their own, by service: whoever builds has it in the environment.
    pub(crate) passed: BTreeMap<String, Vec<String>>,
    /// Files that `env_file` named, absolute, and where; their variables are in the tree.
    pub(crate) env_files: Vec<(String, Place)>,
}

impl Model {
    /// The project's name, which may be longer than an app's may be.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As a value of JSON, equal to what `docker compose config --format json` prints.
    pub fn json(&self) -> serde_json::Value {
        print::json(self)
    }

    /// The text of `docker compose config --format json`.
    pub fn json_text(&self) -> String {
        print::json_text(self)
    }

    /// The text of `docker compose config`.
    pub fn yaml(&self) -> String {
        print::yaml(self)
    }

    /// `--services`: each after those it depends on.
    pub fn services(&self) -> Vec<String> {
        print::services(self)
    }

    /// `--volumes`
    pub fn volumes(&self) -> Vec<String> {
        print::volumes(self)
    }

    /// `--images`
    pub fn images(&self) -> Vec<String> {
        print::images(self)
    }

    /// `--profiles`
    pub fn profiles(&self) -> Vec<String> {
        print::profiles(self)
    }

    /// `--hash`: services with the digest by which Compose tells whether a container must be made anew.
    pub fn hashes(&self) -> Vec<(String, String)> {
        print::hashes(self)
    }

    /// Build arguments of a service that the file gives no value: they are those of whoever builds.
    pub fn passed_args(&self, service: &str) -> &[String] {
        self.passed.get(service).map_or(&[], Vec::as_slice)
    }

    /// The variables the files were interpolated with.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables.values
    }
}

/// Of a tree in which they have no value yet.
pub(crate) fn passed_args(root: &Node) -> BTreeMap<String, Vec<String>> {
    let of = |service: &Entry| {
        let args = service.value.get("build")?.get("args")?;
        let keys = args.entries().iter().filter(|arg| arg.value.is_null()).map(|arg| arg.key.clone());
        let items = args.items().iter().filter_map(Node::scalar).filter(|item| !item.text.contains('=')).map(|item| item.text.clone());
        let open: Vec<String> = keys.chain(items).collect();
        (!open.is_empty()).then(|| (service.key.clone(), open))
    };
    root.get("services").map(Node::entries).unwrap_or_default().iter().filter_map(of).collect()
}
