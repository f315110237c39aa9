//! What a client says an image is. One that is taken holds together by another reader's look at its JSON, is not larger than an image may be, and has the
//! digest of its configuration.

#![no_main]

#[path = "../../crates/agent/src/manifest.rs"]
mod manifest;

use landfall_model::image::{ImageManifest, MAX_CONFIG, MAX_LAYER, MAX_LAYERS};
use manifest::image_of;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(manifest) = serde_json::from_slice::<ImageManifest>(data) else { return };
    let written = serde_json::to_vec(&manifest).expect("it is written");
    assert_eq!(serde_json::from_slice::<ImageManifest>(&written).ok().as_ref(), Some(&manifest));
    // Every layer becomes a file's name.
    assert!(manifest.layers.iter().all(|layer| is_digest(layer.id.as_str())));
    let Ok(image) = image_of(&manifest) else { return };
    let config: Value = serde_json::from_str(&manifest.config).expect("its configuration is JSON");
    let listed: Vec<&str> = config["rootfs"]["diff_ids"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let sent: Vec<&str> = manifest.layers.iter().map(|layer| layer.id.as_str()).collect();
    assert_eq!(listed, sent, "its layers are others");
    assert!(
        sent.len() <= MAX_LAYERS && manifest.config.len() <= MAX_CONFIG && manifest.layers.iter().all(|layer| layer.bytes <= MAX_LAYER)
    );
    let digest: String = Sha256::digest(manifest.config.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(image.as_str(), format!("sha256:{digest}"));
});
