//! An image as the engine saves it, on disk, and where each layer is in it.
//!
//! Engines write the same archive in several ways: layers in folders or as blobs, links for layers that occur twice, and, where containerd keeps the images,
//! layers that are compressed. A layer's name is the digest of the uncompressed archive, so compressed ones are unpacked here. Refused: archives
//! that do not say what they hold, and more than there may be.

use super::saved::Saved;
use crate::error::{Outcome, Plain};
use crate::output::Transfer;
use futures_util::stream::{BoxStream, StreamExt as _};
use landfall_model::image::{ImageManifest, Layer};
use landfall_model::name::{ImageId, ImageRef};
use landfall_runtime::RuntimeError;
use std::io::Write as _;

/// Bytes of an archive.
const MAX_BYTES: u64 = 32 * 1024 * 1024 * 1024;

/// One image, saved.
pub struct Archive(Saved);

impl Archive {
    /// Keeps what the engine saves in a file without a name, and finds its parts.
    pub async fn read(
        image: &ImageRef,
        mut stream: BoxStream<'static, Result<bytes::Bytes, RuntimeError>>,
        mut shown: Transfer,
    ) -> Outcome<Self> {
        let failed =
            |why: String| Plain::failed("image-unreadable", format!("{image} cannot be read from this machine's Docker")).because(why);
        let mut saved = tempfile::tempfile().map_err(|e| failed(e.to_string()))?;
        let mut bytes = 0;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|e| failed(e.to_string()))?;
            bytes += piece.len() as u64;
            if bytes > MAX_BYTES {
                return Err(failed(format!("it is larger than {MAX_BYTES} bytes")).into());
            }
            saved.write_all(&piece).map_err(|e| failed(e.to_string()))?;
            shown.add(piece.len() as u64);
        }
        shown.finish();
        Ok(Self(Saved::index(saved).map_err(|e| failed(e.to_string()))?))
    }

    /// What the server is asked about.
    pub fn manifest(&self, image: &ImageRef) -> ImageManifest {
        let layer = |id: &ImageId| Layer { id: id.clone(), bytes: self.0.bytes_of(id) };
        ImageManifest { reference: image.complete(), config: self.0.config.clone(), layers: self.0.order.iter().map(layer).collect() }
    }

    /// Of all layers.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Of one.
    pub fn bytes_of(&self, id: &ImageId) -> u64 {
        self.0.bytes_of(id)
    }

    /// Bytes of a layer from `at`, at most `most`.
    pub fn piece(&self, id: &ImageId, at: u64, most: usize) -> Outcome<Vec<u8>> {
        let piece = self.0.piece(id, at, most);
        Ok(piece.map_err(|e| Plain::failed("image-unreadable", "the saved image cannot be read").because(e))?)
    }
}
