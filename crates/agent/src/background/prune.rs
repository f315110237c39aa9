//! Deletes images that no release needs any more, after each release and once an hour.

use crate::core::Core;
use landfall_model::image::PruneRequest;

/// One look. What cannot be deleted now is at the next.
pub(super) async fn activate(core: &Core) {
    // Without an image that came through Landfall the engine is not asked: there may be none.
    if core.store.images().is_ok_and(|images| images.is_empty()) {
        return;
    }
    if let Err(error) = crate::prune::prune(core, PruneRequest { dry_run: false }).await {
        tracing::warn!(%error, "images that no release needs cannot be deleted");
    }
}
