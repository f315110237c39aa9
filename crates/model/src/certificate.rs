//! What is told about certificates: `GET /v1/certs`, and what `landfall certs` shows.

use crate::api::Failure;
use crate::name::{AppName, CertificateName};
use serde::{Deserialize, Serialize};

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateSource {
    /// Landfall's own authority on this server.
    Internal,
    /// An authority that speaks ACME.
    Acme,
    /// The user's own files.
    Files,
}

/// One certificate as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Whose.
    pub app: AppName,
    /// For which name; the first when it is for several.
    pub name: String,
    /// Where it is to come from.
    pub source: CertificateSource,
    /// Where the one comes from that is served now.
    pub served: CertificateSource,
    /// Who signed the one that is served.
    pub issuer: String,
    /// The served one is good from then, milliseconds since 1970 UTC.
    pub from_ms: u64,
    /// And until then.
    pub until_ms: u64,
    /// When the next is asked for; absent when nobody asks.
    pub next_ms: Option<u64>,
    /// It is being asked for now.
    pub asking: bool,
    /// When it was last asked for, with whatever result.
    pub asked_ms: Option<u64>,
    /// When it was last asked for in vain, if nothing came since.
    pub failed_ms: Option<u64>,
    /// And why.
    pub failure: Option<Failure>,
}

/// `POST /v1/certs/renew`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Which; all of the server's when empty.
    pub names: Vec<CertificateName>,
}

/// Answer to a renew request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewing {
    /// These will be asked for.
    pub names: Vec<CertificateName>,
    /// Since then, milliseconds since 1970 UTC: what happened later belongs to this request.
    pub since_ms: u64,
}

/// `GET /v1/ca`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Certificate of the server's own authority.
    pub pem: String,
}
