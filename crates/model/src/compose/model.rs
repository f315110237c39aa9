//! The resolved project: what Docker Compose would work with, and what of it is printed.

use super::interpolate::Variables;
use super::node::{Entry, Node};
use super::print;
use super::report::Place;

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

    /// The variables the files were interpolated with.
    pub fn variables(&self) -> &std::collections::BTreeMap<String, String> {
        &self.variables.values
    }
}
