//! `landfall check`: every complaint about the files, and nothing else. Needs no agent and touches nothing.

use super::Context;
use crate::cli::Check;
use crate::error::Outcome;
use crate::project::{Project, count};
use landfall_model::diagnostic::Severity;
use std::process::ExitCode;

/// Exits with 2 when there is an error; warnings are no failure.
pub fn run(context: &Context, args: &Check) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let output = project.resolve(&context.settings)?;
    let errors = output.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = output.diagnostics.len() - errors;
    let ok = output.spec.is_some();
    if context.printer.is_json() {
        context.printer.json(&serde_json::json!({ "ok": ok, "diagnostics": output.diagnostics }))?;
    } else {
        context.printer.diagnostics(&output.diagnostics, &output.sources);
        let also = if warnings > 0 { format!(", {}", count(warnings, "warning")) } else { String::new() };
        if ok {
            context.printer.done(&format!("{}: no errors{also}", project.files()))?;
        } else {
            context.printer.line(&format!("{}: {}{also}", project.files(), count(errors, "error")))?;
        }
    }
    Ok(ExitCode::from(if ok { 0 } else { 2 }))
}
