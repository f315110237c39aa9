//! `landfall schema`: the JSON Schema of a Compose file with `x-landfall`, for the `# yaml-language-server: $schema=…` line of editors.

use super::Context;
use crate::error::Outcome;
use landfall_model::compose::extension;
use std::process::ExitCode;

/// Prints it.
pub fn run(context: &Context) -> Outcome<ExitCode> {
    context.printer.json(&extension::schema())?;
    Ok(ExitCode::SUCCESS)
}
