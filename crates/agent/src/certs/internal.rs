//! Certificates of Landfall's own authority, for names no public authority signs: development, internal servers, the first minutes.
//!
//! The authority's key is made on first use, lies in the home with mode 600 and signs only names of apps on this server. Nobody trusts it unless
//! told to (`landfall ca`).

use super::file::write_private;
use crate::error::CertError;
use landfall_model::digest::digest;
use landfall_model::route::CertificateFiles;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a leaf lives. Browsers refuse more than 398 days.
const LEAF: Duration = Duration::from_secs(90 * 24 * 3600);
/// A leaf older than this is made anew: a third of its life is left.
const RENEW_AFTER: Duration = Duration::from_secs(60 * 24 * 3600);
/// How long the authority lives.
const AUTHORITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Clocks of clients may be behind by so much.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// The authority and what it signed.
#[derive(Debug, Clone)]
pub(super) struct Internal {
    dir: PathBuf,
}

impl Internal {
    /// Names the directory.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The certificate of an app for these names, made when there is none, when the names changed, or when a third of its life is left.
    pub(super) fn for_app(&self, app: &str, hosts: &[String]) -> Result<CertificateFiles, CertError> {
        let names = digest(&hosts);
        let chain = self.dir.join(format!("{app}-{}.pem", names.short()));
        let key = self.dir.join(format!("{app}-{}.key", names.short()));
        if !fresh(&chain) || !key.exists() {
            let (authority, authority_pem) = self.authority().map_err(fail("make", app))?;
            let (leaf, leaf_key) = leaf(hosts, &authority).map_err(fail("make", app))?;
            write_private(&key, leaf_key.as_bytes()).map_err(fail("write", app))?;
            write_private(&chain, format!("{leaf}{authority_pem}").as_bytes()).map_err(fail("write", app))?;
        }
        let content = std::fs::read_to_string(&chain).map_err(fail("read", app))?;
        Ok(CertificateFiles {
            hosts: hosts.to_vec(),
            chain: chain.display().to_string(),
            key: key.display().to_string(),
            fingerprint: digest(&content).short().to_owned(),
        })
    }

    /// The authority, made on first use.
    fn authority(&self) -> Result<(Issuer<'static, KeyPair>, String), Box<dyn Error + Send + Sync>> {
        let (pem_path, key_path) = (self.dir.join("ca.pem"), self.dir.join("ca.key"));
        if !pem_path.exists() || !key_path.exists() {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let mut params = CertificateParams::new(Vec::<String>::new())?;
            params.distinguished_name = named("Landfall local authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            live(&mut params, AUTHORITY);
            let certificate = params.self_signed(&key)?;
            write_private(&key_path, key.serialize_pem().as_bytes())?;
            write_private(&pem_path, certificate.pem().as_bytes())?;
        }
        let pem = std::fs::read_to_string(&pem_path)?;
        let key = KeyPair::from_pem(&std::fs::read_to_string(&key_path)?)?;
        Ok((Issuer::from_ca_cert_pem(&pem, key)?, pem))
    }
}

/// Names what was being done, and whose certificate it was.
fn fail<E: Into<Box<dyn Error + Send + Sync>>>(doing: &'static str, app: &str) -> impl Fn(E) -> CertError {
    let name = app.to_owned();
    move |source| CertError { doing, name: name.clone(), source: source.into() }
}

fn leaf(hosts: &[String], authority: &Issuer<'static, KeyPair>) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = named(hosts.first().map_or("localhost", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    live(&mut params, LEAF);
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn live(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + life).into();
}

/// It exists and is young enough. The file's time stands for the certificate's: both are written together and only here.
fn fresh(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|m| m.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < RENEW_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_made_once_kept_private_and_made_anew_for_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let certs = Internal::new(dir.path().to_owned());
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = certs.for_app("tutor", &hosts).unwrap();
        assert_eq!(certs.for_app("tutor", &hosts).unwrap(), first);
        assert_ne!(certs.for_app("tutor", &["a.example.com".to_owned()]).unwrap().fingerprint, first.fingerprint);
        for file in std::fs::read_dir(dir.path()).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
