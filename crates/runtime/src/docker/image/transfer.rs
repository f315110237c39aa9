//! Images without a registry: which layers are here, an archive in, an archive out.
//!
//! The engine takes an archive that lacks layers it has already, as long as they lie on the same layers as in the image: so what counts is how many, from
//! the base up, an image of its own begins with.

use super::look;
use crate::RuntimeError;
use crate::docker::engine::{CALL, Engine, words};
use crate::docker::image::no_image;
use bollard::query_parameters::{ImportImageOptionsBuilder, ListImagesOptionsBuilder};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use landfall_model::name::{ImageId, ImageRef};
use std::time::Duration;

/// Of one archive that is loaded: a large image on a slow disk.
const LOAD: Duration = Duration::from_secs(30 * 60);
/// Questions asked side by side.
const SIDE_BY_SIDE: usize = 8;

pub(super) async fn has_layers(engine: &Engine, layers: &[ImageId]) -> Result<usize, RuntimeError> {
    let client = engine.client().await?;
    // Where containerd keeps the images, an archive must be whole.
    let about = engine.ask("ask the engine about itself", CALL, client.info()).await?.driver_status.unwrap_or_default();
    if about.iter().flatten().any(|word| word.starts_with("io.containerd.snapshotter")) {
        return Ok(0);
    }
    // Layers of images that were left without a name count too.
    let options = ListImagesOptionsBuilder::new().all(false).build();
    let images = engine.ask("list images", CALL, client.list_images(Some(options))).await?;
    let common = |id: String| async move {
        let found = engine.look("look at an image", client.inspect_image(&id)).await?;
        let own = found.and_then(|i| i.root_fs).and_then(|r| r.layers).unwrap_or_default();
        Ok::<_, RuntimeError>(own.iter().zip(layers).take_while(|(own, wanted)| own.as_str() == wanted.as_str()).count())
    };
    let counts = stream::iter(images.into_iter().map(|i| common(i.id))).buffer_unordered(SIDE_BY_SIDE);
    counts.try_fold(0, |most, count| async move { Ok(most.max(count)) }).await
}

pub(super) async fn load(engine: &Engine, archive: BoxStream<'static, std::io::Result<Bytes>>) -> Result<(), RuntimeError> {
    let client = engine.client().await?.clone().with_timeout(LOAD);
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let loading = async {
        let mut said = client.import_image_stream(options, archive, None).boxed();
        while let Some(part) = said.next().await {
            part.map_err(|e| {
                let reason = words(&e);
                let full = reason.to_ascii_lowercase().contains("no space left on device");
                if full { RuntimeError::DiskFull { reason } } else { engine.explain("load the image", e) }
            })?;
        }
        Ok(())
    };
    let late = |_| RuntimeError::TimedOut { doing: "load of the image".into(), seconds: LOAD.as_secs() };
    tokio::time::timeout(LOAD, loading).await.map_err(late)?
}

pub(super) async fn save(
    engine: &Engine,
    image: &ImageRef,
) -> Result<(ImageId, BoxStream<'static, Result<Bytes, RuntimeError>>), RuntimeError> {
    let id = look(engine, image).await?.ok_or_else(|| no_image(image, "this machine's Docker does not have it".into()))?;
    let client = engine.client().await?.clone().with_timeout(LOAD);
    let doing = format!("read image `{image}`");
    let (send, receive) = tokio::sync::mpsc::channel(8);
    let name = image.complete();
    // The client's stream borrows the client; a task of its own keeps both, and ends when nobody reads.
    tokio::spawn(async move {
        let mut pieces = client.export_image(name.as_str()).boxed();
        while let Some(piece) = pieces.next().await {
            if send.send(piece.map_err(|e| RuntimeError::failed(&doing, words(&e)))).await.is_err() {
                return;
            }
        }
    });
    let pieces = stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) });
    Ok((id, pieces.boxed()))
}
