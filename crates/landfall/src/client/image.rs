//! Registries, images that are sent, and images that are deleted.

use super::{Client, ClientError, body};
use bytes::Bytes;
use http::Method;
use landfall_model::build::{NameImage, Named};
use landfall_model::image::{ImageManifest, Loaded, Login, PruneRequest, Pruned, Received, RegistryStatus, Wanted};
use landfall_model::name::{ImageId, RegistryHost};
use std::time::Duration;

/// For what the engine does with a whole image.
const ENGINE: Duration = Duration::from_secs(35 * 60);

impl Client {
    /// Registries the server is logged in to.
    pub async fn registries(&self) -> Result<Vec<RegistryStatus>, ClientError> {
        self.get("/v1/registries").await
    }

    /// Logs the server in.
    pub async fn log_in(&self, host: &RegistryHost, login: &Login) -> Result<(), ClientError> {
        self.call(Method::PUT, &format!("/v1/registries/{host}"), &body(login)?).await
    }

    /// Forgets a login.
    pub async fn log_out(&self, host: &RegistryHost) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/v1/registries/{host}"), &Bytes::new()).await
    }

    /// What the server lacks of an image.
    pub async fn wanted(&self, manifest: &ImageManifest) -> Result<Wanted, ClientError> {
        self.call(Method::POST, "/v1/images", &body(manifest)?).await
    }

    /// Sends a piece of a layer. Sent twice it counts once.
    pub async fn send_piece(&self, layer: &ImageId, (at, of): (u64, u64), piece: &Bytes) -> Result<Received, ClientError> {
        self.call(Method::PUT, &format!("/v1/layers/{layer}?at={at}&of={of}"), piece).await
    }

    /// Has the server put an image together of what it has.
    pub async fn load_image(&self, manifest: &ImageManifest) -> Result<Loaded, ClientError> {
        self.call_within(ENGINE, (Method::POST, "/v1/images/load"), &body(manifest)?).await
    }

    /// Gives an image the server has a name. Answers whether it has it.
    pub async fn name_image(&self, named: &NameImage) -> Result<Named, ClientError> {
        self.call(Method::POST, "/v1/images/name", &body(named)?).await
    }

    /// Deletes images that no release needs.
    pub async fn prune(&self, request: PruneRequest) -> Result<Pruned, ClientError> {
        self.call_within(ENGINE, (Method::POST, "/v1/prune"), &body(&request)?).await
    }
}
