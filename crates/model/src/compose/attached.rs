//! Secrets and configs: what each is (`secrets:` and `configs:` at the top of the file), and which file of a container it becomes.
//!
//! Values are read when the file is compiled and travel in the spec, so a rollback brings the old value back and the server needs none of the
//! author's files. They are written into the container before it starts; see the Docker runtime.

use super::check::App;
use super::interpolate::Variables;
use super::mount::SourceFile;
use super::node::Kind;
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use super::service::ServiceFile;
use super::typed::decode::mode;
use super::typed::number::boolean;
use super::veil::{self, Secrets};
use super::{FileProblem, env, path};
use crate::container::{Content, MountedFile};
use crate::name::{SecretName, ServiceName};
use crate::secret::{MAX_VALUE, SecretValue, marked};
use std::collections::BTreeMap;

/// Most bytes of all values of all services: they travel in a request of at most 4 MiB, a third longer than they are.
const MAX_ALL: usize = 2 * 1024 * 1024;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Secret,
    Config,
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Sort::Secret => "secret",
            Sort::Config => "config",
        }
    }

    /// The key that declares them, and that uses them.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Sort::Secret => "secrets",
            Sort::Config => "configs",
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    File(Located<String>),
    Variable(Located<String>),
    Text(String),
    /// The server keeps it under this name.
    Kept(Located<String>),
    /// It has none, which was complained about, or it is kept where this server cannot see it, which is.
    None,
}

impl Origin {
    /// What the server keeps it as: by the variable it comes from, else by the name it is declared with.
    pub(crate) fn secret(&self, declared: &str) -> Option<SecretName> {
        match self {
            Origin::Kept(name) | Origin::Variable(name) => name.value.parse().ok(),
            Origin::File(_) | Origin::Text(_) => declared.parse().ok(),
            Origin::None => None,
        }
    }
}

/// What is declared at the top of the file.
pub(crate) type Declared = BTreeMap<(Sort, String), Origin>;

