//! From the names of files to one merged tree: read, interpolate, extend, include, merge, check against the schema, write short forms out.
//!
//! The order of the steps is Compose's, document by document, because it shows: a document is merged onto the canonical form of those before it,
//! extended services come from files that were made canonical but not checked, and what is included is complete before it is taken over. A
//! complaint ends a step for the value it is about and not the run. Bounded here: how many files are read and how large they are together, how
//! deep they lead to each other, and how much is copied.

mod extend;
mod include;
mod project;
mod reset;

use super::interpolate::Variables;
use super::node::{Kind, Node, Value};
use super::report::{Place, Report};
use super::schema::Schema;
use super::veil::Secrets;
use super::yaml::Document;
use super::{FileProblem, Input, canonical, defaults, env, environment, landfall, merge, path, paths, schema, validate, yaml};
use crate::diagnostic::Diagnostic;
use extend::Base;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most Compose files one project is made of, each counted as often as it is read.
const MAX_FILES: usize = 200;
/// Most bytes of Compose files.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Most files that lead from one to the next.
const MAX_CHAIN: usize = 20;
/// Most values copied for `extends`.
const MAX_COPIED: usize = 30_000;
/// Most values of a merged project; the short forms among them are written out only after they have been counted.
const MAX_VALUES: usize = 40_000;
/// Most services of a project.
const MAX_SERVICES: usize = 500;

/// A merged project.
pub(crate) struct Loaded {
    pub(crate) root: Node,
    pub(crate) name: String,
    pub(crate) variables: Variables,
    pub(crate) secrets: Secrets,
}

/// Loads the project; `None` after a complaint that leaves nothing to go on with.
pub(crate) fn load(input: &Input<'_>, veiled: bool, report: &mut Report) -> Option<Loaded> {
    if input.files.is_empty() {
        report.push(Diagnostic::error("no-file", None, "no Compose file is given")).hint("write a `compose.yaml`");
    }
    let schema = schema::read(report)?;
    let mut loader = Loader { input, report, schema: &schema, files: BTreeMap::new(), read: 0, bytes: 0, copied: 0 };
    let (mut files, mut whole) = (Vec::new(), true);
    for name in input.files {
        let disk = loader.on_disk(name);
        match loader.documents((name, &disk), name, None) {
            Some(documents) => files.push(File { path: disk, documents }),
            None => whole = false,
        }
    }
    // With a file missing, complaints about what it would have said mislead.
    if !whole {
        return None;
    }
    let mut variables = env::variables(input, loader.report);
    let documents = || files.iter().flat_map(|f| &f.documents).map(|d| &d.root);
    environment::apply(input, documents(), &mut variables, loader.report);
    let contract = files.iter().flat_map(|f| &f.documents).flat_map(|d| landfall::contract_defaults(&d.root));
    for (name, value) in contract {
        let slot = Arc::make_mut(&mut variables.values).entry(name.clone()).or_default();
        if slot.is_empty() {
            *slot = value;
            variables.unset.insert(name);
        }
    }
    let secrets = Secrets::find(documents(), veiled, &mut variables);
    let name = project::name(input, &files, &variables, loader.report);
    let name = name.map(|name| input.environment.map_or(name.clone(), |environment| format!("{name}-{environment}")));
    if let Some(name) = &name {
        Arc::make_mut(&mut variables.values).insert("COMPOSE_PROJECT_NAME".into(), name.clone());
    }
    let mut scope = Scope {
        variables,
        working_dir: input.project_dir.to_owned(),
        loader_dir: input.project_dir.to_owned(),
        included: Vec::new(),
        bases: BTreeMap::new(),
    };
    let root = loader.model(files, &mut scope);
    if root.entries().is_empty() {
        if !loader.report.failed() {
            let first = input.files.first().map_or("", String::as_str);
            let start = Place { line: 1, column: 1, ..Place::default() };
            loader
                .report
                .error("empty-file", start, format!("`{first}` is empty"))
                .hint("write `services:` and under it one entry per program");
        }
        return None;
    }
    Some(Loaded { root, name: name?, variables: scope.variables, secrets })
}

