//! Images of the engine: fetched from registries, put together from layers that were sent, given away as an archive, deleted.
//!
//! What is no business of a replica: the agent asks for it through [`Images`], which runtimes without images do not have. The command line uses the
//! same to read the images of the machine it runs on.

mod build;
mod login;
mod pull;
mod remove;
mod transfer;

pub use build::{Build, LOG as BUILD_LOG};
pub use pull::PullLimits;
pub(crate) use pull::{no_image, pull};

use crate::RuntimeError;
use crate::docker::about;
use crate::docker::engine::Engine;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use landfall_model::image::Login;
use landfall_model::name::{ImageId, ImageRef, RegistryHost};
use landfall_model::observed::ImageAbout;
use std::sync::Arc;

/// The images of one engine.
pub struct Images {
    engine: Arc<Engine>,
}

impl Images {
    pub(crate) fn of(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The engine that `DOCKER_HOST` names, or the one at its usual socket.
    pub fn of_host(host: Option<&str>) -> Self {
        Self::of(Arc::new(Engine::of_host(host)))
    }

    /// Whether there is an engine.
    pub async fn answers(&self) -> bool {
        self.engine.client().await.is_ok()
    }

    /// What a reference stands for here.
    pub async fn look(&self, image: &ImageRef) -> Result<Option<ImageId>, RuntimeError> {
        look(&self.engine, image).await
    }

    /// Whether a registry takes a login; its answer when it does not.
    pub async fn try_login(&self, host: &RegistryHost, login: &Login) -> Result<(), RuntimeError> {
        login::check(&self.engine, host, login).await
    }

    /// How many of these layers, from the base up, the engine has one on top of the other: it needs no archive of them.
    pub async fn has_layers(&self, layers: &[ImageId]) -> Result<usize, RuntimeError> {
        transfer::has_layers(&self.engine, layers).await
    }

    /// Loads an archive as `docker save` writes it.
    pub async fn load(&self, archive: BoxStream<'static, std::io::Result<Bytes>>) -> Result<(), RuntimeError> {
        transfer::load(&self.engine, archive).await
    }

    /// An image as `docker save` writes it, and the id it has now.
    pub async fn save(&self, image: &ImageRef) -> Result<(ImageId, BoxStream<'static, Result<Bytes, RuntimeError>>), RuntimeError> {
        transfer::save(&self.engine, image).await
    }

    /// Bytes of an image, when it is here and nobody calls it by another name than ours: then it may be deleted.
    pub async fn removable(&self, id: &ImageId, ours: &[ImageRef]) -> Result<Option<u64>, RuntimeError> {
        remove::removable(&self.engine, id, ours).await
    }

    /// Deletes it unless a container needs it. Answers whether it is gone.
    pub async fn remove(&self, id: &ImageId, ours: &[ImageRef]) -> Result<bool, RuntimeError> {
        remove::remove(&self.engine, id, ours).await
    }
}

/// What a reference stands for here.
pub(crate) async fn look(engine: &Engine, image: &ImageRef) -> Result<Option<ImageId>, RuntimeError> {
    Ok(inspect(engine, image).await?.map(|(id, _)| id))
}

/// Likewise, with what the image says of its containers.
pub(crate) async fn inspect(engine: &Engine, image: &ImageRef) -> Result<Option<(ImageId, ImageAbout)>, RuntimeError> {
    let client = engine.client().await?;
    let found = engine.look(&format!("look at image `{image}`"), client.inspect_image(image.as_str())).await?;
    Ok(found.and_then(|i| Some((i.id.as_ref()?.parse().ok()?, about::of(&i)))))
}

/// What an image says, by its name or id as the engine writes it.
pub(crate) async fn about_of(engine: &Engine, image: &str) -> Result<Option<ImageAbout>, RuntimeError> {
    let client = engine.client().await?;
    Ok(engine.look(&format!("look at image `{image}`"), client.inspect_image(image)).await?.map(|i| about::of(&i)))
}
