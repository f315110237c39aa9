//! `landfall config`: the files as they are understood, with everything filled in; what `docker compose config` prints.
//!
//! It prints whatever Compose would take, also what Landfall refuses to deploy: the question is what the file says. What only Landfall objects to is
//! no error here: one line says how many objections there are, and `landfall check` shows them. Warnings go to standard error.

use super::Context;
use crate::cli::{Config, Format};
use crate::error::{Outcome, Plain};
use crate::project::{Project, count};
use landfall_model::compose::Model;
use landfall_model::diagnostic::Severity;
use std::process::ExitCode;

/// Prints it, or the complaints.
pub fn run(context: &Context, args: &Config) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let output = project.resolve();
    project.notes(&context.printer);
    let Some(model) = &output.model else {
        if context.printer.is_json() {
            context.printer.json_line(&serde_json::json!({ "ok": false, "diagnostics": output.diagnostics }))?;
        } else {
            context.printer.diagnostics(&output.diagnostics, &output.sources);
        }
        return Err(project.bad(&output).into());
    };
    if !args.quiet {
        let (errors, warnings): (Vec<_>, Vec<_>) = output.diagnostics.iter().cloned().partition(|d| d.severity == Severity::Error);
        context.printer.diagnostics(&warnings, &output.sources);
        if !errors.is_empty() {
            let errors = count(errors.len(), "error");
            context.printer.warning(&format!("Docker Compose accepts this, but Landfall does not: `landfall check` shows {errors}"));
        }
    }
    let text = match names(args, model)? {
        Some(names) => names.into_iter().map(|name| name + "\n").collect(),
        None if args.quiet => return Ok(ExitCode::SUCCESS),
        None if context.printer.is_json() || args.format == Format::Json => model.json_text(),
        None => model.yaml(),
    };
    match &args.output {
        Some(path) => {
            let path = context.settings.cwd.join(path);
            let failed = |e| Plain::failed("cannot-write", format!("cannot write {}", path.display())).because(e);
            std::fs::write(&path, text).map_err(failed)?;
        }
        None => context.printer.text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The part that was asked for, one per line.
fn names(args: &Config, model: &Model) -> Outcome<Option<Vec<String>>> {
    if let Some(wanted) = &args.hash {
        return hashes(wanted, model).map(Some);
    }
    Ok(if args.services {
        Some(model.services())
    } else if args.volumes {
        Some(model.volumes())
    } else if args.images {
        Some(model.images())
    } else if args.profile_names {
        Some(model.profiles())
    } else {
        None
    })
}

/// `NAME DIGEST` of every service, or of those named, with commas between them.
fn hashes(wanted: &str, model: &Model) -> Outcome<Vec<String>> {
    let all = model.hashes();
    let unknown = wanted.split(',').find(|name| *name != "*" && all.iter().all(|(service, _)| service != name));
    if let Some(name) = unknown {
        return Err(Plain::usage("no-service", format!("there is no service `{name}`"))
            .hint("`landfall config --services` lists them")
            .into());
    }
    let asked = |name: &str| wanted.split(',').any(|word| word == "*" || word == name);
    Ok(all.into_iter().filter(|(name, _)| asked(name)).map(|(name, hash)| format!("{name} {hash}")).collect())
}
