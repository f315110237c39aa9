//! `build` of a service: what is sent to the engine's builder, and what it is told.
//!
//! The builder is the engine's first one, which every engine has and which needs nothing but the engine's API. Keys that only BuildKit understands are
//! kept by name, so that they are complained about where it is known whether anything will be built.

use super::container;
use super::paths::is_remote;
use super::reader::{Field, Fields};
use super::report::{Place, Report};
use super::{path, size};
use crate::build::{Dockerfile, ImageBuild, Recipe};
use crate::name::{AppName, ImageRef, ServiceName};

const BUILDKIT: &str = "only BuildKit understands it, and the engine's own builder is used";
const REMOTE: &str = "only directories of this machine are sent to the builder";
const ONE_HOST: &str = "the engine's builder takes one host";

/// One `build`.
#[derive(Debug, Clone)]
pub(crate) struct BuildFile {
    pub(crate) place: Place,
    pub(crate) build: ImageBuild,
    /// What the builder cannot do, and where it is asked for.
    pub(crate) refused: Vec<(String, Place, &'static str)>,
}

/// Reads it. Compose has made a mapping of the short form, paths absolute, and looked at the types.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Option<BuildFile> {
    let mut fields = Fields::open(field, report)?;
    let mut refused = Vec::new();
    let mut refuse = |field: &Field<'_>, why: &'static str| refused.push((field.path.clone(), field.key_place, why));
    let context = fields.take("context").and_then(|f| {
        let text = f.text(report)?.value;
        if is_remote(&text) {
            refuse(&f, REMOTE);
        }
        Some(text)
    })?;
    let file = fields.take("dockerfile").and_then(|f| f.text(report)).map(|t| t.value);
    let dockerfile = match fields.take("dockerfile_inline").and_then(|f| f.text(report)) {
        Some(text) => Dockerfile::Text(text.value),
        None => Dockerfile::At(path::absolute(&context, file.as_deref().unwrap_or("Dockerfile"))),
    };
    let mut recipe = Recipe {
        args: container::named_values(fields.take("args"), report),
        labels: container::named_values(fields.take("labels"), report),
        target: fields.take("target").and_then(|f| f.text(report)).map(|t| t.value).filter(|t| !t.is_empty()),
        network: fields.take("network").and_then(|f| f.text(report)).map(|t| t.value).filter(|t| !t.is_empty()),
        no_cache: fields.take("no_cache").and_then(|f| f.boolean(report)).is_some_and(|b| b.value),
        pull: fields.take("pull").and_then(|f| f.boolean(report)).is_some_and(|b| b.value),
        ..Recipe::default()
    };
    recipe.shm_bytes = fields.take("shm_size").and_then(|f| f.parsed(report, "a size such as `64m`", size::parse)).map_or(0, |s| s.value);
    if let Some(field) = fields.take("cache_from") {
        for source in field.text_or_texts(report).unwrap_or_default() {
            // `type=registry,ref=NAME` is how BuildKit says it.
            let name = source.value.split(',').find_map(|part| part.strip_prefix("ref=")).unwrap_or(&source.value);
            match name.parse::<ImageRef>() {
                Ok(image) => recipe.cache_from.push(image),
                Err(_) => refuse(&field, BUILDKIT),
            }
        }
    }
    if let Some(field) = fields.take("extra_hosts") {
        let mut hosts = container::extra_hosts(&field, report).into_iter();
        recipe.extra_host = hosts.next();
        if hosts.next().is_some() {
            refuse(&field, ONE_HOST);
        }
    }
    let platforms = fields.take("platforms").and_then(|f| f.text_or_texts(report)).unwrap_or_default();
    recipe.platforms = platforms.into_iter().map(|t| t.value).collect();
    for key in ["additional_contexts", "entitlements", "privileged", "secrets", "ssh", "ulimits"] {
        let given = |f: &Field<'_>| !f.node.is_null() && f.node.scalar().is_none_or(|s| s.text != "false");
        if let Some(field) = fields.take(key).filter(given) {
            refuse(&field, BUILDKIT);
        }
    }
    // These change nothing of the image.
    fields.know(["cache_to", "isolation", "provenance", "sbom", "tags"]);
    fields.finish(report);
    let words = refused.iter().map(|(key, _, why)| (key.clone(), *why)).collect();
    Some(BuildFile { place: field.key_place, build: ImageBuild { unnamed: false, context, dockerfile, recipe, refused: words }, refused })
}

/// What an image is called that its service gives no name: as Compose calls it, where that is a name.
pub(crate) fn name(app: &AppName, service: &ServiceName) -> Option<ImageRef> {
    let name = format!("{app}-{service}").to_lowercase();
    // What stands between letters and digits in a repository's name (the grammar of Docker's distribution); services may be called otherwise.
    let joins = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    let ends = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    let whole = name.split(|c: char| c.is_ascii_alphanumeric()).filter(|run| !run.is_empty()).all(joins);
    if ends && whole { name.parse().ok() } else { None }
}
