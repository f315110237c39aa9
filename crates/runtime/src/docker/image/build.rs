//! Building an image with the engine's own builder (`POST /build`, version 1).
//!
//! Every engine from 18.09 on has it, where containerd keeps the images too, and it needs nothing but one call that takes an archive and answers with
//! lines; BuildKit wants a session of gRPC in the other direction, and does not take an archive from every engine. What is lost (`RUN --mount`, `COPY --chmod`,
//! heredocs) fails at its line, with a hint. Nothing is tagged before the build is whole. Refused: an engine of another platform than is asked for.

use super::Images;
use crate::RuntimeError;
use crate::docker::credential::credentials;
use crate::docker::engine::{CALL, Engine, words};
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptions, TagImageOptionsBuilder};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use landfall_model::build::Recipe;
use landfall_model::image::Login;
use landfall_model::name::{ImageId, ImageRef, RegistryHost};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Lines of a failed build that are handed on.
pub const LOG: usize = 200;
/// Longest line.
const MAX_LINE: usize = 4096;
/// Of a whole build, with the pull of its base images.
const BUILD: Duration = Duration::from_secs(60 * 60);
/// Of one that writes nothing.
const SILENT: Duration = Duration::from_secs(30 * 60);

/// What is to be built.
pub struct Build<'a> {
    /// Name of the Dockerfile in the context.
    pub dockerfile: &'a str,
    /// The rest.
    pub recipe: &'a Recipe,
    /// Logins of registries that base images may come from, before those of the machine's user.
    pub logins: BTreeMap<RegistryHost, Login>,
    /// Registries that base images may come from.
    pub registries: Vec<RegistryHost>,
}

impl Images {
    /// Builds an image of an archive of files and answers its id. `said` gets every line the builder writes.
    pub async fn build(
        &self,
        build: &Build<'_>,
        context: BoxStream<'static, std::io::Result<Bytes>>,
        said: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        fits(&self.engine, &build.recipe.platforms).await?;
        let late = |_| RuntimeError::TimedOut { doing: "the build".into(), seconds: BUILD.as_secs() };
        tokio::time::timeout(BUILD, run(&self.engine, build, context, said)).await.map_err(late)?
    }

    /// Gives an image that is here a name. Answers whether it is here.
    pub async fn name(&self, image: &ImageId, reference: &ImageRef) -> Result<bool, RuntimeError> {
        let whole = reference.complete();
        let (name, tag) = whole.as_str().rsplit_once(':').unwrap_or((whole.as_str(), "latest"));
        let options = TagImageOptionsBuilder::new().repo(name).tag(tag).build();
        let client = self.engine.client().await?;
        let named = self.engine.look(&format!("name image `{whole}`"), client.tag_image(image.as_str(), Some(options))).await?;
        Ok(named.is_some())
    }
}

/// The engine makes images for itself alone.
async fn fits(engine: &Engine, platforms: &[String]) -> Result<(), RuntimeError> {
    if platforms.is_empty() {
        return Ok(());
    }
    let client = engine.client().await?;
    let about = engine.ask("ask the engine about itself", CALL, client.version()).await?;
    let own = format!("{}/{}", about.os.unwrap_or_default(), about.arch.unwrap_or_default());
    // `linux/arm64/v8` is `linux/arm64`.
    let fits = |wanted: &String| *wanted == own || wanted.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/'));
    if platforms.iter().any(fits) {
        return Ok(());
    }
    let reason = format!("this engine makes images for {own}, and `platforms` asks for {}", platforms.join(", "));
    Err(RuntimeError::BuildFailed { step: "the build".into(), reason, log: Vec::new() })
}

async fn run(
    engine: &Engine,
    build: &Build<'_>,
    context: BoxStream<'static, std::io::Result<Bytes>>,
    said: &(dyn Fn(&str) + Send + Sync),
) -> Result<ImageId, RuntimeError> {
    let client = engine.client().await?.clone().with_timeout(SILENT);
    let body = bollard::body_try_stream(context);
    let mut parts = client.build_image(options(build), Some(auths(build)), Some(body)).boxed();
    let mut log = Log::default();
    let mut built: Option<ImageId> = None;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|e| log.failed(engine, e))?;
        built = part.aux.and_then(|aux| aux.id?.parse().ok()).or(built);
        // Of a pull only what has no number in it: the rest is a bar for a terminal.
        let status = part.status.filter(|_| part.progress_detail.is_none()).map(|s| format!("{s}\n"));
        for line in log.add(&part.stream.or(status).unwrap_or_default()) {
            said(&line);
        }
    }
    log.rest().iter().for_each(|line| said(line));
    built.ok_or_else(|| log.broken("the builder ended without an image"))
}

