//! `landfall check`: every complaint about the files, and nothing else. Needs no agent and touches nothing.

use super::Context;
use crate::cli::{Check, CheckFormat, Deny};
use crate::error::Outcome;
use crate::output::Checked;
use crate::project::Project;
use std::process::ExitCode;

/// Exits with 2 when there is an error, or a warning under `--deny warnings`.
pub fn run(context: &Context, args: &Check) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?.with_rules();
    let output = project.resolve();
    project.notes(&context.printer);
    let checked = Checked {
        files: project.names(),
        root: &context.settings.cwd,
        diagnostics: &output.diagnostics,
        sources: &output.sources,
        deny_warnings: args.deny == Some(Deny::Warnings),
    };
    match args.format {
        CheckFormat::Sarif => context.printer.sarif(&checked)?,
        CheckFormat::Json => context.printer.json(&checked)?,
        CheckFormat::Text if context.printer.is_json() => context.printer.json(&checked)?,
        CheckFormat::Text => context.printer.checked(&checked)?,
    }
    Ok(ExitCode::from(if checked.ok() { 0 } else { 2 }))
}
