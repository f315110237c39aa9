//! `extends`: a service begins as a copy of another, of the same file or another one.
//!
//! A file that is extended is read once per directory its paths are made relative to, made canonical, and its paths rebased to it, but not checked:
//! the merged service is. What the extending document resets is taken out of the copy first. A chain of services may cross files.

use super::{File, Loader, MAX_CHAIN, MAX_COPIED, Scope, reset};
use crate::compose::node::{Kind, Node, Value};
use crate::compose::report::Place;
use crate::compose::yaml::{Mark, shorten};
use crate::compose::{merge, path, paths};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file that is extended.
pub(super) struct Base {
    services: Node,
}

/// Services that may be extended: those of a file, and what became of those that extend others.
struct Services<'a> {
    written: BTreeMap<&'a str, &'a Node>,
    /// The file they are written in, as people know it.
    file: String,
    /// The file whose `extends` is being followed, which is what Compose tells circles by.
    origin: String,
    done: BTreeMap<String, Option<Node>>,
    /// Finished ones are kept: all of them are wanted, not only the few of another file.
    keep: bool,
}

fn by_name(services: &Node) -> BTreeMap<&str, &Node> {
    services.entries().iter().map(|e| (e.key.as_str(), &e.value)).collect()
}

impl Loader<'_> {
    /// Follows every `extends` of a document.
    pub(super) fn extends(&mut self, root: &mut Node, marks: &[Mark], scope: &mut Scope, file: &str) {
        let Some(services) = root.get("services") else { return };
        if !matches!(services.value, Value::Map(_)) {
            let message = format!("`services` must be a mapping of names to services, found {}", services.describe());
            self.report.error("wrong-type", services.place, message).hint("write `services:` and under it one entry per program");
            return;
        }
        if !services.entries().iter().any(|e| e.value.get("extends").is_some()) {
            return;
        }
        let services = services.clone();
        let mut all =
            Services { written: by_name(&services), file: self.shown(file), origin: file.to_owned(), done: BTreeMap::new(), keep: true };
        for slot in root.get_mut("services").and_then(Node::entries_mut).into_iter().flatten() {
            if let Some(service) = self.service(&slot.key, &mut all, scope, (&mut Vec::new(), marks)) {
                slot.value = service;
            }
        }
    }

    /// The service complete with what it extends; `None` when it is none, or after a complaint.
    fn service(
        &mut self,
        name: &str,
        services: &mut Services<'_>,
        scope: &mut Scope,
        (chain, marks): (&mut Vec<(String, String)>, &[Mark]),
    ) -> Option<Node> {
        if let Some(done) = services.done.get(name) {
            return done.clone();
        }
        let written = services.written.get(name).copied()?;
        let Some(extends) = written.get("extends") else { return Some(written.clone()) };
        let service = written.clone();
        let extended = self.extended((name, &service, extends), (services, scope), (chain, marks));
        if services.keep {
            services.done.insert(name.to_owned(), extended.clone().or(Some(service.clone())));
        }
        extended.or(Some(service))
    }

    fn extended(
        &mut self,
        (name, service, extends): (&str, &Node, &Node),
        (services, scope): (&mut Services<'_>, &mut Scope),
        (chain, marks): (&mut Vec<(String, String)>, &[Mark]),
    ) -> Option<Node> {
        if self.copied > MAX_COPIED {
            return None;
        }
        let (wanted, file) = self.reference(extends)?;
        if chain.len() >= MAX_CHAIN {
            self.too_long(extends.place);
            return None;
        }
        let wanted_name = wanted.scalar().map(|s| s.text.clone()).unwrap_or_default();
        let file_name = file.as_ref().and_then(|f| f.scalar()).map(|s| s.text.clone()).unwrap_or_default();
        let from = match &file {
            Some(file) => Some(self.base((&file_name, file.place), scope)?),
            None => None,
        };
        let mut base = match (&file, &from) {
            (Some(file), Some(from)) => {
                let shown = self.report.written(file.place, &file_name);
                if from.services.entry(&wanted_name).is_none() {
                    self.unknown(&wanted_name, wanted.place, (&by_name(&from.services), &shown));
                    return None;
                }
                self.enter(&file_name, name, chain, extends.place)?;
                let mut others = Services {
                    written: by_name(&from.services),
                    file: file_name,
                    origin: services.origin.clone(),
                    done: BTreeMap::new(),
                    keep: false,
                };
                self.service(&wanted_name, &mut others, scope, (chain, marks))?
            }
            _ => {
                if !services.written.contains_key(wanted_name.as_str()) {
                    let file = services.file.clone();
                    self.unknown(&wanted_name, wanted.place, (&services.written, &file));
                    return None;
                }
                let origin = services.origin.clone();
                self.enter(&origin, name, chain, extends.place)?;
                self.service(&wanted_name, services, scope, (chain, marks))?
            }
        };
        chain.pop();
        if base.is_null() || !self.may_copy(&base, extends.place) {
            return None;
        }
        reset::apply_to_service(&mut base, name, marks);
        let mut merged = merge::extend(base, service.clone(), self.report);
        merged.remove("extends");
        Some(merged)
    }

    /// Notes that the chain comes through a service; `None` when it was there before.
    fn enter(&mut self, file: &str, name: &str, chain: &mut Vec<(String, String)>, place: Place) -> Option<()> {
        let here = (file.to_owned(), name.to_owned());
        if chain.contains(&here) {
            let names: Vec<String> = chain.iter().chain([&here]).map(|(_, name)| format!("`{}`", shorten(name))).collect();
            self.report
                .error("extends-cycle", place, format!("services extend each other in a circle: {}", names.join(" → ")))
                .hint("move what they share into a service that extends nothing");
            return None;
        }
        chain.push(here);
        Some(())
    }

    /// The service and the file `extends` names.
    fn reference(&mut self, extends: &Node) -> Option<(Node, Option<Node>)> {
        let is_text = |node: &Node| node.scalar().is_some_and(|s| s.kind == Kind::Text);
        let file = extends.get("file").filter(|f| !f.is_null());
        let service = if is_text(extends) { Some(extends) } else { extends.get("service") };
        match service.filter(|s| is_text(s) && file.is_none_or(is_text)) {
            Some(service) if service.scalar().is_some_and(|s| s.spoiled) => None,
            Some(service) => Some((service.clone(), file.cloned())),
            None => {
                self.report
                    .error("wrong-type", extends.place, "`extends` must name a service, and may name a file")
                    .hint("write `extends: name`, or `extends: { file: other.yaml, service: name }`");
                None
            }
        }
    }

    fn unknown(&mut self, wanted: &str, place: Place, (services, file): (&BTreeMap<&str, &Node>, &str)) {
        let shown = self.report.written(place, wanted);
        let near = crate::compose::suggest::did_you_mean(wanted, services.keys().copied());
        self.report
            .error("unknown-service", place, format!("`extends` wants the service `{shown}`, and there is none in `{}`", shorten(file)))
            .hint(near.unwrap_or_else(|| "name a service of that file".into()));
    }

    /// The services of another file, with its paths made relative to where this file's are.
    fn base(&mut self, (name, place): (&str, Place), scope: &mut Scope) -> Option<Arc<Base>> {
        if self.is_remote(name, place) {
            return None;
        }
        let local = path::join(&scope.loader_dir, name);
        let dir = self.directory(&scope.loader_dir, name);
        let key = (local, dir);
        if let Some(known) = scope.bases.get(&key) {
            return known.clone();
        }
        let base = self.read_base(&key, place, scope).map(Arc::new);
        scope.bases.insert(key, base.clone());
        base
    }

    fn read_base(&mut self, (local, dir): &(String, String), place: Place, scope: &mut Scope) -> Option<Base> {
        let disk = self.on_disk(local);
        let shown = self.shown(&disk);
        let documents = self.documents((&disk, &disk), &shown, Some(place))?;
        let file = File { path: disk, documents };
        let mut dict = Node::map(Place::default(), Vec::new());
        for document in file.documents {
            dict = self.base_document(document, dict, scope);
        }
        let home = self.input.env.get("HOME").map(String::as_str);
        paths::resolve(&mut dict, dir, home);
        match dict.remove("services").map(|e| e.value) {
            Some(services) if matches!(services.value, Value::Map(_)) => Some(Base { services }),
            _ => {
                self.report
                    .error("unknown-service", place, format!("`{}` has no `services`, so that none can be extended", shorten(&shown)))
                    .hint("name a file that has the service");
                None
            }
        }
    }

    /// The directory of a file, from `base` when there is a way.
    pub(super) fn directory(&self, base: &str, name: &str) -> String {
        let whole = path::join(base, name);
        let dir = if self.is_directory(&whole) { whole } else { path::join(base, &path::parent(name)) };
        path::relative(base, &dir).unwrap_or(dir)
    }

    pub(super) fn is_directory(&self, name: &str) -> bool {
        let disk = self.on_disk(name);
        self.input.reader.exists(&disk) && self.input.reader.read(&disk) == Err(crate::compose::FileProblem::Directory)
    }
}
