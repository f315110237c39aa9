//! `landfall config`: the files as they are understood, with everything filled in; what `docker compose config` prints.
//!
//! It prints whatever Compose would take, also what Landfall refuses to deploy: the question is what the file says. The complaints go to standard
//! error all the same.

use super::Context;
use crate::cli::{Config, Format};
use crate::error::{Outcome, Plain};
use crate::project::Project;
use landfall_model::compose::Output;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Prints it, or the complaints.
pub fn run(context: &Context, args: &Config) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?;
    let output = project.resolve();
    project.notes(&context.printer);
    let Some(config) = &output.config else {
        if context.printer.is_json() {
            context.printer.json_line(&serde_json::json!({ "ok": false, "diagnostics": output.diagnostics }))?;
        } else {
            context.printer.diagnostics(&output.diagnostics, &output.sources);
        }
        return Err(project.bad(&output).into());
    };
    if !args.quiet {
        context.printer.diagnostics(&output.diagnostics, &output.sources);
    }
    let text = match names(args, config) {
        Some(names) => names.iter().map(|name| format!("{name}\n")).collect(),
        None if args.quiet => return Ok(ExitCode::SUCCESS),
        None => whole(context, args, &output)?,
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

fn whole(context: &Context, args: &Config, output: &Output) -> Outcome<String> {
    let config = output.config.as_ref().unwrap_or(&Value::Null);
    if context.printer.is_json() || args.format == Format::Json {
        let text = serde_json::to_string_pretty(config).map_err(|e| Plain::failed("json", "cannot write JSON").because(e))?;
        return Ok(text + "\n");
    }
    Ok(crate::output::yaml(config))
}

/// The part that was asked for, one name per line.
fn names(args: &Config, config: &Value) -> Option<BTreeSet<String>> {
    let keys = |section: &str| config[section].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    let services = || config["services"].as_object().into_iter().flatten().map(|(_, service)| service);
    if args.services {
        Some(keys("services"))
    } else if args.volumes {
        Some(keys("volumes"))
    } else if args.images {
        Some(services().filter_map(|service| Some(service["image"].as_str()?.to_owned())).collect())
    } else {
        None
    }
}
