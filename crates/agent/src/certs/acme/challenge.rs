//! What an authority gets to see: an answer of the proxy, or a record in the DNS.

use super::super::file::{make_private_dir, write_private};
use super::super::problem::{Kind, Problem};
use super::{Attempt, hook};
use instant_acme::{ChallengeType, KeyAuthorization};
use landfall_model::digest::digest;
use landfall_model::name::Domain;
use landfall_model::route::{CertificateFiles, ChallengeAnswer};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::path::PathBuf;

/// Its name, for people.
pub(super) fn word(kind: &ChallengeType) -> &'static str {
    match kind {
        ChallengeType::Http01 => "HTTP-01",
        ChallengeType::TlsAlpn01 => "TLS-ALPN-01",
        ChallengeType::Dns01 => "DNS-01",
        _ => "challenge of this kind",
    }
}

/// What is shown. To be removed, whatever came of it; an agent that dies leaves a proxy that forgets with the next table, and a record in the DNS.
pub(super) enum Shown {
    /// By the proxy; with the files it reads.
    Proxy(Vec<PathBuf>),
    /// In the DNS: the record's name and value.
    Record(String, String),
}

impl Shown {
    /// Shows it. When this returns, whoever asks sees it.
    pub(super) async fn show(attempt: &Attempt<'_>, authorization: &KeyAuthorization) -> Result<Self, Problem> {
        let proxy = |e| Problem::local("have the proxy answer the authority", e);
        match attempt.challenge {
            ChallengeType::Dns01 => {
                let record = format!("_acme-challenge.{}", attempt.name.suffix());
                let value = authorization.dns_value();
                hook::run(&attempt.acme.hook, "present", &record, &value).await?;
                Ok(Self::Record(record, value))
            }
            ChallengeType::TlsAlpn01 => {
                let (files, paths) = alpn(attempt, authorization).map_err(|e| Problem::local("make a certificate that answers", e))?;
                let shown = attempt.table.show(attempt.name, ChallengeAnswer::TlsAlpn(files)).await;
                shown.map_err(proxy)?;
                Ok(Self::Proxy(paths))
            }
            _ => {
                let (token, _) = authorization.as_str().split_once('.').unwrap_or_default();
                let host: Domain = host(attempt)?;
                let answer = ChallengeAnswer::Http { host, token: token.to_owned(), answer: authorization.as_str().to_owned() };
                attempt.table.show(attempt.name, answer).await.map_err(proxy)?;
                Ok(Self::Proxy(Vec::new()))
            }
        }
    }

    /// Takes it away. A failure here spoils nothing: answers are for one order only.
    pub(super) async fn remove(self, attempt: &Attempt<'_>) {
        match self {
            Self::Proxy(files) => {
                if let Err(error) = attempt.table.hide(attempt.name).await {
                    tracing::debug!(%error, "the proxy still answers an authority");
                }
                for file in files {
                    let _ = std::fs::remove_file(file);
                }
            }
            Self::Record(record, value) => {
                if let Err(problem) = hook::run(&attempt.acme.hook, "cleanup", &record, &value).await {
                    tracing::warn!(record, ?problem, "a record stays in the DNS");
                }
            }
        }
    }
}

fn host(attempt: &Attempt<'_>) -> Result<Domain, Problem> {
    let wildcard = || Problem::new(Kind::Rejected, "a wildcard can only be had by the DNS challenge");
    attempt.name.as_str().parse().map_err(|_| wildcard())
}

/// The certificate of RFC 8737 §3: for the name, signed by itself, with the digest of the key authorization.
fn alpn(attempt: &Attempt<'_>, authorization: &KeyAuthorization) -> Result<(CertificateFiles, Vec<PathBuf>), Box<dyn std::error::Error>> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![attempt.name.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(authorization.digest().as_ref())];
    let pem = params.self_signed(&key)?.pem();
    let dir = attempt.certs.challenge_dir();
    make_private_dir(&dir)?;
    let (chain_path, key_path) = (dir.join(format!("{}.pem", attempt.name)), dir.join(format!("{}.key", attempt.name)));
    write_private(&key_path, key.serialize_pem().as_bytes())?;
    write_private(&chain_path, pem.as_bytes())?;
    let files = CertificateFiles {
        hosts: vec![attempt.name.to_string()],
        chain: chain_path.display().to_string(),
        key: key_path.display().to_string(),
        fingerprint: digest(&pem).short().to_owned(),
    };
    Ok((files, vec![chain_path, key_path]))
}
