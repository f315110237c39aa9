//! Images of `build:` sections: built by this machine's Docker and sent without a registry, or by the server's.
//!
//! The context is read here in both cases. Built here is the usual case: the cache and the logins of whoever deploys are used, the server's processors stay
//! with its apps, and only layers travel that it lacks. The server builds when it is asked to, or when there is no Docker here. An image without a name is tagged with
//! its content, and every release is pinned to what was built for it, so a rollback runs the old image and builds nothing.

mod base;
mod context;
mod ignore;

use crate::cli::BuildPlace;
use crate::client::Client;
use crate::command::Context;
use crate::error::{Outcome, Plain, Remote};
use crate::output::BuildView;
use crate::push;
use context::Context as Files;
use landfall_model::build::{BuildNews, BuildRequest, Built, ImageBuild, NameImage, by_content};
use landfall_model::name::{ImageRef, ServiceName};
use landfall_model::spec::{Program, PullPolicy, Spec};
use landfall_runtime::docker::{Build, Images};
use std::collections::{BTreeMap, BTreeSet};

/// Builds every image of these sections and pins the spec to what came of it.
pub async fn all(
    context: &Context,
    client: &Client,
    spec: &mut Spec,
    (builds, place): (&BTreeMap<ServiceName, ImageBuild>, BuildPlace),
) -> Outcome {
    let images = Images::of_host(std::env::var("DOCKER_HOST").ok().as_deref());
    // Found out once, and before the first build.
    let here = match place {
        BuildPlace::Here => true,
        BuildPlace::Server => false,
        BuildPlace::Auto => images.answers().await,
    };
    if place == BuildPlace::Auto && !here {
        context.printer.note("there is no Docker on this machine: the server builds");
    }
    let mut done: BTreeSet<ImageRef> = BTreeSet::new();
    for (service, build) in builds {
        let Some((name, _)) = program(spec, service) else { continue };
        let name = name.clone();
        if done.contains(&name) {
            continue;
        }
        if let Some((key, why)) = build.refused.first() {
            return Err(Plain::usage("build-refused", format!("`{service}` cannot be built: `{key}`: {why}"))
                .hint(format!("build it elsewhere (`docker buildx build --load -t {name} …`) and `landfall deploy --push`"))
                .into());
        }
        let files = Files::list(&build.context, &build.dockerfile)?;
        let view = context.printer.build(service.as_str(), files.files(), files.bytes);
        let built = if here {
            build_here((context, client), &images, (&name, build), files, &view).await
        } else {
            build_there(client, (&name, build), files, &view).await
        };
        // Whatever it ended with is told below the line.
        view.pause();
        let built = built?;
        view.done(&built.reference);
        pin(spec, &name, &built);
        done.insert(name);
    }
    Ok(())
}

/// Gives services whose image has no name and was not built now the image of the release that serves. Answers those that are left without one.
pub async fn settle(
    context: &Context,
    client: &Client,
    spec: &mut Spec,
    builds: &BTreeMap<ServiceName, ImageBuild>,
) -> Outcome<Vec<ServiceName>> {
    let lacks = |name: &ServiceName| matches!(program(spec, name), Some((reference, false)) if reference.complete() != *reference);
    let mut left: Vec<ServiceName> =
        builds.iter().filter(|(name, build)| build.unnamed && lacks(name)).map(|(name, _)| name.clone()).collect();
    if left.is_empty() {
        return Ok(left);
    }
    let status = client.apps().await?.into_iter().find(|status| status.app == spec.app);
    let Some(release) = status.and_then(|status| status.release) else { return Ok(left) };
    let serves = client.release_spec(&spec.app, release).await?;
    left.retain(|name| {
        let theirs = serves.services.get(name).map(|service| service.template.program.clone());
        let (Some(service), Some(theirs)) = (spec.services.get_mut(name), theirs) else { return true };
        if !is_built(&theirs, &service.template.program) {
            return true;
        }
        service.template.program = theirs;
        if !context.printer.is_json() {
            context.printer.note(&format!("{name} keeps the image of release {release}; `--build` builds it anew"));
        }
        false
    });
    Ok(left)
}

/// A program that was built for the same name. What a service was before it had a `build` is not that.
fn is_built(theirs: &Program, ours: &Program) -> bool {
    match (theirs, ours) {
        (Program::Image { reference, pinned: Some(_), .. }, Program::Image { reference: name, .. }) => {
            reference.as_ref().strip_prefix(name.as_ref()).is_some_and(|tag| tag.starts_with(':'))
        }
        _ => false,
    }
}

/// Why a deploy cannot go on without these images.
pub fn not_built(services: &[ServiceName]) -> Plain {
    let names: Vec<&str> = services.iter().map(|s| s.as_str()).collect();
    let plural = if names.len() == 1 { "is" } else { "are" };
    Plain::usage("not-built", format!("{} {plural} made by `build`, and no release has an image yet", names.join(", ")))
        .hint("`landfall deploy --build` builds it here and sends it; `--build=server` has the server build it")
}

/// The image of a service, and whether it is pinned.
fn program<'a>(spec: &'a Spec, name: &ServiceName) -> Option<(&'a ImageRef, bool)> {
    match &spec.services.get(name)?.template.program {
        Program::Image { reference, pinned, .. } => Some((reference, pinned.is_some())),
        Program::Executable { .. } => None,
    }
}

/// On this machine, and then the layers that the server lacks.
async fn build_here(
    (context, client): (&Context, &Client),
    images: &Images,
    (name, build): (&ImageRef, &ImageBuild),
    files: Files,
    view: &BuildView,
) -> Outcome<Built> {
    let registries = base::registries(&files.text, &build.recipe);
    let dockerfile = files.dockerfile.clone();
    let what = Build { dockerfile: &dockerfile, recipe: &build.recipe, logins: BTreeMap::new(), registries };
    let image = images.build(&what, files.archive(), &|line| view.line(line)).await.map_err(push::local)?;
    images.name(&image, name).await.map_err(push::local)?;
    let reference = if build.unnamed { by_content(name, &image) } else { name.complete() };
    // This machine may be the server, or the server may have the image under another name.
    let asked = NameImage { image: image.clone(), reference: reference.clone() };
    if !client.name_image(&asked).await?.here {
        view.pause();
        let sent = push::send(context, client, images, (name, &reference)).await?;
        if !context.printer.is_json() {
            context.printer.note(&sent.line());
        }
    }
    Ok(Built { reference, image })
}

/// On the server.
async fn build_there(client: &Client, (name, build): (&ImageRef, &ImageBuild), files: Files, view: &BuildView) -> Outcome<Built> {
    let request = BuildRequest {
        name: name.clone(),
        by_content: build.unnamed,
        dockerfile: files.dockerfile.clone(),
        registries: base::registries(&files.text, &build.recipe),
        recipe: build.recipe.clone(),
    };
    let mut building = client.build(&request, files.archive()).await?;
    loop {
        match building.next().await? {
            BuildNews::Said { line } => view.line(&line),
            BuildNews::Done(built) => return Ok(built),
            BuildNews::Failed(failure) => return Err(Remote::failed(failure).into()),
        }
    }
}

/// Every service that names the image runs what was built: a worker often has the image of another service and no `build` of its own.
fn pin(spec: &mut Spec, name: &ImageRef, built: &Built) {
    for service in spec.services.values_mut() {
        if let Program::Image { reference, pinned, pull } = &mut service.template.program
            && reference == name
        {
            (*reference, *pinned, *pull) = (built.reference.clone(), Some(built.image.clone()), PullPolicy::Missing);
        }
    }
}
