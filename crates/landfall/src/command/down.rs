//! `landfall down`: an app's replicas and networks gone; with `--volumes` and a typed confirmation, its data too.
//!
//! A supervisor that `up --detach` left running ends with the last app.

use super::{Context, approve};
use crate::cli::{Down, ProjectArgs};
use crate::client::Client;
use crate::error::{Outcome, Plain};
use crate::output::took;
use crate::project::Project;
use crate::rollout::{Ended, detachable, roll_out};
use crate::supervise::Record;
use landfall_model::api::{AppStatus, Want};
use landfall_model::name::AppName;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What must be typed before data is deleted. Agreed in PRODUCT.md; scripts contain it.
const CONFIRMATION: &str = "RESET_ALL_VOLUMES";
/// Longest wait for a supervisor's end: its proxy's drain limit and a margin.
const SUPERVISOR_LIMIT: Duration = Duration::from_secs(45);

/// Stops the app.
pub async fn run(context: &Context, args: Down) -> Outcome<ExitCode> {
    let (app, client) = which(context, args.app.as_deref(), &args.project)?;
    agree(context, args.app.as_deref(), &args.project, (&app, "Take down", args.approve))?;
    if args.volumes {
        confirm(context, (&client, &app), args.confirm.as_deref(), "down")?;
    }
    let want = Want::Down { volumes: args.volumes };
    let ended = detachable(&client, &app, roll_out(&client, &context.printer, &app, want)).await?;
    let took_ms = if let Ended::Done { took_ms, .. } = ended { took_ms } else { 0 };
    let supervisor = end_supervisor(context, &client).await?;
    if context.printer.is_json() {
        context.printer.json_line(
            &serde_json::json!({ "app": app, "down": true, "volumes": args.volumes, "took_ms": took_ms, "supervisor_ended": supervisor }),
        )?;
    } else {
        let data = if args.volumes { "the volumes that were its own are deleted" } else { "its volumes are kept" };
        context.printer.done(&format!("{app} is down; {data} ({})", took(took_ms)))?;
        if supervisor {
            context.printer.note("no app is left: agent and proxy have ended");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The app that is meant, and a client of its agent. A word without a slash that names no file is the app's name.
pub(super) fn which(context: &Context, typed: Option<&str>, args: &ProjectArgs) -> Outcome<(AppName, Client)> {
    let path = typed.filter(|typed| is_path(context, typed));
    let named = match typed.filter(|_| path.is_none()) {
        Some(typed) => Some(typed.parse::<AppName>().map_err(|e| Plain::usage("bad-name", e.to_string()))?),
        None => args.project_name.clone(),
    };
    if let (Some(name), None) = (&named, &args.environment) {
        return Ok((name.clone(), context.client()));
    }
    let args = ProjectArgs { project_name: named, ..args.clone() };
    let project = Project::locate(&context.settings, path.map(Path::new), &args)?;
    Ok((project.app()?, context.client_of_project(&project)?))
}

fn is_path(context: &Context, typed: &str) -> bool {
    typed.contains('/') || typed == "." || typed == ".." || context.settings.cwd.join(typed).is_file()
}

/// Somebody agrees, where the environment asks for it.
pub(super) fn agree(context: &Context, typed: Option<&str>, args: &ProjectArgs, (app, doing, approved): (&AppName, &str, bool)) -> Outcome {
    let path = typed.filter(|typed| is_path(context, typed)).map(Path::new);
    approve::of_app(context, (path, args), app, (doing, approved))
}

/// Data is deleted only when somebody typed that it should be.
pub(super) fn confirm(context: &Context, (client, app): (&Client, &AppName), given: Option<&str>, verb: &str) -> Outcome {
    let refused = |message: String| {
        Plain::usage("not-confirmed", message)
            .hint(format!("to delete all data of {app}: `landfall {verb} {app}{} --volumes --confirm {CONFIRMATION}`", client.at()))
    };
    if given == Some(CONFIRMATION) {
        return Ok(());
    }
    if given.is_some() {
        return Err(refused("the confirmation is not right; nothing was touched".to_owned()).into());
    }
    context.printer.warning(&format!("this deletes every volume of {app} and all data in them, for good"));
    match context.printer.ask(&format!("Type {CONFIRMATION} to go on:")).as_deref() {
        Some(CONFIRMATION) => Ok(()),
        Some(_) => Err(refused("not confirmed; nothing was touched".to_owned()).into()),
        None => Err(refused("deleting volumes needs a confirmation, and nobody can type it here; nothing was touched".to_owned()).into()),
    }
}

/// Ends a detached supervisor that has no app left. Answers whether it did.
async fn end_supervisor(context: &Context, client: &Client) -> Outcome<bool> {
    // That of a server belongs to it.
    if context.settings.server.is_some() {
        return Ok(false);
    }
    let Some(record) = Record::alive(&context.settings.home).filter(|record| record.detached) else { return Ok(false) };
    if client.apps().await?.iter().any(has_something) {
        return Ok(false);
    }
    record.signal(rustix::process::Signal::TERM);
    let ended = async {
        while Record::alive(&context.settings.home).is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(SUPERVISOR_LIMIT, ended).await {
        Ok(()) => Ok(true),
        Err(_) => {
            context.printer.warning(&format!("the supervisor (process {}) still ends", record.pid));
            Ok(false)
        }
    }
}

fn has_something(app: &AppStatus) -> bool {
    app.rollout.is_some() || app.services.iter().any(|service| !service.job && !service.replicas.is_empty())
}
