//! The project's name: what the caller says, else `COMPOSE_PROJECT_NAME`, else `name:` of the last file that has one, else the directory's.
//!
//! The first two must be good names as they are, the others are made one, as Compose does: `My.App` is `myapp`.

use super::File;
use crate::compose::Input;
use crate::compose::interpolate::Variables;
use crate::compose::node::Kind;
use crate::compose::path;
use crate::compose::report::Report;
use crate::compose::yaml::{Document, shorten};
use crate::diagnostic::Diagnostic;

/// The name; `None` after a complaint.
pub(super) fn name(input: &Input<'_>, files: &[File], variables: &Variables, report: &mut Report) -> Option<String> {
    let variable = variables.values.get("COMPOSE_PROJECT_NAME").map(String::as_str);
    if let Some(given) = input.project_name.or(variable).filter(|n| !n.is_empty()) {
        if plain(given) == given {
            return Some(given.to_owned());
        }
        let message =
            format!("`{}` is no name of a project: lower-case letters, digits, `-` and `_`, first a letter or digit", shorten(given));
        report.push(Diagnostic::error("bad-name", None, message)).maybe_hint(suggestion(given));
        return None;
    }
    let named = |document: &Document| {
        let name = document.name.as_ref();
        name.filter(|n| n.scalar().is_some_and(|s| s.kind != Kind::Null && !s.text.is_empty())).cloned()
    };
    let last = files.iter().flat_map(|f| &f.documents).filter_map(named).next_back();
    let mut from_file = String::new();
    if let Some(node) = &last {
        let text = node.scalar().map(|s| s.text.clone()).unwrap_or_default();
        from_file = plain(&variables.clone().expand(&text, node.place, report).unwrap_or_default());
    }
    if !from_file.is_empty() {
        return Some(from_file);
    }
    // Compose looks for a name that bars the directory's only in the first document of each file.
    let barred = files.iter().filter_map(|f| f.documents.first()).any(|d| named(d).is_some());
    let directory = if barred { String::new() } else { plain(path::base_name(input.project_dir)) };
    if directory.is_empty() && !report.failed() {
        let span = last.and_then(|n| report.span(n.place));
        let message = "the project has no name: nothing is left of it but characters names cannot have";
        report.push(Diagnostic::error("bad-name", span, message)).hint("write `name: my-app` at the top of the file");
    }
    Some(directory).filter(|d| !d.is_empty())
}

fn suggestion(text: &str) -> Option<String> {
    Some(plain(text)).filter(|p| !p.is_empty()).map(|p| format!("use `{p}`"))
}

/// Lower case, without the characters a name cannot have.
fn plain(text: &str) -> String {
    let good = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let kept: String = text.to_lowercase().chars().filter(good).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
