//! `volumes` and `tmpfs` of a service. What a relative path is relative to is `resolve`'s business.

use super::reader::{Field, Fields, named};
use super::report::{Place, Report};
use super::size;
use super::suggest::one_of;
use crate::name::VolumeName;
use crate::spec::Propagation;

/// One mount as the file gives it.
#[derive(Debug, Clone)]
pub(crate) struct MountFile {
    pub(crate) source: SourceFile,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) options: MountOptions,
    pub(crate) place: Place,
}

/// How it is mounted, as far as its kind knows the word.
#[derive(Debug, Clone, Default)]
pub(crate) struct MountOptions {
    pub(crate) no_copy: bool,
    pub(crate) create: bool,
    pub(crate) relabel: String,
    pub(crate) propagation: Propagation,
    /// Permission bits of a tmpfs; 0 for the engine's.
    pub(crate) mode: u32,
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
    /// An entry of `tmpfs:` with its options, as the engine reads them.
    Memory(String),
}

/// The value of `volumes`, its short forms written out.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Vec<MountFile> {
    let items = field.items("a list of mounts such as `data:/var/lib/data`", report).unwrap_or_default();
    // One that is no mapping could not be written out, which was complained about.
    items.iter().filter(|item| item.node.scalar().is_none()).filter_map(|item| long(item, report)).collect()
}

/// The value of `tmpfs`: paths, each with options after a colon.
pub(crate) fn read_tmpfs(field: &Field<'_>, report: &mut Report) -> Vec<MountFile> {
    let mut mounts = Vec::new();
    for text in field.text_or_texts(report).unwrap_or_default() {
        let (target, options) = text.value.split_once(':').unwrap_or((&text.value, ""));
        for size in options.split(',').filter_map(|o| o.strip_prefix("size=")) {
            if size::parse(size).is_none() && !size.ends_with('%') {
                report.error("bad-mount", text.place, "`size=` of a tmpfs wants a size such as `64m`");
            }
        }
        mounts.extend(mount(SourceFile::Memory(options.to_owned()), target, (false, MountOptions::default()), (text.place, report)));
    }
    mounts
}

/// Checks the target.
fn mount(
    source: SourceFile,
    target: &str,
    (read_only, options): (bool, MountOptions),
    (place, report): (Place, &mut Report),
) -> Option<MountFile> {
    if !target.starts_with('/') || target.contains('\0') || target.split('/').any(|s| s == "..") || target.trim_matches('/').is_empty() {
        let message = format!("`{}` is no place to mount at", report.written(place, target));
        report.error("bad-mount", place, message).hint("write an absolute path in the container, without `..`: `name:/path`");
        return None;
    }
    let target = if target.len() > 1 { target.trim_end_matches('/') } else { target };
    Some(MountFile { source, target: target.to_owned(), read_only, options, place })
}

fn propagation(word: &str) -> Option<Propagation> {
    Some(match word {
        "rprivate" => Propagation::Rprivate,
        "private" => Propagation::Private,
        "slave" => Propagation::Slave,
        "rslave" => Propagation::Rslave,
        "shared" => Propagation::Shared,
        "rshared" => Propagation::Rshared,
        _ => return None,
    })
}

const TYPES: [&str; 3] = ["volume", "bind", "tmpfs"];

fn long(item: &Field<'_>, report: &mut Report) -> Option<MountFile> {
    let mut fields = Fields::open(item, report)?;
    let kind = fields.take("type").and_then(|f| f.text(report));
    let source = fields.take("source").and_then(|f| f.text(report));
    let target = fields.take("target").and_then(|f| f.text(report));
    let read_only = fields.take("read_only").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    fields.take("consistency");
    let (options, tmpfs_bytes) = options(&mut fields, report);
    fields.know(["image"]);
    fields.finish(report);
    let Some(target) = target else {
        report.error("missing-key", item.place(), format!("`{}` needs `target`", item.path)).hint("`target` is the path in the container");
        return None;
    };
    let kind_text = kind.as_ref().map_or("volume", |k| k.value.as_str());
    let source = match (kind_text, source) {
        ("volume", Some(name)) => SourceFile::Volume(named::<VolumeName>(&name, "bad-name", report)?.value),
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
    mount(source, &target.value, (read_only, options), (item.place(), report))
}

/// The sub-mappings of the long syntax, and the size of a tmpfs.
fn options(fields: &mut Fields<'_>, report: &mut Report) -> (MountOptions, u64) {
    let mut out = MountOptions::default();
    if let Some(mut bind) = fields.take("bind").and_then(|f| Fields::open(&f, report)) {
        out.create = bind.take("create_host_path").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
        out.relabel = bind.take("selinux").and_then(|f| f.text(report)).map(|t| t.value).unwrap_or_default();
        let mode =
            bind.take("propagation").and_then(|f| f.parsed(report, "`rprivate`, `rslave`, `rshared`, or these without `r`", propagation));
        out.propagation = mode.map(|m| m.value).unwrap_or_default();
        bind.know(["recursive"]);
        bind.finish(report);
    }
    if let Some(mut volume) = fields.take("volume").and_then(|f| Fields::open(&f, report)) {
        out.no_copy = volume.take("nocopy").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
        volume.know(["labels", "subpath"]);
        volume.finish(report);
    }
    let mut bytes = 0;
    if let Some(mut tmpfs) = fields.take("tmpfs").and_then(|f| Fields::open(&f, report)) {
        bytes = tmpfs.take("size").and_then(|f| f.size(report)).map_or(0, |s| s.value);
        out.mode = tmpfs.take("mode").and_then(|f| f.integer(0..=0o7777, report)).map_or(0, |n| n.value as u32);
        tmpfs.finish(report);
    }
    (out, bytes)
}
