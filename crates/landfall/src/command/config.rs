//! `landfall config`: the files as they are understood, with everything filled in; what `docker compose config` prints.

use super::Context;
use crate::cli::{Config, Format};
use crate::error::Outcome;
use crate::project::Project;
use std::process::ExitCode;

/// Prints it, or the complaints.
pub fn run(context: &Context, args: &Config) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let (_, output) = project.spec(&context.settings, &context.printer)?;
    let config = output.config.unwrap_or_default();
    if context.printer.is_json() || args.format == Format::Json {
        context.printer.json(&config)?;
    } else {
        context.printer.yaml(&config)?;
    }
    Ok(ExitCode::SUCCESS)
}
