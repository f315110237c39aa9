//! What surrounds the Compose files: the variables a project has before any of its files is read.
//!
//! The command line needs them, because one of them may name the files (`COMPOSE_FILE`). Nothing is complained about here: whatever is wrong with
//! a file of variables is found again, with its place, when the project is resolved.

use super::dotenv::{self, Format, Layers};
use super::interpolate::Variables;
use super::report::Report;
use super::{Input, env};
use crate::diagnostic::Diagnostic;
use std::collections::BTreeMap;

/// Variables of the process and of the files of variables, as Compose files are interpolated with. Of `input` neither files nor profiles count.
pub fn environment(input: &Input<'_>) -> BTreeMap<String, String> {
    env::variables(input, &mut Report::default()).values.as_ref().clone()
}

/// The variables of one file of variables, or what is wrong with it; complaints hold nothing of its text.
pub fn variables_of(name: &str, text: String) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut report = Report::default();
    let file = report.add_file(name, text, false);
    let layers = Layers { before: &[], after: &BTreeMap::new() };
    let found = dotenv::parse(file, Format::Compose, (layers, &mut Variables::default()), &mut report);
    if report.failed() { Err(report.finish().0) } else { Ok(found) }
}
