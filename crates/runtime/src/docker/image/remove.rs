//! Deleting an image that came through Landfall, and nothing that anybody else gave a name.

use crate::RuntimeError;
use crate::docker::engine::{Engine, MAKE, status};
use bollard::query_parameters::RemoveImageOptionsBuilder;
use landfall_model::name::{ImageId, ImageRef};

pub(super) async fn removable(engine: &Engine, id: &ImageId, ours: &[ImageRef]) -> Result<Option<u64>, RuntimeError> {
    let client = engine.client().await?;
    let Some(found) = engine.look("look at an image", client.inspect_image(id.as_str())).await? else { return Ok(None) };
    let others = found.repo_tags.unwrap_or_default().into_iter().any(|tag| !ours.iter().any(|image| names(&tag, &image.complete())));
    Ok((!others).then(|| u64::try_from(found.size.unwrap_or_default()).unwrap_or_default()))
}

pub(super) async fn remove(engine: &Engine, id: &ImageId, ours: &[ImageRef]) -> Result<bool, RuntimeError> {
    let client = engine.client().await?;
    let found = engine.look("look at an image", client.inspect_image(id.as_str())).await?;
    let tags = found.and_then(|i| i.repo_tags).unwrap_or_default();
    // By its names where it has ours, so that an image that is called something else in this very moment stays; by its id where its names have moved on.
    let mut names: Vec<&str> =
        tags.iter().filter(|tag| ours.iter().any(|image| names(tag, &image.complete()))).map(String::as_str).collect();
    if names.is_empty() {
        names.push(id.as_str());
    }
    for name in names {
        if !remove_name(engine, name).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn remove_name(engine: &Engine, name: &str) -> Result<bool, RuntimeError> {
    let client = engine.client().await?;
    let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
    let doing = format!("delete image `{name}`");
    let answer = tokio::time::timeout(MAKE, client.remove_image(name, Some(options), None)).await;
    match answer.map_err(|_| RuntimeError::TimedOut { doing: doing.clone(), seconds: MAKE.as_secs() })? {
        Ok(_) => Ok(true),
        Err(e) if status(&e) == Some(404) => Ok(true),
        // A container, running or not, or an image built on it needs it.
        Err(e) if status(&e) == Some(409) => Ok(false),
        Err(e) => Err(engine.explain(&doing, e)),
    }
}

/// A tag as the engine lists it is the one that is meant; the engine leaves out `docker.io/` and `library/`.
fn names(tag: &str, reference: &ImageRef) -> bool {
    let bare = |name: &str| {
        let name = name.split('@').next().unwrap_or(name).to_owned();
        let name = name.strip_prefix("docker.io/").unwrap_or(&name).to_owned();
        name.strip_prefix("library/").map(str::to_owned).unwrap_or(name)
    };
    bare(tag) == bare(reference.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_has_its_name_in_several_spellings() {
        let image: ImageRef = "docker.io/library/postgres:15".parse().unwrap();
        assert!(names("postgres:15", &image) && names("docker.io/library/postgres:15", &image));
        assert!(!names("postgres:16", &image) && !names("ghcr.io/postgres:15", &image));
    }
}
