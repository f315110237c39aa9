//! The short answers of `docker compose config`: names, one per line.

use super::super::model::Model;
use super::super::node::Node;
use super::used;
use std::collections::{BTreeMap, BTreeSet};

/// Most dependencies followed one into the other; a cycle has been refused before.
const MAX_CHAIN: usize = 1000;

/// Services, each after those it depends on.
pub(crate) fn services(model: &Model) -> Vec<String> {
    let all = model.root.get("services").map(Node::entries).unwrap_or_default();
    let needs = |service: &Node| {
        let mut names: Vec<String> =
            service.get("depends_on").map(Node::entries).unwrap_or_default().iter().map(|e| e.key.clone()).collect();
        names.sort();
        names
    };
    let mut order = Order { needs: all.iter().map(|e| (e.key.clone(), needs(&e.value))).collect(), met: BTreeSet::new(), out: Vec::new() };
    let names: Vec<String> = order.needs.keys().cloned().collect();
    names.iter().for_each(|name| order.visit(name, MAX_CHAIN));
    order.out
}

struct Order {
    needs: BTreeMap<String, Vec<String>>,
    met: BTreeSet<String>,
    out: Vec<String>,
}

impl Order {
    fn visit(&mut self, name: &str, left: usize) {
        let Some(needs) = self.needs.get(name).cloned().filter(|_| left > 0) else { return };
        if !self.met.insert(name.to_owned()) {
            return;
        }
        needs.iter().for_each(|need| self.visit(need, left - 1));
        self.out.push(name.to_owned());
    }
}

/// Keys of the volumes that services use.
pub(crate) fn volumes(model: &Model) -> Vec<String> {
    let root = used(&model.root);
    let mut names: Vec<String> = root.get("volumes").map(Node::entries).unwrap_or_default().iter().map(|e| e.key.clone()).collect();
    names.sort();
    names
}

/// Images in the order of the services' names; one that is built and has no name is called after app and service.
pub(crate) fn images(model: &Model) -> Vec<String> {
    let all = model.root.get("services").map(Node::entries).unwrap_or_default();
    let mut images: Vec<(&str, String)> = all
        .iter()
        .map(|e| {
            let given = e.value.get("image").and_then(Node::scalar).map(|s| s.text.clone()).filter(|t| !t.is_empty());
            (e.key.as_str(), given.unwrap_or_else(|| format!("{}-{}", model.name, e.key)))
        })
        .collect();
    images.sort();
    images.into_iter().map(|(_, image)| image).collect()
}

/// Every profile of every service, enabled or not.
pub(crate) fn profiles(model: &Model) -> Vec<String> {
    let enabled = model.root.get("services").map(Node::entries).unwrap_or_default();
    let of = |service: &Node| {
        service
            .get("profiles")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|p| p.scalar().map(|s| s.text.clone()))
            .collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = enabled.iter().chain(&model.disabled).flat_map(|e| of(&e.value)).collect();
    all.into_iter().collect()
}