/// One file a service wants.
#[derive(Debug, Clone)]
pub(crate) struct AttachedFile {
    sort: Sort,
    source: Located<String>,
    pub(crate) target: String,
    of_user: bool,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Reads `secrets:` or `configs:` at the top.
pub(crate) fn declared(field: &Field<'_>, sort: Sort, out: &mut Declared, report: &mut Report) {
    for (name, entry) in Fields::open(field, report).iter().flat_map(Fields::all) {
        let mut origin = Origin::None;
        if let Some(mut fields) = (!entry.node.is_null()).then(|| Fields::open(entry, report)).flatten() {
            let mut take = |key: &'static str| fields.take(key).and_then(|f| f.text(report));
            let (file, variable, content) = (take("file"), take("environment"), take("content"));
            let external = fields.take("external").and_then(|f| f.node.scalar().and_then(boolean)).unwrap_or(false);
            let named = fields.take("name").and_then(|f| f.text(report));
            fields.know(["labels", "template_driver", "driver", "driver_opts"]);
            fields.finish(report);
            origin = match (content, variable, file) {
                (Some(content), ..) => Origin::Text(content.value),
                (_, Some(variable), _) => Origin::Variable(variable),
                (.., Some(file)) => Origin::File(file),
                _ if external && sort == Sort::Secret => {
                    kept(named.unwrap_or_else(|| Located::new(name.to_owned(), entry.key_place)), report)
                }
                _ if external => Origin::None,
                _ => no_value(sort, name, entry, report),
            };
        } else if entry.node.is_null() {
            origin = no_value(sort, name, entry, report);
        }
        out.insert((sort, name.to_owned()), origin);
    }
}

fn kept(name: Located<String>, report: &mut Report) -> Origin {
    named::<SecretName>(&name, "bad-name", report).map_or(Origin::None, |_| Origin::Kept(name))
}

fn no_value(sort: Sort, name: &str, entry: &Field<'_>, report: &mut Report) -> Origin {
    report
        .error("missing-key", entry.key_place, format!("the {} `{name}` has no value", sort.word()))
        .hint("write `file: ./path`, or `environment: NAME`");
    Origin::None
}

/// Reads `secrets:` or `configs:` of a service.
pub(crate) fn read(field: &Field<'_>, sort: Sort, report: &mut Report) -> Vec<AttachedFile> {
    let items = field.items("a list of names", report).unwrap_or_default();
    // One that is no mapping could not be written out, which was complained about.
    items.iter().filter(|item| item.node.scalar().is_none()).filter_map(|item| attached(item, sort, report)).collect()
}

fn attached(item: &Field<'_>, sort: Sort, report: &mut Report) -> Option<AttachedFile> {
    let mut fields = Fields::open(item, report)?;
    let target = fields.take("target").and_then(|f| f.text(report));
    let mut number = |key: &'static str| fields.take(key).and_then(|f| f.integer(0..=u64::from(u32::MAX), report)).map(|n| n.value as u32);
    let (uid, gid) = (number("uid"), number("gid"));
    let bits = fields.take("mode").and_then(|f| permissions(&f, report));
    let source = fields.take("source").and_then(|f| f.text(report));
    fields.finish(report);
    let Some(source) = source else {
        if item.node.get("source").is_none() {
            report
                .error("missing-key", item.place(), format!("`{}` needs `source`", item.path))
                .hint("`source` is its name at the top of the file");
        }
        return None;
    };
    let (name, place) = target.map_or((source.value.clone(), source.place), |t| (t.value, t.place));
    // A bare name lies in the usual directory of secrets; of configs in the root, as in Swarm.
    let target = match sort {
        Sort::Secret if !name.starts_with('/') => format!("/run/secrets/{name}"),
        _ => format!("/{}", name.trim_start_matches('/')),
    };
    if target.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) || target.contains('\0') {
        let message = format!("`{}` is no place for a file", report.written(place, &name));
        report.error("bad-mount", place, message).hint("write an absolute path in the container, without `..`");
        return None;
    }
    // Nobody but the one it is for reads a secret, unless the file says otherwise.
    let of_user = sort == Sort::Secret && uid.is_none() && gid.is_none();
    let mode = bits.unwrap_or(if sort == Sort::Secret { 0o600 } else { 0o444 });
    Some(AttachedFile { sort, source, target, of_user, uid: uid.unwrap_or(0), gid: gid.unwrap_or(0), mode })
}

/// Permission bits. YAML reads `0440` as octal and Compose so reads what stands in quotes; `440` without quotes is decimal, and hardly meant so.
fn permissions(field: &Field<'_>, report: &mut Report) -> Option<u32> {
    let scalar = field.node.scalar()?;
    let Some(mode) = mode(scalar).and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= 0o7777) else {
        field.wrong(report, "the permissions of a file, from `0` to `07777`");
        return None;
    };
    let digits = mode.to_string();
    // The number that counts stands in the file: it was not octal there.
    let plain = scalar.kind == Kind::Int && report.written(field.place(), &digits) == digits;
    if plain && digits.len() >= 3 && digits.bytes().all(|b| b < b'8') {
        let message = format!("`{}` is read as a decimal number: the bits are {mode:04o}", field.path);
        report.warning("decimal-mode", field.place(), message).hint(format!("write 0{digits}"));
    }
    Some(mode)
}

impl AttachedFile {
    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    /// The name it is declared with.
    pub(crate) fn source(&self) -> &str {
        &self.source.value
    }
}

