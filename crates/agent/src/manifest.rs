//! What a client says an image is. Nothing of this crate is used here: the fuzz target `manifest` reads this file too.

use landfall_model::digest::hex;
use landfall_model::image::{ImageManifest, MAX_CONFIG, MAX_LAYER, MAX_LAYERS};
use landfall_model::name::ImageId;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<ImageId>,
}

/// The image's id, when the manifest is one that holds together; otherwise why it is not.
pub(crate) fn image_of(manifest: &ImageManifest) -> Result<ImageId, String> {
    if manifest.config.len() > MAX_CONFIG || manifest.layers.len() > MAX_LAYERS || manifest.layers.iter().any(|l| l.bytes > MAX_LAYER) {
        return Err("it is larger than an image may be".to_owned());
    }
    let config: Config = serde_json::from_str(&manifest.config).map_err(|e| format!("its configuration: {e}"))?;
    if !config.rootfs.diff_ids.iter().eq(manifest.layers.iter().map(|l| &l.id)) {
        return Err("its layers are not those of its configuration".to_owned());
    }
    format!("sha256:{}", hex(&Sha256::digest(manifest.config.as_bytes()))).parse().map_err(|_| "it has no digest".to_owned())
}
