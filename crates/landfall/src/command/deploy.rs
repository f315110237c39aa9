//! `landfall deploy`: from files to a release that serves.
//!
//! Nothing is touched before the files are free of errors, and nothing on the server before every program is built.

use super::Context;
use crate::cli::Deploy;
use crate::client::Client;
use crate::error::Outcome;
use crate::program;
use crate::project::Project;
use crate::push;
use crate::rollout::{Ended, detachable, roll_out, tell_serving};
use crate::tag;
use landfall_model::api::Want;
use landfall_model::name::{AppName, ServiceName};
use landfall_model::spec::Spec;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// A project that may be deployed: its files have no errors.
pub struct Ready {
    project: Project,
    spec: Spec,
    builds: BTreeMap<ServiceName, Vec<String>>,
}

/// Makes a release, or finds that there is nothing to change.
pub async fn run(context: &Context, args: Deploy) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?.with_rules();
    let project = tag::set(project, &args.tags)?;
    let mut ready = Ready::check(context, project)?;
    tag::choose(&mut ready.spec, &args.tags)?;
    let client = context.client();
    // Before a long build, not after it.
    client.agent().await?;
    let app = ready.app().clone();
    if args.push {
        push::images_of(context, &client, &mut ready.spec).await?;
    }
    let ended = detachable(&app, ready.deploy(context, &client)).await?;
    tell_serving(&client, &context.printer, &app, &ended).await?;
    Ok(ExitCode::SUCCESS)
}

impl Ready {
    /// Compiles the files and shows every complaint.
    pub fn check(context: &Context, project: Project) -> Outcome<Self> {
        let (spec, output) = project.spec(&context.printer)?;
        Ok(Self { project, spec, builds: output.builds })
    }

    /// Which app it is.
    pub fn app(&self) -> &AppName {
        &self.spec.app
    }

    /// Builds, digests, and asks the agent for the release.
    pub async fn deploy(mut self, context: &Context, client: &Client) -> Outcome<Ended> {
        program::build(&self.project.dir, &self.builds, &context.printer)?;
        program::digest(&mut self.spec, false)?;
        let app = self.spec.app.clone();
        roll_out(client, &context.printer, &app, Want::Deploy { spec: Box::new(self.spec) }).await
    }

    /// The spec as a plan sees it, without building anything; and the services whose program is not there yet.
    pub fn unbuilt(mut self) -> Outcome<(Spec, Vec<ServiceName>)> {
        let unknown = program::digest(&mut self.spec, true)?;
        Ok((self.spec, unknown))
    }
}
