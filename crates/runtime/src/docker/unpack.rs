//! The files of a directory of an image.
//!
//! A container is made of the image and never started, so nothing of the image runs and nothing changes while the engine reads; it has no network
//! and is removed at the end. The engine sends an archive, which is handed on unread.

use crate::RuntimeError;
use crate::docker::engine::{Engine, MAKE, status};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::StreamExt as _;
use landfall_model::digest::digest;
use landfall_model::name::ImageId;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Of the whole.
const UNPACK: Duration = Duration::from_secs(10 * 60);

pub(crate) async fn files(
    engine: &Engine,
    image: &ImageId,
    path: &str,
    into: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<(), RuntimeError> {
    // One name for one wish: what an agent left that died in the middle is in the way of nobody but the next to wish the same.
    let name = format!("landfall-files-{}", digest(&(image, path)).short());
    remove(engine, &name).await?;
    let body = ContainerCreateBody {
        image: Some(image.to_string()),
        // Never run. An image without a command of its own could not be made a container of otherwise.
        cmd: Some(vec!["none".into()]),
        host_config: Some(HostConfig { network_mode: Some("none".into()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let client = engine.client().await?;
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    engine.ask(&format!("look into image `{image}`"), MAKE, client.create_container(Some(options), body)).await?;
    let copied = tokio::time::timeout(UNPACK, copy(engine, &name, path, into)).await;
    let removed = remove(engine, &name).await;
    copied.map_err(|_| RuntimeError::TimedOut { doing: format!("copy of `{path}`"), seconds: UNPACK.as_secs() })??;
    removed
}

async fn copy(engine: &Engine, name: &str, path: &str, into: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), RuntimeError> {
    let doing = format!("copy `{path}` out of the image");
    let client = engine.client().await?.clone().with_timeout(UNPACK);
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut pieces = client.download_from_container(name, Some(options)).boxed();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| match status(&e) {
            Some(404) => RuntimeError::failed(&doing, "the image has no such directory"),
            _ => engine.explain(&doing, e),
        })?;
        into.write_all(&piece).await.map_err(|e| RuntimeError::failed(&doing, e))?;
    }
    into.shutdown().await.map_err(|e| RuntimeError::failed(&doing, e))
}

async fn remove(engine: &Engine, name: &str) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    engine.look("remove a container that never ran", client.remove_container(name, Some(options))).await.map(drop)
}
