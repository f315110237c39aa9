//! What `landfall check` found: as text with a line that sums it up, and as JSON. SARIF is in [`super::sarif`].

use super::style::{ERROR, FAINT, GOOD, STRONG, WARNING, harmless, paint};
use crate::project::count;
use landfall_model::diagnostic::{Diagnostic, Severity};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The complaints about a project.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// Its Compose files, as people know them.
    pub files: &'a [String],
    /// What their names are relative to.
    pub root: &'a Path,
    /// In the order a reader meets them.
    pub diagnostics: &'a [Diagnostic],
    /// Texts by file.
    pub sources: &'a BTreeMap<String, String>,
    /// Warnings are failures too.
    pub deny_warnings: bool,
}

impl Checked<'_> {
    /// How many are that bad.
    pub fn number(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }

    /// Whether the files pass.
    pub fn ok(&self) -> bool {
        self.number(Severity::Error) == 0 && !(self.deny_warnings && self.number(Severity::Warning) > 0)
    }

    /// One line: which files, how many complaints.
    pub fn summary(&self) -> String {
        let (errors, warnings) = (self.number(Severity::Error), self.number(Severity::Warning));
        let files = paint(STRONG, harmless(&self.files.join(", ")));
        let parts = [(errors, "error", ERROR), (warnings, "warning", WARNING)];
        let told: Vec<String> = parts.iter().filter(|(n, ..)| *n > 0).map(|(n, word, style)| paint(*style, count(*n, word))).collect();
        let told = if told.is_empty() { "nothing to complain about".to_owned() } else { told.join(", ") };
        let denied = if errors == 0 && !self.ok() { " (denied)" } else { "" };
        let mark = if self.ok() { paint(GOOD, "✔") } else { paint(ERROR, "✘") };
        format!("{mark} {files}: {told}{denied}")
    }

    /// Where more is said about these complaints.
    pub fn more(&self) -> Option<String> {
        let codes: BTreeSet<&str> = self.diagnostics.iter().map(|d| d.code.as_str()).collect();
        let known: Vec<&str> = codes.into_iter().filter(|code| landfall_model::code::find(code).is_some()).collect();
        let first = known.first()?;
        let others = if known.len() > 1 { format!(" (likewise {})", shortened(&known[1..])) } else { String::new() };
        Some(paint(FAINT, format!("`landfall explain {first}` says why and what to do{others}")))
    }
}

/// A few words, and how many more there are.
fn shortened(words: &[&str]) -> String {
    const FEW: usize = 4;
    let more = words.len().saturating_sub(FEW);
    let few = words.iter().take(FEW).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{few} and {more} more") } else { few }
}

impl Serialize for Checked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Checked", 5)?;
        out.serialize_field("ok", &self.ok())?;
        out.serialize_field("files", self.files)?;
        out.serialize_field("errors", &self.number(Severity::Error))?;
        out.serialize_field("warnings", &self.number(Severity::Warning))?;
        out.serialize_field("diagnostics", self.diagnostics)?;
        out.end()
    }
}
