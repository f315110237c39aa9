//! Certificates as they stand, and the wish to have one anew.

use crate::background::wanted_certificates;
use crate::core::Core;
use crate::error::{RequestError, StoreError};
use axum::Json;
use axum::extract::State;
use landfall_model::certificate::{Authority, CertificateStatus, RenewRequest, Renewing};
use landfall_model::name::CertificateName;
use std::sync::Arc;

pub(super) async fn list(State(core): State<Arc<Core>>) -> Result<Json<Vec<CertificateStatus>>, RequestError> {
    Ok(Json(certificates(&core)?))
}

/// Every certificate that current releases want.
pub(crate) fn certificates(core: &Core) -> Result<Vec<CertificateStatus>, StoreError> {
    let mut statuses = Vec::new();
    for row in core.store.apps()? {
        let Some(spec) = core.current_spec(&row)? else { continue };
        let hosts = core.table.served_names(&spec);
        let status = |wanted| core.table.certs().status(&wanted, &hosts, core.challenge_kinds(), core.clock.now_ms());
        statuses.extend(crate::certs::Wanted::of(&spec).into_iter().map(status));
    }
    Ok(statuses)
}

/// Names that nobody configured are refused: there is no other way to have a certificate issued.
pub(super) async fn renew(State(core): State<Arc<Core>>, Json(request): Json<RenewRequest>) -> Result<Json<Renewing>, RequestError> {
    let known: Vec<CertificateName> = wanted_certificates(&core)?.into_iter().filter_map(|w| w.name).collect();
    if let Some(stranger) = request.names.iter().find(|name| !known.contains(name)) {
        return Err(RequestError::NoCertificate(stranger.clone()));
    }
    let names = if request.names.is_empty() { known } else { request.names };
    let since_ms = core.clock.now_ms();
    for name in &names {
        core.table.certs().force(name);
    }
    core.certs_nudge.notify_one();
    Ok(Json(Renewing { names, since_ms }))
}

/// The certificate of this server's own authority, for those who should trust it.
pub(super) async fn authority(State(core): State<Arc<Core>>) -> Result<Json<Authority>, RequestError> {
    core.table.certs().authority().map(|pem| Json(Authority { pem })).map_err(|_| RequestError::NoAuthority)
}
