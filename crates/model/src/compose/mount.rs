//! `volumes` and `tmpfs` of a service, short and long syntax. What a relative path is relative to is `resolve`'s business.

use super::node::Value;
use super::reader::{Field, Fields, named};
use super::report::{Located, Place, Report};
use super::size;
use super::suggest::one_of;
use crate::name::VolumeName;

/// One mount as the file gives it.
#[derive(Debug, Clone)]
pub(crate) struct MountFile {
    pub(crate) source: SourceFile,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) place: Place,
}

/// What a mount shows.
#[derive(Debug, Clone)]
pub(crate) enum SourceFile {
    Volume(VolumeName),
    Anonymous,
    /// A path of the host as written.
    Bind(String),
    /// At most so many bytes; 0 for no bound.
    Tmpfs(u64),
}

/// The value of `volumes`.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Vec<MountFile> {
    let items = field.items("a list of mounts such as `data:/var/lib/data`", report).unwrap_or_default();
    let mount = |item: &Field<'_>| match &item.node.value {
        Value::Map(_) => long(item, report),
        _ => short(item, report),
    };
    items.iter().filter_map(mount).collect()
}

/// The value of `tmpfs`: paths, each with options after a colon.
pub(crate) fn read_tmpfs(field: &Field<'_>, report: &mut Report) -> Vec<MountFile> {
    let mut mounts = Vec::new();
    for text in field.text_or_texts(report).unwrap_or_default() {
        let (target, options) = text.value.split_once(':').unwrap_or((&text.value, ""));
        let mut bytes = 0;
        for option in options.split(',').filter(|o| !o.is_empty()) {
            match option.strip_prefix("size=").map(size::parse) {
                Some(Some(value)) => bytes = value,
                Some(None) => drop(report.error("bad-mount", text.place, "`size=` of a tmpfs wants a size such as `64m`")),
                None => {
                    let message = format!("the tmpfs option `{}` is not honoured", report.written(text.place, option));
                    report.warning("not-honoured", text.place, message).hint("`size=…` is");
                }
            }
        }
        mounts.extend(mount(SourceFile::Tmpfs(bytes), target, false, (text.place, report)));
    }
    mounts
}

/// Checks the target.
fn mount(source: SourceFile, target: &str, read_only: bool, (place, report): (Place, &mut Report)) -> Option<MountFile> {
    if !target.starts_with('/') || target.contains('\0') || target.split('/').any(|s| s == "..") || target.trim_matches('/').is_empty() {
        let message = format!("`{}` is no place to mount at", report.written(place, target));
        report.error("bad-mount", place, message).hint("write an absolute path in the container, without `..`: `name:/path`");
        return None;
    }
    let target = if target.len() > 1 { target.trim_end_matches('/') } else { target };
    Some(MountFile { source, target: target.to_owned(), read_only, place })
}

fn short(item: &Field<'_>, report: &mut Report) -> Option<MountFile> {
    let text = item.text(report)?;
    let parts: Vec<&str> = text.value.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => return mount(SourceFile::Anonymous, target, false, (text.place, report)),
        [source, target] => (*source, *target, ""),
        [source, target, mode] => (*source, *target, *mode),
        _ => {
            item.wrong(report, "`source:/target` or `source:/target:ro`");
            return None;
        }
    };
    let mut read_only = false;
    for word in mode.split(',').filter(|w| !w.is_empty()) {
        match word {
            "ro" => read_only = true,
            // Hints for other platforms and for SELinux, without effect on what is mounted.
            "rw" | "cached" | "delegated" | "consistent" | "z" | "Z" => {}
            other => {
                let message = format!("the mount option `{}` is not honoured", report.written(text.place, other));
                report.warning("not-honoured", text.place, message).hint("`ro` and `rw` are");
            }
        }
    }
    let source = source_of(&Located::new(source.to_owned(), text.place), report)?;
    mount(source, target, read_only, (text.place, report))
}

/// A path or a volume's name.
fn source_of(source: &Located<String>, report: &mut Report) -> Option<SourceFile> {
    if source.value.starts_with(['.', '/', '~']) {
        return Some(SourceFile::Bind(source.value.clone()));
    }
    if source.value.contains('/') {
        let message = format!("`{}` is neither a path nor the name of a volume", report.written(source.place, &source.value));
        report.error("bad-mount", source.place, message).hint("begin a path of the project with `./`");
        return None;
    }
    named::<VolumeName>(source, "bad-name", report).map(|name| SourceFile::Volume(name.value))
}

const TYPES: [&str; 3] = ["volume", "bind", "tmpfs"];

fn long(item: &Field<'_>, report: &mut Report) -> Option<MountFile> {
    let mut fields = Fields::open(item, report)?;
    let kind = fields.take("type").and_then(|f| f.text(report));
    let source = fields.take("source").and_then(|f| f.text(report));
    let target = fields.take("target").and_then(|f| f.text(report));
    let read_only = fields.take("read_only").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    fields.take("consistency");
    let tmpfs_bytes = options(&mut fields, report);
    fields.finish(report);
    let Some(target) = target else {
        report.error("missing-key", item.place(), format!("`{}` needs `target`", item.path)).hint("`target` is the path in the container");
        return None;
    };
    let kind_text = kind.as_ref().map_or("volume", |k| k.value.as_str());
    let source = match (kind_text, source) {
        ("volume", Some(name)) => source_of(&name, report)?,
        ("volume", None) => SourceFile::Anonymous,
        ("bind", Some(path)) => SourceFile::Bind(path.value),
        ("bind", None) => {
            report.error("missing-key", item.place(), format!("`{}` needs `source`", item.path)).hint("`source` is the path on the host");
            return None;
        }
        ("tmpfs", _) => SourceFile::Tmpfs(tmpfs_bytes),
        (other, _) => {
            let place = kind.as_ref().map_or(item.place(), |k| k.place);
            let message = format!("mounts of type `{}` are refused", report.written(place, other));
            report.error("refused", place, message).hint(format!("use {}", one_of(&TYPES)));
            return None;
        }
    };
    mount(source, &target.value, read_only, (item.place(), report))
}

/// The sub-mappings of the long syntax. Returns the size of a tmpfs.
fn options(fields: &mut Fields<'_>, report: &mut Report) -> u64 {
    if let Some(mut bind) = fields.take("bind").and_then(|f| Fields::open(&f, report)) {
        bind.know(["create_host_path", "selinux"]);
        bind.later(&["propagation", "recursive"], report);
        bind.finish(report);
    }
    if let Some(mut volume) = fields.take("volume").and_then(|f| Fields::open(&f, report)) {
        volume.later(&["nocopy", "labels"], report);
        if let Some(subpath) = volume.take("subpath") {
            let message = format!("`{}` is not honoured yet: the whole volume would be mounted instead", subpath.path);
            report.error("not-honoured", subpath.key_place, message).hint("give this service a volume of its own");
        }
        volume.finish(report);
    }
    let mut bytes = 0;
    if let Some(mut tmpfs) = fields.take("tmpfs").and_then(|f| Fields::open(&f, report)) {
        bytes = tmpfs.take("size").and_then(|f| f.size(report)).map_or(0, |s| s.value);
        tmpfs.later(&["mode"], report);
        tmpfs.finish(report);
    }
    bytes
}
