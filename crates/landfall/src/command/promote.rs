//! `landfall promote staging production`: the images that one environment runs, with the values of another.
//!
//! The file says what the target is; each image is the very content the source's release has. A service that the source does not run, or runs from
//! another image, is refused: it was never tried.

use super::Context;
use super::deploy::Ready;
use crate::cli::Promote;
use crate::error::{Outcome, Plain};
use crate::project::Project;
use crate::rollout::{detachable, tell_serving};
use landfall_model::name::EnvironmentName;
use landfall_model::spec::{Program, Spec};
use std::process::ExitCode;

/// Deploys to the target what the source runs.
pub async fn run(context: &Context, mut args: Promote) -> Outcome<ExitCode> {
    let of = |environment: &EnvironmentName, args: &mut Promote| {
        args.project.environment = Some(environment.clone());
        Project::locate(&context.settings, None, &args.project)
    };
    let (from, to) = (args.from.clone(), args.to.clone());
    let source = of(&from, &mut args)?;
    let target = of(&to, &mut args)?.with_rules();
    let tried = running(context, &source, &from).await?;
    let ready = Ready::check(context, target)?;
    ready.approve(context, args.approve)?;
    let client = ready.client(context)?;
    let app = ready.app().clone();
    let ended =
        detachable(&client, &app, ready.promote(context, &client, (Some(from.clone()), |spec: &mut Spec| pin(spec, &tried, &from))))
            .await?;
    tell_serving(&client, &context.printer, &app, &ended).await?;
    Ok(ExitCode::SUCCESS)
}

/// The spec of the release that serves in an environment.
async fn running(context: &Context, source: &Project, from: &EnvironmentName) -> Outcome<Spec> {
    let (client, app) = (context.client_of_project(source)?, source.app()?);
    let nothing =
        || Plain::usage("no-release", format!("{from} runs no release to promote")).hint(format!("`landfall deploy {from}` makes one"));
    let release = client.app(&app).await?.release.ok_or_else(nothing)?;
    Ok(client.release_spec(&app, release).await?)
}

/// Puts the content the source runs into the target's spec.
fn pin(spec: &mut Spec, tried: &Spec, from: &EnvironmentName) -> Outcome {
    for (name, service) in &mut spec.services {
        let there = tried.services.get(name).map(|s| &s.template.program);
        let refused = |why: &str| {
            Plain::usage("not-tried", format!("`{name}` cannot be promoted: {why}")).hint(format!("`landfall deploy {from}` first"))
        };
        match (&mut service.template.program, there) {
            (_, None) => return Err(refused(&format!("{from} does not run it")).into()),
            (Program::Image { reference, pinned, .. }, Some(Program::Image { reference: other, pinned: Some(content), .. })) => {
                *reference = other.clone();
                *pinned = Some(content.clone());
            }
            (Program::Executable { path, sha256 }, Some(Program::Executable { path: other, sha256: content })) => {
                if sha256 != content {
                    return Err(refused(&format!("its program is not the one that {from} runs")).into());
                }
                (*path, *sha256) = (other.clone(), content.clone());
            }
            (_, Some(_)) => return Err(refused(&format!("{from} runs it otherwise")).into()),
        }
    }
    Ok(())
}
