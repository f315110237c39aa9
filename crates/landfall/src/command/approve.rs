//! `approve: true`: a person agrees to whatever changes what runs in an environment.

use super::Context;
use crate::cli::{AppArgs, ProjectArgs};
use crate::error::{Outcome, Plain};
use crate::project::Project;
use landfall_model::name::{AppName, EnvironmentName};
use std::path::Path;

/// Asks, unless it was agreed to already.
pub(super) fn agree(context: &Context, environment: &EnvironmentName, question: &str, approved: bool) -> Outcome {
    if approved {
        return Ok(());
    }
    let refused = |message: &str| {
        Plain::usage("not-approved", format!("{environment} asks for approval, {message}; nothing was touched"))
            .hint("agree with `--approve`")
    };
    match context.printer.ask(&format!("{question} Type yes to go on:")).as_deref() {
        Some("yes") => Ok(()),
        Some(_) => Err(refused("which was not given").into()),
        None => Err(refused("and nobody can give it here").into()),
    }
}

/// Likewise for a verb that needs no more than the app's name.
pub(super) fn named(context: &Context, args: &AppArgs, app: &AppName, asked: (&str, bool)) -> Outcome {
    let args = ProjectArgs {
        files: args.files.clone(),
        project_directory: args.project_directory.clone(),
        project_name: args.app.clone(),
        environment: args.environment.clone(),
        ..ProjectArgs::default()
    };
    of_app(context, (None, &args), app, asked)
}

/// The app may be called by its environment or by its own name, `shop-production`. Without a Compose file nobody knows what asks for approval.
pub(super) fn of_app(context: &Context, (path, args): (Option<&Path>, &ProjectArgs), app: &AppName, asked: (&str, bool)) -> Outcome {
    let (doing, approved) = asked;
    // With a name alone the file's own is what the environment's is put to.
    let project_name = args.project_name.clone().filter(|_| args.environment.is_some());
    let Ok(project) = Project::locate(&context.settings, path, &ProjectArgs { project_name, ..args.clone() }) else { return Ok(()) };
    let output = project.resolve();
    let Ok(own) = project.app() else { return Ok(()) };
    let is_meant = |name: &EnvironmentName| match &project.environment {
        Some(chosen) => chosen == name,
        None => *app.as_str() == format!("{own}-{name}"),
    };
    match output.environments.iter().find(|(name, environment)| environment.approve && is_meant(name)) {
        Some((name, _)) => agree(context, name, &format!("{doing} {app}?"), approved),
        None => Ok(()),
    }
}