/// A file with the path it has on disk.
pub(super) struct File {
    path: String,
    documents: Vec<Document>,
}

/// What a part of the project is read with: the whole, or what one `include` brings in.
struct Scope {
    variables: Variables,
    /// What relative paths in the result become relative to. Itself relative for an include, whose paths are made absolute with the rest.
    working_dir: String,
    /// What names of further files are relative to.
    loader_dir: String,
    /// Paths of the files that led here, to find cycles.
    included: Vec<String>,
    /// Files that are extended, by path and by the directory their paths are made relative to.
    bases: BTreeMap<(String, String), Option<Arc<Base>>>,
}

struct Loader<'a> {
    input: &'a Input<'a>,
    report: &'a mut Report,
    schema: &'a Schema,
    /// What each file is in the report, by path.
    files: BTreeMap<String, u16>,
    read: usize,
    bytes: usize,
    copied: usize,
}

impl Loader<'_> {
    fn on_disk(&self, name: &str) -> String {
        if name == "-" { name.to_owned() } else { path::join(self.input.cwd, name) }
    }

    /// A file's path as people know it: below where they are it is relative.
    fn shown(&self, disk: &str) -> String {
        path::relative(self.input.cwd, disk).filter(|p| !p.starts_with("..")).unwrap_or_else(|| disk.to_owned())
    }

    /// The documents of a file that is read as `asked` and lies at `disk`; complaints call it `shown`, and stand at `place` when it cannot be
    /// read.
    fn documents(&mut self, (asked, disk): (&str, &str), shown: &str, place: Option<Place>) -> Option<Vec<Document>> {
        self.read += 1;
        let file = match self.files.get(disk) {
            Some(file) => *file,
            None => match env::load(self.input, asked, (shown, true), self.report) {
                Ok(file) => file,
                Err(problem) => {
                    // A file nobody names in another has no place but itself.
                    let at = place.unwrap_or_else(|| Place {
                        file: self.report.add_file(shown, String::new(), true),
                        line: 1,
                        column: 1,
                        ..Place::default()
                    });
                    env::unreadable(shown, &problem, Some(at), self.report);
                    return None;
                }
            },
        };
        self.files.insert(disk.to_owned(), file);
        let text = self.report.text(file).to_owned();
        self.bytes += text.len();
        if self.read > MAX_FILES || self.bytes > MAX_BYTES {
            let message = format!("the project is too large: more than {MAX_FILES} files or {} MiB", MAX_BYTES >> 20);
            let at = place.unwrap_or(Place { file, line: 1, column: 1, ..Place::default() });
            self.report.error("too-large", at, message).hint("a file counts each time another extends or includes it");
            return None;
        }
        yaml::parse(&text, file, self.report)
    }

    /// The documents of files, one on top of the other, and what is only done once for all of them.
    fn model(&mut self, files: Vec<File>, scope: &mut Scope) -> Node {
        let mut dict = Node::map(Place::default(), Vec::new());
        for file in files {
            for document in file.documents {
                scope.included.push(file.path.clone());
                dict = self.document(document, dict, scope, &file.path);
                scope.included.pop();
            }
        }
        defaults::set(&mut dict);
        validate::check(&dict, self.report);
        let home = self.input.env.get("HOME").map(String::as_str);
        paths::resolve(&mut dict, &scope.working_dir, home);
        env::resolve(&mut dict, &scope.variables);
        dict
    }

    /// One document on top of those before it.
    fn document(&mut self, document: Document, mut dict: Node, scope: &mut Scope, file: &str) -> Node {
        let Document { mut root, marks, .. } = document;
        if !self.is_mapping(&root) {
            return dict;
        }
        scope.variables.interpolate(&mut root, self.report);
        self.extends(&mut root, &marks, scope, file);
        reset::apply(&mut dict, &marks);
        self.includes(&mut root, scope);
        dict = merge::merge(dict, root, self.report);
        merge::enforce_unicity(&mut dict, self.report);
        if !self.is_bounded(&dict) {
            return Node::map(dict.place, Vec::new());
        }
        schema::check(&dict, self.schema, self.report);
        if let Some(version) = dict.remove("version") {
            self.report.warning("obsolete-key", version.key_place, "`version` has no meaning any more").hint("remove the line");
        }
        self.canonical(&mut dict);
        dict
    }

    /// The document of a file that is only extended: its own `extends` is followed later, service by service, and the merged result is checked.
    fn base_document(&mut self, document: Document, mut dict: Node, scope: &mut Scope) -> Node {
        let Document { mut root, marks, .. } = document;
        if !self.is_mapping(&root) {
            return dict;
        }
        scope.variables.interpolate(&mut root, self.report);
        reset::apply(&mut dict, &marks);
        dict = merge::merge(dict, root, self.report);
        merge::enforce_unicity(&mut dict, self.report);
        canonical::check_shapes(&dict, self.report);
        self.canonical(&mut dict);
        dict
    }

    fn canonical(&mut self, dict: &mut Node) {
        canonical::transform(dict, self.report);
        canonical::omit_empty(dict);
        merge::enforce_unicity(dict, self.report);
    }

    fn is_mapping(&mut self, root: &Node) -> bool {
        match &root.value {
            Value::Map(_) => return true,
            Value::Scalar(s) if s.kind == Kind::Null => self
                .report
                .error("empty-file", root.place, "there is nothing in this document")
                .hint("write `services:` and under it one entry per program, or remove the `---`"),
            _ => self
                .report
                .error("wrong-type", root.place, format!("a Compose file is a mapping of keys, found {}", root.describe()))
                .hint("begin with `services:`"),
        }
        false
    }

    /// `false` for a project that is too large to go on with.
    fn is_bounded(&mut self, dict: &Node) -> bool {
        let services = dict.get("services").map(Node::entries).unwrap_or_default();
        let (place, what) = match services.get(MAX_SERVICES) {
            Some(service) => (service.key_place, format!("{MAX_SERVICES} services")),
            None if dict.count() > MAX_VALUES => {
                (dict.entries().first().map_or(dict.place, |e| e.key_place), format!("{MAX_VALUES} values"))
            }
            None => return true,
        };
        self.report.error("too-large", place, format!("the project is too large: more than {what}")).hint("split the app");
        false
    }

    /// Counts a copy; `false` when there were too many.
    fn may_copy(&mut self, node: &Node, place: Place) -> bool {
        self.copied += node.count();
        if self.copied <= MAX_COPIED {
            return true;
        }
        self.report
            .error("too-large", place, format!("the project is too large: more than {MAX_COPIED} values once services are extended"))
            .hint("every `extends` copies the whole service");
        false
    }

    /// Refuses what would have to be fetched.
    fn is_remote(&mut self, name: &str, place: Place) -> bool {
        let remote = name.starts_with("oci://") || paths::is_remote(name);
        if remote {
            let shown = self.report.written(place, name);
            self.report
                .error("remote-file", place, format!("`{shown}` is not on this machine, and Landfall fetches no Compose files"))
                .hint("download it, look at it, and name the copy");
        }
        remote
    }

    fn too_long(&mut self, place: Place) {
        self.report
            .error("too-deep", place, format!("more than {MAX_CHAIN} files or services lead from one to the next"))
            .hint("merge some of them");
    }
}

/// The problem of a file that was named and is not there.
fn missing(loader: &mut Loader<'_>, name: &str, place: Place) {
    env::unreadable(name, &FileProblem::NotFound, Some(place), loader.report);
}
