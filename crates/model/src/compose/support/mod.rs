//! What Landfall does with every key of the Compose Specification, per runtime: honours it, says that it has no effect, or refuses it.
//!
//! One table, so that the messages and the documentation cannot disagree. [`check`] walks a file and complains by the table alone; what depends on
//! values (which bind, which capability) is said where the values are read. Keys that are in no row are the schema's business.

mod table;

use super::node::{Entry, Node, Value};
use super::reader::join;
use super::report::Report;
use crate::spec::RuntimeKind;
use std::collections::BTreeMap;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what the Compose Specification says.
    Honoured,
    /// Likewise within a limit, named here; a value beyond it is complained about where it is read.
    Partly(&'static str),
    /// It gives away something of the host, so the server's owner must grant it; the reason is given with the warning.
    Granted(&'static str),
    /// It has no effect; the reason is given in a warning.
    Ignored(&'static str),
    /// The file cannot be used with it; the reason is given in an error.
    Refused(&'static str),
}

impl Support {
    /// One word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Support::Honoured => "honoured",
            Support::Partly(_) => "honoured in part",
            Support::Granted(_) => "needs a grant",
            Support::Ignored(_) => "ignored with a warning",
            Support::Refused(_) => "refused",
        }
    }

    /// Why, or how far.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Support::Honoured => None,
            Support::Partly(reason) | Support::Granted(reason) | Support::Ignored(reason) | Support::Refused(reason) => Some(reason),
        }
    }
}

/// One key of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `services.*.ports[].target`: `*` is any name, `[]` any element.
    pub path: String,
    /// Under `runtime: docker`.
    pub docker: Support,
    /// Under `runtime: process`.
    pub process: Support,
    /// Values that change nothing and are never complained about.
    pub unless: &'static [&'static str],
    /// The complaint is made where more is known than the key.
    elsewhere: bool,
}

impl Row {
    /// Under one runtime.
    pub fn under(&self, runtime: RuntimeKind) -> Support {
        match runtime {
            RuntimeKind::Docker => self.docker,
            RuntimeKind::Process => self.process,
        }
    }
}

/// Keys of one verdict.
struct Group {
    under: &'static str,
    /// Parted by blanks.
    keys: &'static str,
    docker: Support,
    process: Support,
    unless: &'static [&'static str],
    elsewhere: bool,
}

impl Group {
    const fn unless(mut self, values: &'static [&'static str]) -> Self {
        self.unless = values;
        self
    }

    const fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.keys.split_ascii_whitespace().map(|key| Row {
            path: if self.under.is_empty() { key.to_owned() } else { format!("{}.{key}", self.under) },
            docker: self.docker,
            process: self.process,
            unless: self.unless,
            elsewhere: self.elsewhere,
        })
    }
}

/// Every key of the specification, in the order of their paths.
pub fn table() -> Vec<Row> {
    let mut rows: Vec<Row> = table::APP.iter().chain(table::SERVICES).flat_map(Group::rows).collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

/// The keys a service may have.
pub(crate) fn service_keys() -> impl Iterator<Item = &'static str> {
    table::SERVICES.iter().filter(|g| g.under == "services.*").flat_map(|g| g.keys.split_ascii_whitespace()).filter(|k| !k.contains('.'))
}

/// Complains about every key that has no effect or is refused.
pub(crate) fn check(root: &Node, runtime: RuntimeKind, report: &mut Report) {
    let rows: BTreeMap<String, Row> = table().into_iter().map(|row| (row.path.clone(), row)).collect();
    Walk { rows: &rows, runtime }.entries(root, "", "", report);
}

struct Walk<'a> {
    rows: &'a BTreeMap<String, Row>,
    runtime: RuntimeKind,
}

impl Walk<'_> {
    /// `pattern` is a path of the table, `path` the one of this file.
    fn entries(&self, node: &Node, pattern: &str, path: &str, report: &mut Report) {
        match &node.value {
            Value::Map(entries) => {
                // A key that stands where its mapping does was written by nobody: a stage made it.
                let made = |e: &&Entry| e.key_place == node.place;
                let any = format!("{pattern}.*");
                let named = self.rows.range(format!("{any}.")..).next().is_some_and(|(row, _)| row.starts_with(&any));
                for entry in entries.iter().filter(|e| !e.key.starts_with("x-") && !e.value.is_null() && !made(e)) {
                    let key = if named { any.clone() } else { join(pattern, &entry.key) };
                    self.entry(entry, &key, &join(path, &entry.key), report);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.entries(item, &format!("{pattern}[]"), &format!("{path}[{index}]"), report);
                }
            }
            Value::Scalar(_) => {}
        }
    }

    fn entry(&self, entry: &Entry, pattern: &str, path: &str, report: &mut Report) {
        if report.is_full() {
            return;
        }
        let row = self.rows.get(pattern);
        match row.map(|row| (row, row.under(self.runtime))) {
            Some((row, Support::Ignored(_) | Support::Refused(_))) if row.elsewhere || is_empty(&entry.value, row.unless) => {}
            Some((row, Support::Ignored(reason))) => {
                // Said only where the other runtime would honour it.
                let here = if self.runtime == RuntimeKind::Process && row.docker != row.process { " under `runtime: process`" } else { "" };
                report.warning("not-honoured", entry.key_place, format!("`{path}` is not honoured{here}")).hint(reason);
            }
            Some((_, Support::Refused(reason))) => {
                report.error("refused", entry.key_place, format!("`{path}` is refused: {reason}")).hint(instead(pattern))
            }
            // Free names (of labels, variables, options) have no row, and what they hold is the user's own.
            None if !pattern.ends_with(".*") => {}
            _ => self.entries(&entry.value, pattern, path, report),
        }
    }
}

/// Says nothing: empty, or one of the values that change nothing.
fn is_empty(node: &Node, unless: &[&str]) -> bool {
    match &node.value {
        Value::Scalar(scalar) => unless.contains(&scalar.text.as_str()),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}

/// What to write in place of a refused key.
fn instead(pattern: &str) -> &'static str {
    match pattern {
        "services.*.models" | "services.*.provider" => "run what it stands for as a service with an image of its own",
        "services.*.use_api_socket" => {
            "mount the socket: `volumes: ['/var/run/docker.sock:/var/run/docker.sock']`, which the server's owner can grant"
        }
        "services.*.volumes_from" => "give both services the same named volume",
        "services.*.volumes[].volume.subpath" => "give this service a volume of its own",
        _ if pattern.starts_with("secrets.") || pattern.starts_with("configs.") => "give the value with `file`, `environment` or `content`",
        _ => "remove it, or run this service outside Landfall",
    }
}