/// Files of every service that takes part, with what they hold. Values of secrets go to `secrets`, the files refer to them.
pub(crate) fn files(
    app: &App<'_>,
    (variables, secrets): (&Variables, &mut Secrets),
    report: &mut Report,
) -> BTreeMap<ServiceName, Vec<MountedFile>> {
    let mut values: BTreeMap<(Sort, String), Option<Content>> = BTreeMap::new();
    let mut out = BTreeMap::new();
    let mut all = 0;
    for (name, service) in app.enabled {
        let mut files: Vec<MountedFile> = Vec::new();
        for file in &service.files {
            let key = (file.sort, file.source.value.clone());
            // One that is not declared was complained about when references were followed.
            let Some(origin) = app.file.declared.get(&key) else { continue };
            hidden(name, service, file, report);
            let content = values
                .entry(key)
                .or_insert_with(|| value(app, (&file.source.value, file.sort, origin), (variables, secrets), report))
                .clone();
            let Some(content) = content else { continue };
            all += content.reveal().len()
                + origin.secret(&file.source.value).and_then(|name| secrets.given.get(&name)).map_or(0, |v| v.reveal().len());
            if all > MAX_ALL {
                report
                    .error(
                        "too-large",
                        file.source.place,
                        format!("the secrets and configs of all services have more than {} MiB", MAX_ALL >> 20),
                    )
                    .hint("mount large files as a bind or a volume");
                return out;
            }
            let made =
                MountedFile { target: file.target.clone(), content, of_user: file.of_user, uid: file.uid, gid: file.gid, mode: file.mode };
            files.retain(|f| f.target != made.target);
            files.push(made);
        }
        files.sort_by(|a, b| a.target.cmp(&b.target));
        out.insert((*name).clone(), files);
    }
    out
}

/// A file written into a mount would be written into what is mounted.
fn hidden(name: &ServiceName, service: &ServiceFile, file: &AttachedFile, report: &mut Report) {
    let over = |m: &&super::mount::MountFile| {
        path::within(&m.target, &file.target) && !matches!(m.source, SourceFile::Tmpfs(_) | SourceFile::Memory(_))
    };
    if let Some(mount) = service.mounts.iter().find(over) {
        let message = format!(
            "`{name}` mounts something at `{}`, and the {} `{}` would be written into it",
            mount.target,
            file.sort.word(),
            file.target
        );
        report.error("mount-collision", file.source.place, message).hint("give it a `target` outside of every mount");
    }
}

fn value(
    app: &App<'_>,
    (declared, sort, origin): (&str, Sort, &Origin),
    (variables, secrets): (&Variables, &mut Secrets),
    report: &mut Report,
) -> Option<Content> {
    let bytes = match origin {
        Origin::None => return None,
        Origin::Kept(_) => None,
        // A config may have secrets in its text.
        Origin::Text(text) if sort == Sort::Config || !marked(text).is_empty() => return Some(Content::marked(text)),
        Origin::Text(text) => Some(SecretValue::new(text.as_str())),
        Origin::Variable(name) => match (variables.values.get(&name.value), sort) {
            (Some(value), _) if !marked(value).is_empty() => return Some(Content::marked(value)),
            (Some(value), _) => Some(SecretValue::new(value.as_str())),
            (None, Sort::Secret) => None,
            (None, Sort::Config) => {
                let shown = report.written(name.place, &name.value);
                report.error("env-missing", name.place, format!("`{shown}` must be set and is not")).hint(variables.set_hint(&name.value));
                return None;
            }
        },
        Origin::File(file) => Some(read_file(app, file, report)?),
    };
    match (sort, bytes) {
        (Sort::Config, bytes) => Some(Content::new(bytes?.reveal())),
        (Sort::Secret, bytes) => {
            let name = origin.secret(declared)?;
            let reference = veil::reference(&name);
            secrets.given.extend(bytes.map(|bytes| (name, bytes)));
            Some(Content::secret(reference))
        }
    }
}

fn read_file(app: &App<'_>, file: &Located<String>, report: &mut Report) -> Option<SecretValue> {
    let full = path::absolute(app.project_dir, &file.value);
    let problem = match app.reader.read(&full) {
        Ok(bytes) if bytes.len() <= MAX_VALUE => return Some(SecretValue::new(bytes)),
        Ok(_) => FileProblem::Other(format!("it is larger than {} kB", MAX_VALUE / 1000)),
        Err(problem) => problem,
    };
    let shown = app.host_path(&file.value, file.place, report);
    env::unreadable(&shown, &problem, Some(file.place), report);
    None
}
