//! Fetching an image that is not here, within bounds, and saying what stands in the way.
//!
//! A registry that cannot be reached for a moment is asked again after a pause; one that refuses, or does not have the image, is not. Layers that came
//! are kept by the engine, so that another attempt goes on where the last one ended.

use super::look;
use crate::RuntimeError;
use crate::docker::credential::credentials;
use crate::docker::engine::{CALL, Engine, words};
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use landfall_model::image::Login;
use landfall_model::name::{ImageId, ImageRef, RegistryHost};
use landfall_model::spec::PullPolicy;
use std::time::{Duration, Instant};

/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(1);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct PullLimits {
    /// One pull, with all its attempts.
    pub whole: Duration,
    /// A pull that stands still.
    pub stall: Duration,
    /// Before the second attempt; it doubles with each one.
    pub pause: Duration,
    /// Attempts in all.
    pub attempts: u32,
}

impl Default for PullLimits {
    fn default() -> Self {
        Self { whole: Duration::from_secs(15 * 60), stall: Duration::from_secs(120), pause: Duration::from_secs(1), attempts: 4 }
    }
}

pub(crate) async fn pull(
    engine: &Engine,
    limits: &PullLimits,
    image: &ImageRef,
    (policy, login): (PullPolicy, Option<&Login>),
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<ImageId, RuntimeError> {
    let here = look(engine, image).await?;
    match (policy, here) {
        (PullPolicy::Missing | PullPolicy::Never, Some(id)) => return Ok(id),
        (PullPolicy::Never, None) => return Err(no_image(image, "it is not on this server, and its pull policy is `never`".into())),
        _ => {}
    }
    let late = |_| RuntimeError::TimedOut { doing: format!("pull of `{image}`"), seconds: limits.whole.as_secs() };
    tokio::time::timeout(limits.whole, attempts(engine, limits, image, login, progress)).await.map_err(late)??;
    look(engine, image).await?.ok_or_else(|| no_image(image, "the registry answered, but the image is not here".into()))
}

async fn attempts(
    engine: &Engine,
    limits: &PullLimits,
    image: &ImageRef,
    login: Option<&Login>,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<(), RuntimeError> {
    let mut pause = limits.pause;
    let mut left = limits.attempts;
    loop {
        left = left.saturating_sub(1);
        let error = match fetch(engine, limits, image, login, progress).await {
            Ok(()) => return Ok(()),
            Err(Stop::Stalled) => {
                RuntimeError::TimedOut { doing: format!("next part of the pull of `{image}`"), seconds: limits.stall.as_secs() }
            }
            Err(Stop::Refused(e)) => explain(engine, limits, image, e),
        };
        if left == 0 || !passes(&error) {
            return Err(wanted_for(error, image));
        }
        progress(format!("{error}; tried again in {} s", pause.as_secs().max(1)));
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Says which image was wanted of a registry that is away.
fn wanted_for(error: RuntimeError, image: &ImageRef) -> RuntimeError {
    match error {
        RuntimeError::RegistryAway { registry, reason } => {
            RuntimeError::RegistryAway { registry, reason: format!("{reason} (the image `{image}` cannot be had)") }
        }
        other => other,
    }
}

/// It may go away by itself.
fn passes(error: &RuntimeError) -> bool {
    match error {
        RuntimeError::RegistryAway { reason, .. } => !is_about_trust(&reason.to_ascii_lowercase()),
        RuntimeError::TimedOut { .. } => true,
        _ => false,
    }
}

enum Stop {
    Stalled,
    Refused(Error),
}

async fn fetch(
    engine: &Engine,
    limits: &PullLimits,
    image: &ImageRef,
    login: Option<&Login>,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<(), Stop> {
    let whole = image.complete();
    let options = CreateImageOptionsBuilder::new().from_image(whole.as_str()).build();
    // The answer's head may come only after the registry answered, which the stall limit bounds.
    let client = engine.client().await.map_err(|_| Stop::Stalled)?.clone().with_timeout(limits.stall);
    let registry = image.registry();
    let auth = match login {
        Some(login) => Some(DockerCredentials {
            username: Some(login.user.clone()),
            password: Some(login.password.reveal().to_owned()),
            serveraddress: Some(registry.to_string()),
            ..DockerCredentials::default()
        }),
        None => credentials(&registry),
    };
    let mut parts = client.create_image(Some(options), None, auth).boxed();
    let mut told: Option<Instant> = None;
    loop {
        let part = match tokio::time::timeout(limits.stall, parts.next()).await {
            Err(_) => return Err(Stop::Stalled),
            Ok(None) => return Ok(()),
            Ok(Some(part)) => part.map_err(Stop::Refused)?,
        };
        if told.is_none_or(|t| t.elapsed() >= TELL)
            && let Some(line) = line(&part)
        {
            progress(line);
            told = Some(Instant::now());
        }
    }
}

fn line(part: &CreateImageInfo) -> Option<String> {
    let status = part.status.as_deref().filter(|s| !s.is_empty())?;
    let detail = part.progress_detail.as_ref();
    let megabytes = |bytes: i64| bytes / 1_000_000;
    let amount = detail.and_then(|d| Some(format!(", {} of {} MB", megabytes(d.current?), megabytes(d.total?)))).unwrap_or_default();
    Some(match &part.id {
        Some(id) => format!("{id} {}{amount}", status.to_lowercase()),
        None => status.to_owned(),
    })
}

/// Which of the things that go wrong went wrong.
fn explain(engine: &Engine, limits: &PullLimits, image: &ImageRef, error: Error) -> RuntimeError {
    let said = words(&error);
    let lower = said.to_ascii_lowercase();
    let any = |signs: &[&str]| signs.iter().any(|s| lower.contains(s));
    if any(&["unauthorized", "denied", "no basic auth credentials", "authentication required", "forbidden"]) {
        return RuntimeError::NotAllowed { image: image.to_string(), registry: image.registry().to_string(), reason: said };
    }
    if any(&["not found", "manifest unknown", "name unknown", "does not exist", "invalid reference", "no matching manifest"]) {
        return no_image(image, format!("its registry does not have it: {said}"));
    }
    if let Some(known) = sort(&image.registry(), &said) {
        return known;
    }
    match engine.explain(&format!("pull `{image}`"), error) {
        RuntimeError::TimedOut { doing, .. } => RuntimeError::TimedOut { doing, seconds: limits.stall.as_secs().max(CALL.as_secs()) },
        other => other,
    }
}

/// What is wrong with a registry, or with this server, by the engine's words: registries have no common codes.
pub(super) fn sort(registry: &RegistryHost, said: &str) -> Option<RuntimeError> {
    let lower = said.to_ascii_lowercase();
    let any = |signs: &[&str]| signs.iter().any(|s| lower.contains(s));
    if any(&["no space left on device", "disk quota exceeded"]) {
        return Some(RuntimeError::DiskFull { reason: said.to_owned() });
    }
    let away = any(&[
        "dial tcp",
        "no such host",
        "connection refused",
        "connection reset",
        "i/o timeout",
        "tls handshake",
        "context deadline",
        "client.timeout",
        "request canceled",
        "toomanyrequests",
        "bad gateway",
        "service unavailable",
        "internal server error",
        "eof",
    ]) || is_about_trust(&lower);
    away.then(|| RuntimeError::RegistryAway { registry: registry.to_string(), reason: said.to_owned() })
}

/// The server does not trust the registry, or the registry speaks no TLS: time heals neither.
pub(crate) fn is_about_trust(lower: &str) -> bool {
    ["x509", "certificate", "server gave http response"].iter().any(|s| lower.contains(s))
}

pub(crate) fn no_image(image: &ImageRef, reason: String) -> RuntimeError {
    RuntimeError::NoImage { image: image.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_stands_in_the_way_is_told_apart_and_only_what_passes_is_tried_again() {
        let engine = Engine::at(Path::new("/x"));
        let error = |said: &str| {
            let answer = Error::DockerResponseServerError { status_code: 500, message: said.into() };
            explain(&engine, &PullLimits::default(), &"ghcr.io/a/b:1".parse().unwrap(), answer)
        };
        for (said, code, again) in [
            ("pull access denied for a/b, repository does not exist or may require 'docker login'", "registry-refuses", false),
            ("Get \"https://ghcr.io/v2/\": no basic auth credentials", "registry-refuses", false),
            ("manifest for ghcr.io/a/b:1 not found: manifest unknown", "no-image", false),
            ("Get \"https://ghcr.io/v2/\": dial tcp: lookup ghcr.io: no such host", "registry-away", true),
            ("Get \"https://ghcr.io/v2/\": x509: certificate signed by unknown authority", "registry-away", false),
            ("toomanyrequests: You have reached your pull rate limit", "registry-away", true),
            ("write /var/lib/docker/tmp/x: no space left on device", "disk-full", false),
        ] {
            let error = error(said);
            assert_eq!((error.code(), passes(&error)), (code, again), "{said}");
            assert!(!error.hints().is_empty(), "{said}");
        }
    }
}
