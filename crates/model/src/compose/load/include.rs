//! `include`: other projects' files whose services, networks, volumes, secrets and configs become part of this one.
//!
//! Each is a model of its own, with its own directory and its own `.env`, complete and checked before it is taken over. Names that both have are
//! refused unless they say the same.

use super::{File, Loader, MAX_CHAIN, Scope, missing};
use crate::compose::dotenv::{self, Format, Layers};
use crate::compose::node::{Entry, Kind, Node, Value};
use crate::compose::report::Place;
use crate::compose::yaml::shorten;
use crate::compose::{env, path};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One element of `include`.
struct Include {
    /// Where it stands.
    place: Place,
    files: Vec<(String, Place)>,
    project_directory: Option<String>,
    env_files: Vec<(String, Place)>,
}

impl Loader<'_> {
    /// Takes in what a document includes.
    pub(super) fn includes(&mut self, root: &mut Node, scope: &mut Scope) {
        let Some(Entry { value: list, .. }) = root.remove("include") else { return };
        if list.is_null() {
            return;
        }
        let Value::List(items) = &list.value else {
            let message = format!("`include` must be a list, found {}", list.describe());
            self.report.error("wrong-type", list.place, message).hint("write `include: [other.yaml]`");
            return;
        };
        if scope.included.len() >= MAX_CHAIN && !items.is_empty() {
            return self.too_long(list.place);
        }
        for item in items {
            if let Some(include) = self.read_include(item) {
                self.include(include, root, scope);
            }
        }
    }

    fn read_include(&mut self, item: &Node) -> Option<Include> {
        let mut include = Include { place: item.place, files: Vec::new(), project_directory: None, env_files: Vec::new() };
        match &item.value {
            Value::Scalar(_) => include.files = self.texts(item)?,
            Value::Map(_) => {
                if let Some(path) = item.get("path") {
                    include.files = self.texts(path)?;
                }
                if let Some(files) = item.get("env_file") {
                    include.env_files = self.texts(files)?;
                }
                if let Some(dir) = item.get("project_directory") {
                    include.project_directory = self.texts(dir)?.into_iter().next().map(|(dir, _)| dir).filter(|dir| !dir.is_empty());
                }
            }
            Value::List(_) => {
                self.wants_text(item);
                return None;
            }
        }
        Some(include)
    }

    /// A text, or a list of texts; `None` after a complaint.
    fn texts(&mut self, node: &Node) -> Option<Vec<(String, Place)>> {
        if node.is_null() {
            return Some(Vec::new());
        }
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut out = Vec::new();
        for item in items {
            match item.scalar().filter(|s| s.kind == Kind::Text) {
                Some(text) if text.spoiled => return None,
                Some(text) => out.push((text.text.clone(), item.place)),
                None => {
                    self.wants_text(item);
                    return None;
                }
            }
        }
        Some(out)
    }

    fn wants_text(&mut self, node: &Node) {
        self.report
            .error("wrong-type", node.place, format!("`include` wants the path of a file here, found {}", node.describe()))
            .hint("write `include: [other.yaml]`, or `include: [{ path: other.yaml }]`");
    }

    fn include(&mut self, include: Include, root: &mut Node, scope: &mut Scope) {
        let Some((first, place)) = include.files.first().cloned() else {
            // An element that names no file brings nothing in, but what else it names must be there.
            drop(self.include_variables(&include, ".", scope));
            return;
        };
        for (name, place) in &include.files {
            if self.is_remote(name, *place) {
                return;
            }
        }
        let main = path::join(&scope.loader_dir, &first);
        let main_disk = self.on_disk(&main);
        if scope.included.contains(&main_disk) {
            let way: Vec<String> = scope.included.iter().chain([&main_disk]).map(|p| format!("`{}`", shorten(&self.shown(p)))).collect();
            self.report
                .error("include-cycle", place, format!("files include each other in a circle: {}", way.join(" → ")))
                .hint("move what they share into a file that includes nothing");
            return;
        }
        let (working_dir, project_dir) = match &include.project_directory {
            None => (self.directory(&scope.loader_dir, &main), path::parent(&main)),
            Some(dir) if dir.starts_with('/') => (dir.clone(), dir.clone()),
            Some(dir) => (self.directory(&scope.loader_dir, dir), path::join(&scope.working_dir, dir)),
        };
        let mut files = Vec::new();
        for (name, place) in &include.files {
            let disk = self.on_disk(&path::join(&scope.loader_dir, name));
            let shown = self.shown(&disk);
            let Some(documents) = self.documents((&disk, &disk), &shown, Some(*place)) else { return };
            files.push(File { path: disk, documents });
        }
        let Some(values) = self.include_variables(&include, &project_dir, scope) else { return };
        let variables = match values {
            Some(values) => scope.variables.with_values(values),
            None => scope.variables.same_values(),
        };
        let included = scope.included.clone();
        let mut inner = Scope { variables, working_dir, loader_dir: project_dir, included, bases: BTreeMap::new() };
        let model = self.model(files, &mut inner);
        scope.variables.absorb(inner.variables);
        self.import(model, root, include.place);
    }

    /// The variables of an include: those of this part of the project, and below them those of its own files. `Some(None)` when it adds none.
    fn include_variables(&mut self, include: &Include, project_dir: &str, scope: &mut Scope) -> Option<Option<BTreeMap<String, String>>> {
        let mut files = Vec::new();
        if include.env_files.is_empty() {
            let usual = self.on_disk(&path::join(project_dir, ".env"));
            if self.input.reader.exists(&usual) && !self.is_directory(&usual) {
                files.push((usual, include.place));
            }
        }
        for (name, place) in &include.env_files {
            let disk = self.on_disk(&path::join(&scope.working_dir, name));
            if disk != env::NOTHING && !self.input.reader.exists(&disk) {
                missing(self, name, *place);
                return None;
            }
            files.push((disk, *place));
        }
        if files.is_empty() {
            return Some(None);
        }
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for (disk, place) in files {
            let shown = self.shown(&disk);
            let file = match env::load_variables(self.input, &disk, &shown, self.report) {
                Ok(file) => file,
                Err(problem) => {
                    env::unreadable(&shown, &problem, Some(place), self.report);
                    return None;
                }
            };
            let outside = Arc::clone(&scope.variables.values);
            let layers = Layers { before: &[&outside], after: &own };
            let more = dotenv::parse(file, Format::Compose, (layers, &mut scope.variables), self.report);
            own.extend(more);
        }
        own.extend(scope.variables.values.iter().map(|(k, v)| (k.clone(), v.clone())));
        Some(Some(own))
    }

    /// Takes over what an included model has.
    fn import(&mut self, mut model: Node, root: &mut Node, place: Place) {
        for kind in ["services", "volumes", "networks", "secrets", "configs", "models"] {
            let Some(from) = model.remove(kind).filter(|e| !e.value.is_null()) else { continue };
            let Value::Map(entries) = from.value.value else { continue };
            if root.entry(kind).is_none() {
                root.set(kind, Node::map(place, Vec::new()));
            }
            let Some(to) = root.get_mut(kind).filter(|n| matches!(n.value, Value::Map(_))) else {
                self.report
                    .error(
                        "wrong-type",
                        root.get(kind).map_or(place, |n| n.place),
                        format!("`{kind}` must be a mapping to include more into it"),
                    )
                    .hint(format!("remove the empty `{kind}:`"));
                continue;
            };
            for entry in entries {
                match to.entry(&entry.key) {
                    None => {
                        if let Some(entries) = to.entries_mut() {
                            entries.push(entry);
                        }
                    }
                    Some(own) if own.value.same(&entry.value) => {}
                    Some(own) => {
                        let message = format!("`{kind}.{}` is also in a file that is included, and differs there", shorten(&entry.key));
                        self.report
                            .error("include-conflict", own.key_place, message)
                            .hint("rename one, or change the included one in a file listed after it in `path`");
                    }
                }
            }
        }
    }
}
