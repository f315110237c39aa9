//! Variables: those the files are interpolated with, and the complete environment and labels of each service.
//!
//! For interpolation the process environment wins over `.env`. In a service `environment` wins over `env_file`, later files over earlier ones;
//! a name without value takes it from the variables of interpolation, and is nothing when they have none. All as in Compose.

use super::contract::Environments;
use super::dotenv::{self, Format, Layers};
use super::interpolate::Variables;
use super::node::{Entry, Kind, Node, Scalar, Value};
use super::report::{Place, Report};
use super::shape::Enabled;
use super::typed::decode::EXTENSIONS;
use super::typed::number::boolean;
use super::typed::number::sprint;
use super::yaml::shorten;
use super::{FileProblem, Input, MAX_TEXT, fence, path};
use crate::diagnostic::Diagnostic;
use crate::spec::EnvValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes all environments and labels that come from files may have, and most bytes of files that are read for them.
const MAX_ENVIRONMENTS: usize = 4 * 1024 * 1024;

/// The file that is always empty, which people name where they want none.
pub(crate) const NOTHING: &str = "/dev/null";

/// Reads a file that complaints call `name`; the text of a file of variables is never `shown`.
pub(crate) fn load(input: &Input<'_>, path: &str, (name, shown): (&str, bool), report: &mut Report) -> Result<u16, FileProblem> {
    let bytes = read(input, path)?;
    match text_of(bytes) {
        Ok(text) => Ok(report.add_file(name, text, shown)),
        Err((head, why)) => {
            let line_start = head.rfind('\n').map_or(0, |i| i + 1);
            let (line, column) = (head.matches('\n').count() as u32 + 1, head[line_start..].chars().count() as u32 + 1);
            let end = head.len() as u32;
            let file = report.add_file(name, head, shown);
            report.error("not-utf8", Place { file, start: end, end, line, column }, why).hint("save it as UTF-8");
            Err(FileProblem::Complained)
        }
    }
}

/// Likewise a file of variables, in which Compose lets bytes that are no text pass.
pub(crate) fn load_variables(input: &Input<'_>, path: &str, name: &str, report: &mut Report) -> Result<u16, FileProblem> {
    let text = String::from_utf8_lossy(&read(input, path)?).into_owned();
    Ok(report.add_file(name, text, false))
}

fn read(input: &Input<'_>, path: &str) -> Result<Vec<u8>, FileProblem> {
    if path == NOTHING {
        return Ok(Vec::new());
    }
    let bytes = input.reader.read(path)?;
    if bytes.len() > MAX_TEXT { Err(FileProblem::TooLarge) } else { Ok(bytes) }
}

/// UTF-8, or UTF-16 with a byte order mark; else what is good of it, and what is wrong.
fn text_of(bytes: Vec<u8>) -> Result<String, (String, &'static str)> {
    let unit: Option<fn([u8; 2]) -> u16> = match bytes.as_slice() {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = unit {
        let pairs = bytes.chunks_exact(2).map(|pair| unit([pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]));
        let units: Vec<u16> = pairs.collect();
        return String::from_utf16(&units).map_err(|_| (String::new(), "the file is UTF-16, and not good UTF-16"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        (String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default()).into_owned(), "the file is not UTF-8")
    })
}

/// The variables the files are interpolated with.
pub(crate) fn variables(input: &Input<'_>, report: &mut Report) -> Variables {
    let mut variables = Variables::new(input.env.clone());
    // What a shell always sets counts as set when none is there.
    Arc::make_mut(&mut variables.values).entry("PWD".into()).or_insert_with(|| input.cwd.to_owned());
    match input.env_files {
        Some(files) => {
            let files: Vec<String> = files.iter().map(|name| path::join(input.cwd, name)).collect();
            let named = input.env_files.unwrap_or_default();
            add(&mut variables, files.iter().map(String::as_str).zip(named.iter().map(String::as_str)), input, report);
        }
        None => {
            let usual = path::absolute(input.project_dir, ".env");
            add(&mut variables, [(usual.as_str(), ".env")].into_iter(), input, report);
        }
    }
    variables
}

/// Adds what files say and nothing outside them does.
fn add<'a>(variables: &mut Variables, files: impl Iterator<Item = (&'a str, &'a str)>, input: &Input<'_>, report: &mut Report) {
    let mut own: BTreeMap<String, String> = BTreeMap::new();
    let mut missed = variables.same_values();
    for (disk, shown) in files {
        match load_variables(input, disk, shown, report) {
            Ok(file) => {
                let outside = Arc::clone(&variables.values);
                let layers = Layers { before: &[&outside], after: &own };
                own.extend(dotenv::parse(file, Format::Compose, (layers, &mut missed), report));
            }
            // Nobody asked for the usual one.
            Err(FileProblem::NotFound | FileProblem::Directory) if input.env_files.is_none() => {}
            Err(problem) => unreadable(shown, &problem, None, report),
        }
    }
    missed.warn_of_undefined(|_| false, report);
    variables.unset.append(&mut missed.unset);
    let values = Arc::make_mut(&mut variables.values);
    for (name, value) in own {
        values.entry(name).or_insert(value);
    }
}

