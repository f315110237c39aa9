//! `landfall deploy`: from files to a release that serves.
//!
//! Nothing is touched before the files are free of errors, and nothing on the server before every program is built.

use super::{Context, approve};
use crate::build;
use crate::cli::{BuildPlace, Deploy, ProjectArgs};
use crate::client::Client;
use crate::error::{Outcome, Plain};
use crate::program;
use crate::project::{Project, source};
use crate::push;
use crate::rollout::{Ended, detachable, fresh_id, roll_out, tell_serving};
use crate::tag;
use landfall_model::api::Want;
use landfall_model::build::ImageBuild;
use landfall_model::name::{AppName, EnvironmentName, SecretName, ServiceName};
use landfall_model::secret::{Environments, MAX_VALUE, SecretValue, Unset};
use landfall_model::spec::{RuntimeKind, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

/// Stands in a plan for the value that a program would say.
const STAND_IN: &[u8] = b"9c41d07e: not asked for while planning";

/// A project that may be deployed: its files have no errors.
pub struct Ready {
    project: Project,
    spec: Spec,
    builds: BTreeMap<ServiceName, Vec<String>>,
    images: BTreeMap<ServiceName, ImageBuild>,
    given: BTreeMap<SecretName, SecretValue>,
    sources: BTreeMap<SecretName, Vec<String>>,
    environments: Environments,
    unset: Unset,
}

/// Makes a release, or finds that there is nothing to change.
pub async fn run(context: &Context, args: Deploy) -> Outcome<ExitCode> {
    let project = meant(context, args.what.as_deref(), args.project)?.with_rules();
    let project = tag::set(project, &args.tags)?;
    let mut ready = Ready::check(context, project)?;
    tag::choose(&mut ready.spec, &args.tags)?;
    ready.force(&args.force)?;
    ready.approve(context, args.approve)?;
    let client = ready.client(context)?;
    // Before a long build, not after it.
    client.agent().await?;
    let app = ready.app().clone();
    if let Some(place) = args.build.build {
        ready.build(context, &client, place).await?;
    }
    if args.push {
        push::images_of(context, &client, &mut ready.spec).await?;
    }
    let missing = build::settle(context, &client, &mut ready.spec, &ready.images).await?;
    if !missing.is_empty() {
        return Err(build::not_built(&missing).into());
    }
    let ended = detachable(&client, &app, ready.deploy(context, &client)).await?;
    tell_serving(&client, &context.printer, &app, &ended).await?;
    Ok(ExitCode::SUCCESS)
}

/// The project and its environment: a word that the Compose file here declares as an environment is one, anything else a path.
pub(super) fn meant(context: &Context, what: Option<&str>, mut args: ProjectArgs) -> Outcome<Project> {
    let locate = |path: Option<&str>, args: &ProjectArgs| Project::locate(&context.settings, path.map(Path::new), args);
    let Some((word, name)) = what.and_then(|word| Some((word, word.parse::<EnvironmentName>().ok()?))) else { return locate(what, &args) };
    let is_path = context.settings.cwd.join(word).exists();
    let declared = locate(None, &args).map(|project| project.resolve().environments).unwrap_or_default();
    match (declared.contains_key(&name), is_path) {
        (true, true) => {
            Err(Plain::usage("ambiguous", format!("`{word}` is an environment of the Compose file here, and there is `./{word}`"))
                .hint(format!("write `-e {word}` for the environment, `./{word}` for the path"))
                .into())
        }
        (true, false) if args.environment.is_some() => {
            Err(Plain::usage("ambiguous", format!("which environment? `{word}` is one, and `-e` names another")).into())
        }
        (true, false) => {
            args.environment = Some(name);
            locate(None, &args)
        }
        (false, false) if !declared.is_empty() => {
            let names: Vec<&str> = declared.keys().map(EnvironmentName::as_str).collect();
            Err(Plain::usage("unknown-environment", format!("there is no environment `{word}`, and no such path"))
                .hint(format!("environments of the file: {}", names.join(", ")))
                .into())
        }
        (false, _) => locate(what, &args),
    }
}

impl Ready {
    /// Compiles the files and shows every complaint.
    pub fn check(context: &Context, project: Project) -> Outcome<Self> {
        let (spec, output) = project.spec(&context.printer)?;
        Ok(Self {
            project,
            spec,
            builds: output.builds,
            images: output.images,
            given: output.given,
            sources: output.sources_of,
            environments: output.environments,
            unset: output.unset,
        })
    }

    /// Marks services whose replicas are to be replaced although nothing of them changed.
    pub fn force(&mut self, names: &[ServiceName]) -> Outcome {
        for name in names {
            let Some(service) = self.spec.services.get_mut(name) else {
                let known: Vec<&str> = self.spec.services.keys().map(ServiceName::as_str).collect();
                let hint = format!("services of the file: {}", known.join(", "));
                return Err(Plain::usage("no-service", format!("{} has no service `{name}`", self.spec.app)).hint(hint).into());
            };
            service.template.container.forced = fresh_id()?.to_string();
        }
        Ok(())
    }

    /// Which app it is.
    pub fn app(&self) -> &AppName {
        &self.spec.app
    }

    /// Builds every image that has a `build`.
    pub async fn build(&mut self, context: &Context, client: &Client, place: BuildPlace) -> Outcome {
        if self.images.is_empty() && self.spec.runtime == RuntimeKind::Docker {
            let message = format!("no service of {} has a `build`, so there is nothing to build", self.spec.app);
            return Err(Plain::usage("nothing-to-build", message).hint("leave out `--build`, or write `build: ./directory`").into());
        }
        build::all(context, client, &mut self.spec, (&self.images, place)).await
    }

    /// Builds images that there is no other way to.
    pub async fn build_missing(&mut self, context: &Context, client: &Client) -> Outcome {
        let missing = build::settle(context, client, &mut self.spec, &self.images).await?;
        let builds = self.images.iter().filter(|(name, _)| missing.contains(name)).map(|(n, b)| (n.clone(), b.clone())).collect();
        build::all(context, client, &mut self.spec, (&builds, BuildPlace::Auto)).await
    }

    /// Builds programs, digests, and asks the agent for the release.
    pub async fn deploy(self, context: &Context, client: &Client) -> Outcome<Ended> {
        program::build(&self.project.dir, &self.builds, &context.printer)?;
        self.promote(context, client, (None, |_: &mut Spec| Ok(()))).await
    }

    /// Digests, lets the spec be completed, and asks the agent for the release.
    pub async fn promote(
        mut self,
        context: &Context,
        client: &Client,
        (from, complete): (Option<EnvironmentName>, impl FnOnce(&mut Spec) -> Outcome),
    ) -> Outcome<Ended> {
        program::digest(&mut self.spec, false)?;
        complete(&mut self.spec)?;
        let given = self.values().await?;
        let app = self.spec.app.clone();
        roll_out(client, &context.printer, &app, Want::Deploy { spec: Box::new(self.spec), given, unset: self.unset, from }).await
    }

    /// Values of secrets that this machine knows: a program that was named for one wins over variables.
    async fn values(&mut self) -> Outcome<BTreeMap<SecretName, SecretValue>> {
        let mut given = std::mem::take(&mut self.given);
        given.extend(source::ask(&self.project.dir, &self.sources).await?);
        Ok(given)
    }

    /// Somebody agrees, where the environment asks for it.
    pub fn approve(&self, context: &Context, approved: bool) -> Outcome {
        let Some(name) = &self.project.environment else { return Ok(()) };
        if !self.environments.get(name).is_some_and(|environment| environment.approve) {
            return Ok(());
        }
        approve::agree(context, name, &format!("Deploy {} to {name}?", self.spec.app), approved)
    }

    /// A client of the agent it goes to.
    pub fn client(&self, context: &Context) -> Outcome<Client> {
        context.client_of_project(&self.project)
    }

    /// The spec as a plan sees it, without building anything; and the services whose program is not there yet.
    pub async fn unbuilt(mut self, context: &Context, client: &Client) -> Outcome<(Want, Vec<ServiceName>)> {
        let mut unknown = program::digest(&mut self.spec, true)?;
        unknown.extend(build::settle(context, client, &mut self.spec, &self.images).await?);
        let given = self.known_values(context, client).await?;
        Ok((Want::Deploy { spec: Box::new(self.spec), given, unset: self.unset, from: None }, unknown))
    }

    /// The same as far as it is known without running anything: a plan may be made of files that nobody has read yet. What a program would say is taken
    /// to be what the server has; where it has nothing, something stands for it that is never kept.
    async fn known_values(&mut self, context: &Context, client: &Client) -> Outcome<BTreeMap<SecretName, SecretValue>> {
        let mut given = std::mem::take(&mut self.given);
        if self.sources.is_empty() {
            return Ok(given);
        }
        let here: BTreeSet<SecretName> = client.secrets(&self.spec.app).await?.into_iter().map(|secret| secret.name).collect();
        for name in self.sources.keys() {
            given.remove(name);
            if !here.contains(name) {
                let least = self.spec.secrets.get(name).map_or(0, |need| need.min_length);
                let length = usize::try_from(least).unwrap_or(MAX_VALUE).clamp(STAND_IN.len(), MAX_VALUE);
                given.insert(name.clone(), SecretValue::new(STAND_IN.iter().copied().cycle().take(length).collect::<Vec<u8>>()));
            }
        }
        let names: Vec<&str> = self.sources.keys().map(SecretName::as_str).collect();
        context.printer.note(&format!(
            "a plan runs no program: the value of {} is asked for by `deploy` and taken for unchanged here",
            names.join(", ")
        ));
        Ok(given)
    }
}
