//! Looks after certificates: asks authorities for what current releases want and do not have, or will not have for long.
//!
//! Nothing waits for it. Until an authority answers, names are served with what there is; the monitor puts what was issued into the proxy's table.

use crate::certs::{Failed, Wanted};
use crate::core::Core;
use futures_util::stream::{self, StreamExt};
use landfall_model::api::What;
use std::sync::Arc;

/// Names asked for at the same time.
const TOGETHER: usize = 4;

/// One look at every certificate.
pub(super) async fn activate(core: &Arc<Core>) {
    let wanted = match wanted(core) {
        Ok(wanted) => wanted,
        Err(error) => return tracing::error!(%error, "the store does not say which certificates are wanted"),
    };
    let (certs, kinds) = (core.table.certs(), core.challenge_kinds());
    let due: Vec<&Wanted> = wanted.iter().filter(|w| certs.is_due(w, kinds, core.clock.now_ms())).collect();
    stream::iter(due).for_each_concurrent(TOGETHER, |wanted| ask(core, wanted)).await;
    for wanted in &wanted {
        certs.ask_window(&core.table, wanted, kinds, core.clock.now_ms()).await;
        if let Some((name, days, until_ms)) = certs.expiring(wanted, core.clock.now_ms()) {
            core.tell(&wanted.app, None, None, &What::CertificateExpires { name, days, until_ms });
        }
    }
}

/// What the current releases want. Rollouts under way are not counted: until they have succeeded, nobody asks for their names.
pub(crate) fn wanted(core: &Core) -> Result<Vec<Wanted>, crate::error::StoreError> {
    let mut wanted = Vec::new();
    for row in core.store.apps()? {
        wanted.extend(core.current_spec(&row)?.iter().flat_map(Wanted::of));
    }
    Ok(wanted)
}

async fn ask(core: &Arc<Core>, wanted: &Wanted) {
    let asked = core.table.certs().ask(&core.table, wanted, core.challenge_kinds(), || core.clock.now_ms()).await;
    let Some(result) = asked else { return };
    let what = match result {
        Ok((name, issuer, until_ms)) => What::CertificateIssued { name, issuer, until_ms },
        Err(Failed { name, failure, meanwhile, again_ms }) => What::CertificateFailed { name, failure, meanwhile, again_ms },
    };
    core.tell(&wanted.app, None, None, &what);
}