/// Complains about a file that cannot be read, at the place that names it if there is one.
pub(crate) fn unreadable(name: &str, problem: &FileProblem, place: Option<Place>, report: &mut Report) {
    if *problem == FileProblem::Complained {
        return;
    }
    let shown = place.filter(|p| p.end > p.start).map_or_else(|| shorten(name), |p| report.written(p, name));
    let message = format!("cannot read `{shown}`: {problem}");
    let span = place.and_then(|p| report.span(p));
    if *problem == FileProblem::Outside {
        report.push(Diagnostic::error(fence::CODE, span, message)).hint(fence::HINT);
        return;
    }
    let hint = match problem {
        FileProblem::NotFound => "check the path; it is relative to the project directory",
        FileProblem::TooLarge => "files Landfall reads are at most 1 MiB",
        _ => "check that it is a file this user may read",
    };
    report.push(Diagnostic::error("unreadable-file", span, message)).hint(hint);
}

/// Gives elements of `environment` lists that are a name alone their value, and secrets and configs that come from a variable theirs.
pub(crate) fn resolve(root: &mut Node, variables: &Variables) {
    for service in root.get_mut("services").and_then(Node::entries_mut).into_iter().flatten() {
        for item in service.value.get_mut("environment").and_then(Node::items_mut).into_iter().flatten() {
            let value = item.scalar().filter(|s| s.kind == Kind::Text).and_then(|s| Some((s.text.clone(), variables.values.get(&s.text)?)));
            if let Some((name, value)) = value {
                *item = secret(item.place, format!("{name}={value}"));
            }
        }
    }
    for (kind, key) in [("secrets", SECRET_VALUE), ("configs", "content")] {
        for entry in root.get_mut(kind).and_then(Node::entries_mut).into_iter().flatten() {
            let Some(source) = entry.value.get("environment").filter(|n| n.scalar().is_some_and(|s| s.kind == Kind::Text)) else {
                continue;
            };
            let (place, name) = (source.place, source.scalar().map(|s| s.text.clone()).unwrap_or_default());
            if let Some(value) = variables.values.get(&name) {
                entry.value.set(key, secret(place, value.clone()));
            }
        }
    }
}

/// Where the value of a secret that comes from a variable is kept. Never printed.
pub(crate) const SECRET_VALUE: &str = "x-#value";

/// A text that no message shows.
fn secret(place: Place, text: String) -> Node {
    let mut node = Node::text(place, text);
    if let Value::Scalar(scalar) = &mut node.value {
        scalar.substituted = true;
    }
    node
}

