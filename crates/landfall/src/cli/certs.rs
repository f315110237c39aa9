//! What can be typed of the verbs that are about certificates.

use clap::Args;
use landfall_model::name::CertificateName;

/// `landfall certs`
#[derive(Debug, Args)]
pub struct Certs {
    /// Only these names
    #[arg(value_name = "NAME")]
    pub names: Vec<CertificateName>,
    /// Have them issued anew by their authority, now, and wait for it
    #[arg(long)]
    pub renew: bool,
}

/// `landfall ca`
#[derive(Debug, Args)]
pub struct Ca {
    /// Print the certificate itself instead of its path
    #[arg(long)]
    pub pem: bool,
}
