//! Fetches public keys of tokens. The monitor puts what was found into the proxy's table.

use crate::core::Core;

/// One look at every place keys are kept at.
pub(super) async fn activate(core: &Core) {
    core.table.keys().refresh().await;
}