/// Works `env_file` and `label_file` of every service into its `environment` and `labels`, and takes the names of the label files away.
pub(crate) fn read_files(root: &mut Node, input: &Input<'_>, variables: &mut Variables, report: &mut Report) {
    let mut reader = Reader { input, variables, known: BTreeMap::new(), bytes: 0 };
    for service in root.get_mut("services").and_then(Node::entries_mut).into_iter().flatten() {
        if !matches!(service.value.value, Value::Map(_)) {
            continue;
        }
        let project = Arc::clone(&reader.variables.values);
        let env_files = service.value.get("env_file").cloned();
        if env_files.is_some() || service.value.get("environment").is_some() {
            let own = service.value.get("environment").map(|n| named(n, Some(&project))).unwrap_or_default();
            reader.variables.unset.extend(own.iter().filter(|e| is_empty(&e.value)).map(|e| e.key.clone()));
            let all = reader.all(env_files.as_ref(), Some(&project), own, report);
            set(&mut service.value, "environment", all, env_files.as_ref());
        }
        let label_files = service.value.remove("label_file").map(|e| e.value);
        if label_files.is_some() || service.value.get("labels").is_some() {
            let own = service.value.get("labels").map(|n| named(n, None)).unwrap_or_default();
            let all = reader.all(label_files.as_ref(), None, own, report);
            set(&mut service.value, "labels", all, label_files.as_ref());
        }
    }
}

fn set(service: &mut Node, key: &str, entries: Vec<Entry>, files: Option<&Node>) {
    match service.get_mut(key) {
        Some(node) => node.value = Value::Map(entries),
        None => service.set(key, Node::map(files.map(|n| n.place).unwrap_or_default(), entries)),
    }
}

/// Given a name alone, or one whose value outside is empty.
fn is_empty(value: &Node) -> bool {
    value.is_null() || value.scalar().is_some_and(|s| s.substituted && s.text.is_empty())
}

/// `NAME: value` and `- NAME=value` alike. A name without value takes it from `outside`.
fn named(node: &Node, outside: Option<&BTreeMap<String, String>>) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    let mut put = |key: &str, key_place: Place, value: Node| {
        let found = outside.filter(|_| value.is_null()).and_then(|o| o.get(key));
        let value = found.map_or(value, |text| secret(key_place, text.clone()));
        let entry = Entry { key: key.to_owned(), key_place, value };
        match index.get(key).and_then(|i| out.get_mut(*i)) {
            Some(old) => *old = entry,
            None => {
                index.insert(key.to_owned(), out.len());
                out.push(entry);
            }
        }
    };
    let (own, entries): (Vec<&Entry>, Vec<&Entry>) = node.entries().iter().partition(|e| e.key.starts_with("x-"));
    if let Some(first) = own.first() {
        // Compose gathers these before it looks for variables, and then takes what it gathered for one.
        let gathered = Node::map(first.key_place, own.iter().map(|e| (*e).clone()).collect());
        put(EXTENSIONS, first.key_place, Node::text(first.key_place, sprint(&gathered)));
    }
    for entry in entries {
        let value = if entry.value.scalar().is_some() { entry.value.clone() } else { Node::made(entry.value.place, Kind::Null, "") };
        put(&entry.key, entry.key_place, value);
    }
    for item in node.items() {
        let text = item.scalar().map(Scalar::canonical).unwrap_or_default();
        match text.split_once('=') {
            Some((key, value)) => put(key, item.place, item.piece(Kind::Text, value)),
            None => put(&text, item.place, Node::made(item.place, Kind::Null, "")),
        }
    }
    out
}

struct Reader<'a> {
    input: &'a Input<'a>,
    variables: &'a mut Variables,
    /// Files in the report by path.
    known: BTreeMap<String, u16>,
    bytes: usize,
}

