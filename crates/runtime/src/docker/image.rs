//! Images: which are here, and fetching those that are not.

use crate::RuntimeError;
use crate::docker::credential::credentials;
use crate::docker::engine::{CALL, Engine, words};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use landfall_model::name::{ImageId, ImageRef};
use landfall_model::spec::PullPolicy;
use std::time::{Duration, Instant};

/// Bound of one pull.
const PULL: Duration = Duration::from_secs(15 * 60);
/// How long a pull may stand still.
const STALL: Duration = Duration::from_secs(120);
/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(1);

/// What a reference stands for here.
pub(crate) async fn look(engine: &Engine, image: &ImageRef) -> Result<Option<ImageId>, RuntimeError> {
    let client = engine.client().await?;
    let found = engine.look(&format!("look at image `{image}`"), client.inspect_image(image.as_str())).await?;
    Ok(found.and_then(|i| i.id).and_then(|id| id.parse().ok()))
}

pub(crate) async fn pull(
    engine: &Engine,
    image: &ImageRef,
    policy: PullPolicy,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<ImageId, RuntimeError> {
    let here = look(engine, image).await?;
    match (policy, here) {
        (PullPolicy::Missing | PullPolicy::Never, Some(id)) => return Ok(id),
        (PullPolicy::Never, None) => return Err(no_image(image, "it is not on this server, and its pull policy is `never`".into())),
        _ => {}
    }
    let client = engine.client().await?;
    let doing = format!("pull of `{image}`");
    let fetched = tokio::time::timeout(PULL, fetch(client, image, progress));
    match fetched.await.map_err(|_| RuntimeError::TimedOut { doing: doing.clone(), seconds: PULL.as_secs() })? {
        Ok(()) => {}
        Err(Stop::Stalled) => return Err(RuntimeError::TimedOut { doing: format!("next part of the {doing}"), seconds: STALL.as_secs() }),
        Err(Stop::Refused(e)) => return Err(explain(engine, image, e)),
    }
    look(engine, image).await?.ok_or_else(|| no_image(image, "the registry answered, but the image is not here".into()))
}

enum Stop {
    Stalled,
    Refused(Error),
}

async fn fetch(client: &Docker, image: &ImageRef, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Stop> {
    let options = CreateImageOptionsBuilder::new().from_image(&complete(image)).build();
    // The answer's head may come only after the registry answered, which the stall limit bounds.
    let client = client.clone().with_timeout(STALL);
    let mut parts = client.create_image(Some(options), None, credentials(image)).boxed();
    let mut told: Option<Instant> = None;
    loop {
        let part = match tokio::time::timeout(STALL, parts.next()).await {
            Err(_) => return Err(Stop::Stalled),
            Ok(None) => return Ok(()),
            Ok(Some(part)) => part.map_err(Stop::Refused)?,
        };
        if told.is_none_or(|t| t.elapsed() >= TELL)
            && let Some(line) = line(image, &part)
        {
            progress(line);
            told = Some(Instant::now());
        }
    }
}

/// Without tag and digest the engine would fetch every tag there is.
fn complete(image: &ImageRef) -> String {
    let name = image.as_str();
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

fn line(image: &ImageRef, part: &CreateImageInfo) -> Option<String> {
    let status = part.status.as_deref().filter(|s| !s.is_empty())?;
    let detail = part.progress_detail.as_ref();
    let megabytes = |bytes: i64| bytes / 1_000_000;
    let amount = detail.and_then(|d| Some(format!(", {} of {} MB", megabytes(d.current?), megabytes(d.total?)))).unwrap_or_default();
    Some(match &part.id {
        Some(id) => format!("{image}: {id} {}{amount}", status.to_lowercase()),
        None => format!("{image}: {status}"),
    })
}

/// Which of three things went wrong. Registries have no common codes, and the engine hands on their words.
fn explain(engine: &Engine, image: &ImageRef, error: Error) -> RuntimeError {
    let said = words(&error);
    let lower = said.to_ascii_lowercase();
    let any = |signs: &[&str]| signs.iter().any(|s| lower.contains(s));
    if any(&["unauthorized", "denied", "no basic auth credentials", "authentication required", "forbidden"]) {
        return no_image(image, format!("its registry refuses: {said}; it may not exist, or need `docker login` on the server"));
    }
    if any(&["not found", "manifest unknown", "name unknown", "does not exist", "invalid reference", "no matching manifest"]) {
        return no_image(image, format!("its registry does not have it: {said}"));
    }
    if any(&[
        "dial tcp",
        "no such host",
        "connection refused",
        "i/o timeout",
        "tls handshake",
        "context deadline",
        "request canceled",
        "server gave http response",
        "eof",
    ]) {
        return no_image(image, format!("its registry cannot be reached: {said}"));
    }
    match engine.explain(&format!("pull `{image}`"), error) {
        RuntimeError::TimedOut { doing, .. } => RuntimeError::TimedOut { doing, seconds: STALL.as_secs().max(CALL.as_secs()) },
        other => other,
    }
}

pub(crate) fn no_image(image: &ImageRef, reason: String) -> RuntimeError {
    RuntimeError::NoImage { image: image.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn one_tag_is_fetched_never_all_of_them() {
        for (given, asked) in [
            ("postgres", "postgres:latest"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("postgres:15", "postgres:15"),
            (
                "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ),
        ] {
            assert_eq!(complete(&given.parse().unwrap()), asked);
        }
    }

    #[test]
    fn a_refusal_a_missing_image_and_a_registry_out_of_reach_are_told_apart() {
        let engine = Engine::at(Path::new("/x"));
        let reason = |said: &str| match explain(
            &engine,
            &"ghcr.io/a/b:1".parse().unwrap(),
            Error::DockerResponseServerError { status_code: 500, message: said.into() },
        ) {
            RuntimeError::NoImage { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason("pull access denied for a/b, repository does not exist or may require 'docker login'").contains("refuses"));
        assert!(reason("manifest for ghcr.io/a/b:1 not found: manifest unknown").contains("does not have it"));
        assert!(reason("Get \"https://ghcr.io/v2/\": dial tcp: lookup ghcr.io: no such host").contains("cannot be reached"));
    }
}