fn options(build: &Build<'_>) -> BuildImageOptions {
    let recipe = build.recipe;
    let map = |of: &BTreeMap<String, String>| of.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<HashMap<_, _>>();
    BuildImageOptions {
        dockerfile: build.dockerfile.to_owned(),
        buildargs: Some(map(&recipe.args)),
        labels: Some(map(&recipe.labels)),
        target: recipe.target.clone().unwrap_or_default(),
        cachefrom: (!recipe.cache_from.is_empty()).then(|| recipe.cache_from.iter().map(|i| i.complete().to_string()).collect()),
        nocache: recipe.no_cache,
        pull: recipe.pull.then(|| "1".to_owned()),
        networkmode: recipe.network.clone(),
        shmsize: i32::try_from(recipe.shm_bytes).ok().filter(|bytes| *bytes > 0),
        extrahosts: recipe.extra_host.clone(),
        rm: true,
        forcerm: true,
        ..BuildImageOptions::default()
    }
}

/// Who the builder is at the registries of base images.
fn auths(build: &Build<'_>) -> HashMap<String, DockerCredentials> {
    let given = |host: &RegistryHost| match build.logins.get(host) {
        Some(login) => Some(DockerCredentials {
            username: Some(login.user.clone()),
            password: Some(login.password.reveal().to_owned()),
            serveraddress: Some(host.to_string()),
            ..DockerCredentials::default()
        }),
        None => credentials(host),
    };
    let address = |host: &RegistryHost| match host.as_str() {
        "docker.io" => super::login::DOCKER_HUB.to_owned(),
        host => host.to_owned(),
    };
    build.registries.iter().filter_map(|host| Some((address(host), given(host)?))).collect()
}

/// What the builder wrote: the step it is at, and the last lines of it.
#[derive(Default)]
struct Log {
    open: String,
    step: Option<String>,
    lines: VecDeque<String>,
}

impl Log {
    /// Takes a piece of text; answers the lines that are whole now.
    fn add(&mut self, text: &str) -> Vec<String> {
        let mut whole = Vec::new();
        for piece in text.split_inclusive(['\n', '\r']) {
            let room = MAX_LINE.saturating_sub(self.open.len());
            self.open.extend(piece.chars().filter(|c| !matches!(c, '\n' | '\r')).take(room));
            if piece.ends_with(['\n', '\r']) {
                whole.extend(self.rest());
            }
        }
        whole
    }

    /// Ends the line that is open, if there is one.
    fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.open);
        // What the builder says of its own containers and layers helps nobody.
        let own = line.starts_with(" ---> ") || line.trim_start_matches("\u{1b}[0m").starts_with("Removing intermediate container ");
        if own || line.trim().is_empty() {
            return None;
        }
        if let Some(rest) = line.strip_prefix("Step ") {
            let (number, what) = rest.split_once(" : ").unwrap_or((rest, ""));
            self.step = Some(format!("step {number} ({})", what.chars().take(120).collect::<String>()));
            self.lines.clear();
        }
        if self.lines.len() >= LOG {
            self.lines.pop_front();
        }
        self.lines.push_back(line.clone());
        Some(line)
    }

    fn broken(&self, reason: impl Into<String>) -> RuntimeError {
        let step = self.step.clone().unwrap_or_else(|| "the build".to_owned());
        RuntimeError::BuildFailed { step, reason: reason.into(), log: self.lines.iter().cloned().collect() }
    }

    fn failed(&self, engine: &Engine, error: bollard::errors::Error) -> RuntimeError {
        use bollard::errors::Error;
        match &error {
            Error::DockerStreamError { .. } | Error::DockerResponseServerError { .. } => {
                let reason = words(&error);
                let full = reason.to_ascii_lowercase().contains("no space left on device");
                if full { RuntimeError::DiskFull { reason } } else { self.broken(reason) }
            }
            _ => engine.explain("build the image", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_fails_names_its_step_and_shows_what_it_wrote() {
        let mut log = Log::default();
        assert_eq!(log.add("Step 1/2 : FROM scr"), Vec::<String>::new());
        assert_eq!(log.add("atch\n ---> x\n\nRemoving intermediate container x\ny\n"), ["Step 1/2 : FROM scratch", "y"]);
        log.add("Step 2/2 : RUN make\ncc: err");
        log.rest();
        let RuntimeError::BuildFailed { step, log, .. } = log.broken("no") else { panic!() };
        assert_eq!((step.as_str(), log), ("step 2/2 (RUN make)", vec!["Step 2/2 : RUN make".to_owned(), "cc: err".to_owned()]));
        let endless = (0..2 * LOG).map(|n| format!("{n}\n")).collect::<String>() + &"x".repeat(2 * MAX_LINE);
        let mut log = Log::default();
        log.add(&endless);
        assert_eq!((log.lines.len(), log.rest().map(|l| l.len())), (LOG, Some(MAX_LINE)));
    }

    #[test]
    fn a_recipe_becomes_what_the_engine_is_asked_for() {
        let recipe = Recipe { args: [("A".into(), "b c".into())].into(), target: Some("final".into()), pull: true, ..Recipe::default() };
        let build = Build { dockerfile: "d/Dockerfile", recipe: &recipe, logins: BTreeMap::new(), registries: Vec::new() };
        let options = options(&build);
        assert_eq!((options.dockerfile.as_str(), options.target.as_str(), options.pull.as_deref()), ("d/Dockerfile", "final", Some("1")));
        assert_eq!(options.buildargs.unwrap()["A"], "b c");
        assert_eq!((options.shmsize, options.cachefrom, options.networkmode), (None, None, None));
    }
}
