//! `landfall init`: a first `x-landfall` in a Compose file that somebody wrote.
//!
//! What is written is read again before it replaces anything, together with the project's other files: if the file would have an error it did not
//! have, it stays as it is. Variables that are not set yet are no such error; that they are complained about from now on is the purpose.

use super::Context;
use crate::cli::Init;
use crate::error::{Outcome, Plain};
use crate::project::{Project, count};
use landfall_model::compose::init::{Refusal, Written, init};
use landfall_model::compose::without_secrets;
use landfall_model::diagnostic::Severity;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Writes it, or shows what would be written.
pub fn run(context: &Context, args: &Init) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let name = project.names().first().map_or("-", String::as_str);
    if name == "-" {
        return Err(Plain::usage("no-file", "standard input cannot be written to").hint("name the file: `landfall init PATH`").into());
    }
    let text = project.read(name)?;
    let written = match init(&text) {
        Ok(written) => written,
        Err(refusal) => return Err(refused(context, &project, name, refusal)),
    };
    demand_no_new_error(&project, name, &written)?;
    if args.dry_run {
        context.printer.diff(name, &without_secrets(&text), &without_secrets(&written.text))?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = context.settings.cwd.join(name);
    replace(&path, &written.text).map_err(|e| Plain::failed("cannot-write", format!("cannot write {}", path.display())).because(e))?;
    tell(context, name, &written)?;
    Ok(ExitCode::SUCCESS)
}

fn refused(context: &Context, project: &Project, name: &str, refusal: Refusal) -> crate::error::Problem {
    let error = Plain::usage("cannot-init", format!("nothing is written into {name}: {refusal}"));
    let error = match refusal {
        Refusal::Unreadable => {
            let output = project.resolve();
            context.printer.diagnostics(&output.diagnostics, &output.sources);
            error.hint("mend the file first: `landfall check`")
        }
        Refusal::Already => {
            error.hint("`landfall check` says what is wrong with it; `landfall schema --reference` shows every key it may have")
        }
        Refusal::Several => error.hint("put the documents into files of their own and name them with `-f`"),
        Refusal::NoServices => error.hint("write `services:` and under it one entry per program"),
        Refusal::Strange => error.hint("write it yourself: `landfall schema --reference` shows every key"),
    };
    error.into()
}

/// Errors of the project with the new text that it does not have with the old.
fn demand_no_new_error(project: &Project, name: &str, written: &Written) -> Outcome {
    let before: BTreeSet<String> = project.resolve().diagnostics.into_iter().map(|d| d.message).collect();
    let after = project.resolve_with(name, &written.text).diagnostics;
    let new = after.into_iter().find(|d| d.severity == Severity::Error && d.code != "env-missing" && !before.contains(&d.message));
    match new {
        None => Ok(()),
        Some(error) => Err(Plain::usage("cannot-init", format!("nothing is written into {name}: with it, {}", error.message))
            .hint("write it yourself: `landfall schema --reference` shows every key")
            .into()),
    }
}

/// Puts a new file in the old one's place: whole or not at all, with the old one's permissions. A link stays, its file is replaced.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let permissions = path.metadata()?.permissions();
    let beside =
        path.with_file_name(format!(".{}.landfall-{}", path.file_name().unwrap_or_default().to_string_lossy(), std::process::id()));
    let done = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(permissions)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    })();
    if done.is_err() {
        // Whatever is left of it is ours; the error that counts is the first one.
        let _ = std::fs::remove_file(&beside);
    }
    done
}

fn tell(context: &Context, name: &str, written: &Written) -> Outcome {
    if context.printer.is_json() {
        let routes: Vec<_> = written
            .routed
            .iter()
            .map(|(service, port, route)| serde_json::json!({ "service": service, "port": port, "route": route }))
            .collect();
        return context.printer.json(&serde_json::json!({ "file": name, "routes": routes, "env": written.variables }));
    }
    context.printer.done(&format!("x-landfall is written into {name}"))?;
    for (service, port, route) in &written.routed {
        context.printer.line(&format!("  {route} leads to {service} on port {port}"))?;
    }
    if written.routed.is_empty() {
        context.printer.line("  no service publishes a port that may be HTTP: give one `x-landfall: { port: …, routes: [/] }`")?;
    }
    if !written.variables.is_empty() {
        context.printer.line(&format!("  {} in the contract of `env`", count(written.variables.len(), "variable")))?;
    }
    context.printer.line("next: `landfall check`, then `landfall up`")
}
