//! `landfall schema`: the JSON Schema of a Compose file with `x-landfall`, for the `# yaml-language-server: $schema=…` line of editors; or the same
//! for people, as a commented file.

use super::Context;
use crate::cli::Schema;
use crate::error::Outcome;
use landfall_model::compose::extension;
use std::process::ExitCode;

/// Prints it.
pub fn run(context: &Context, args: &Schema) -> Outcome<ExitCode> {
    if args.reference {
        context.printer.text(&extension::reference())?;
    } else {
        context.printer.json(&extension::schema())?;
    }
    Ok(ExitCode::SUCCESS)
}
