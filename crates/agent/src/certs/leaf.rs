//! What a certificate says of itself.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::error::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The first certificate of a chain, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// DNS names, in lower case.
    pub(super) names: Vec<String>,
    /// Who signed it: the organisation and name it gives itself.
    pub(super) issuer: String,
    /// Good from, milliseconds since 1970 UTC.
    pub(super) from_ms: u64,
    /// Good until.
    pub(super) until_ms: u64,
    /// The public key, DER.
    pub(super) public_key: Vec<u8>,
    /// The certificate, DER.
    pub(super) der: CertificateDer<'static>,
}

impl Leaf {
    /// Reads the first certificate of a PEM chain.
    pub(super) fn of_chain(pem: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())?;
        let (_, parsed) = X509Certificate::from_der(&der)?;
        let ms = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or_default().saturating_mul(1000);
        let named = parsed.subject_alternative_name()?.map(|san| san.value.general_names.as_slice()).unwrap_or_default();
        let names = named.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let issuer = parsed.issuer();
        let words = issuer.iter_organization().chain(issuer.iter_common_name()).filter_map(|a| a.as_str().ok());
        Ok(Self {
            names: names.collect(),
            // From outside, and shown on terminals.
            issuer: words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(100).collect(),
            from_ms: ms(parsed.validity().not_before),
            until_ms: ms(parsed.validity().not_after),
            public_key: parsed.public_key().raw.to_vec(),
            der: der.clone().into_owned(),
        })
    }
}
