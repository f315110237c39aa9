//! What can go wrong with images on their way: the login of a registry, and layers that a client sends.

use super::{StoreError, chain};
use crate::seal::SealError;
use landfall_model::api::Failure;
use landfall_model::name::ImageId;

/// A login of a registry cannot be kept or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// Its password.
    #[error("the login of a registry cannot be used")]
    Seal(#[from] SealError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginError {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Seal(e) => chain(e.code(), self, e.hints(), Vec::new()),
            Self::Store(e) => chain("store-failed", e, vec!["is the disk full? `df -h` tells".into()], Vec::new()),
        }
    }
}

/// An image that is sent did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The disk.
    #[error("layer {id} cannot be kept")]
    Disk {
        /// Which.
        id: ImageId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Too much waits already.
    #[error("more than {limit} bytes of layers wait to become images")]
    Full {
        /// The bound.
        limit: u64,
    },
    /// The disk is nearly full.
    #[error("{} MB are free at {place} on the server; this piece needs {} MB, and {} MB stay free for databases and the agent", free >> 20, need.div_ceil(1 << 20), reserve >> 20)]
    NoRoom {
        /// The directory that was looked at.
        place: String,
        /// Bytes.
        free: u64,
        /// Bytes.
        need: u64,
        /// Bytes.
        reserve: u64,
    },
    /// It is not what its name says.
    #[error("{0} arrived damaged and was deleted")]
    Damaged(ImageId),
}

impl UploadError {
    pub(super) fn failure(&self) -> Failure {
        let (code, hint) = match self {
            Self::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                ("disk-full", "`landfall prune` deletes images that no release needs; `df -h` tells the rest")
            }
            Self::NoRoom { .. } => ("disk-full", "`landfall prune` deletes images that no release needs; `df -h` tells the rest"),
            Self::Disk { .. } => ("upload-failed", "its directory is uploads/ in Landfall's home: is it the agent's own?"),
            Self::Full { .. } => {
                ("upload-failed", "what nobody goes on with is deleted after a day; or delete uploads/ in Landfall's home")
            }
            Self::Damaged(_) => (
                "image-damaged",
                "send it again; when that does not help, the image is damaged where it comes from, or the engine here keeps images in containerd, which push does not know yet",
            ),
        };
        chain(code, self, vec![hint.to_owned()], Vec::new())
    }
}