impl Reader<'_> {
    /// What the files say, with what the service itself says on top.
    fn all(
        &mut self,
        files: Option<&Node>,
        outside: Option<&BTreeMap<String, String>>,
        own: Vec<Entry>,
        report: &mut Report,
    ) -> Vec<Entry> {
        let mut found: BTreeMap<String, (String, Place)> = BTreeMap::new();
        let said = |e: &Entry| Some((e.key.clone(), e.value.scalar().filter(|s| s.kind != Kind::Null)?.canonical()));
        // A label answers no variable, the service's own environment does.
        let service: BTreeMap<String, String> = outside.map(|_| own.iter().filter_map(said).collect()).unwrap_or_default();
        for file in files.map(Node::items).unwrap_or_default() {
            let path = file.get("path").unwrap_or(file);
            let values: BTreeMap<String, String> = found.iter().map(|(k, (v, _))| (k.clone(), v.clone())).collect();
            let before: Vec<&BTreeMap<String, String>> = outside.into_iter().chain([&service]).collect();
            let entries = self.file(file, path, Layers { before: &before, after: &values }, report);
            self.bytes += entries.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
            if self.bytes > MAX_ENVIRONMENTS {
                let message = format!("the environments of all services have more than {} MiB", MAX_ENVIRONMENTS >> 20);
                report.error("too-large", path.place, message).hint("mount large texts as files");
                break;
            }
            found.extend(entries.into_iter().map(|(k, v)| (k, (v, path.place))));
        }
        let mut out = own;
        let names: std::collections::BTreeSet<String> = out.iter().map(|e| e.key.clone()).collect();
        for (key, (value, place)) in found {
            if !names.contains(&key) {
                out.push(Entry { key, key_place: place, value: secret(place, value) });
            }
        }
        out
    }

    fn file(&mut self, file: &Node, path: &Node, layers: Layers<'_>, report: &mut Report) -> BTreeMap<String, String> {
        let Some(name) = path.scalar().filter(|s| s.kind == Kind::Text && !s.spoiled).map(|s| s.text.clone()) else {
            return BTreeMap::new();
        };
        let disk = path::join(self.input.cwd, &name);
        let optional = file.get("required").and_then(Node::scalar).and_then(boolean) == Some(false);
        let shown = path::relative(self.input.project_dir, &disk).filter(|p| !p.starts_with("..")).unwrap_or_else(|| disk.clone());
        if optional && !self.input.reader.exists(&disk) {
            self.variables.absent.insert(shown);
            return BTreeMap::new();
        }
        let format = match file.get("format").and_then(Node::scalar).map(|s| s.text.as_str()) {
            None | Some("") => Format::Compose,
            Some("raw") => Format::Raw,
            Some(other) => {
                let place = file.get("format").map_or(file.place, |n| n.place);
                let shown = report.written(place, other);
                report
                    .error("bad-value", place, format!("`{shown}` is no format of an env_file"))
                    .hint("write `format: raw`, or remove the key");
                return BTreeMap::new();
            }
        };
        let known = self.known.get(&disk).copied();
        match known.map_or_else(|| load_variables(self.input, &disk, &shown, report), Ok) {
            Ok(id) => {
                self.known.insert(disk, id);
                self.bytes += report.text(id).len();
                if self.bytes > MAX_ENVIRONMENTS {
                    return BTreeMap::new();
                }
                dotenv::parse(id, format, (layers, self.variables), report)
            }
            Err(problem) => {
                unreadable(&shown, &problem, Some(path.place), report);
                if problem == FileProblem::NotFound {
                    report.hint_last("create it, or write `{ path: …, required: false }`");
                }
                BTreeMap::new()
            }
        }
    }
}

/// The complete environment of every service that takes part, as its containers get it: names without value are left out.
pub(crate) fn environments(enabled: &Enabled<'_>) -> Environments {
    let of = |service: &super::service::ServiceFile| {
        let values = service.environment.iter().filter_map(|(k, v)| Some((k.value.clone(), EnvValue::marked(&v.as_ref()?.value))));
        values.collect::<BTreeMap<_, _>>()
    };
    enabled.iter().map(|(name, service)| ((*name).clone(), of(service))).collect()
}
