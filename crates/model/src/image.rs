//! Images on their way to a server, and away from it: logins of registries, what is sent when there is no registry, what is deleted.
//!
//! The words of `/v1/registries`, `/v1/images` and `/v1/prune`. A password is written to the wire and shown nowhere.

use crate::name::{ImageId, ImageRef, RegistryHost};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest password or token of a registry, bytes: cloud providers hand out tokens of some thousands.
pub const MAX_PASSWORD: usize = 16 * 1024;
/// Longest configuration of an image, bytes.
pub const MAX_CONFIG: usize = 1024 * 1024;
/// Most layers of an image. The engine's own bound is 125 or 127, by its storage driver.
pub const MAX_LAYERS: usize = 256;
/// Largest layer that is sent, bytes.
pub const MAX_LAYER: u64 = 16 * 1024 * 1024 * 1024;
/// Largest piece of a layer in one request, bytes.
pub const MAX_PIECE: usize = 2 * 1024 * 1024;

/// A password or token. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text itself, for the one who sends it to the registry.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// `PUT /v1/registries/{host}`: who the server is at a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password or token.
    pub password: Password,
}

/// One line of `GET /v1/registries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryStatus {
    /// Which.
    pub host: RegistryHost,
    /// The account.
    pub user: String,
    /// Who logged the server in.
    pub who: String,
    /// When, milliseconds since 1970 UTC.
    pub at_ms: u64,
}

/// `POST /v1/images` asks what is missing of an image, and `POST /v1/images/load` has it put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageManifest {
    /// What the image is to be called.
    pub reference: ImageRef,
    /// Its configuration, whose digest is the image's id; it lists the layers.
    pub config: String,
    /// In order, from the base up.
    pub layers: Vec<Layer>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// SHA-256 of its archive, uncompressed.
    pub id: ImageId,
    /// Of that archive.
    pub bytes: u64,
}

/// Answer to `POST /v1/images`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The image's id.
    pub image: ImageId,
    /// The server has the image under that name: nothing is left to do.
    pub here: bool,
    /// Layers it lacks, in order.
    pub layers: Vec<WantedLayer>,
}

/// A layer the server lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedLayer {
    /// Which.
    pub id: ImageId,
    /// Bytes that an earlier attempt left there: go on with the next.
    pub has: u64,
}

/// Answer to `PUT /v1/layers/{id}?at=…&of=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Bytes the server has now. Not what was sent makes it so when another piece was expected.
    pub has: u64,
}

/// Answer to `POST /v1/images/load`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The image's id.
    pub image: ImageId,
}

/// `POST /v1/prune`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneRequest {
    /// Only say what would go.
    pub dry_run: bool,
}

/// What was pruned, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Images that no release needs.
    pub images: Vec<PrunedImage>,
    /// How many images of Landfall's stay.
    pub kept: usize,
}

impl Pruned {
    /// Bytes of the images, as the engine counts them. Layers they share with images that stay are among them, so less may become free.
    pub fn bytes(&self) -> u64 {
        self.images.iter().map(|image| image.bytes).sum()
    }
}

/// An image that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedImage {
    /// As it was called when it came.
    pub reference: ImageRef,
    /// Which.
    pub id: ImageId,
    /// As the engine counts them.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let login = Login { user: "ci".into(), password: Password::new("canary") };
        assert!(!format!("{login:?}").contains("canary"));
    }
}
