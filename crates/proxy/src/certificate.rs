//! Certificates by the name a client asks for. Read at a swap, from files the agent wrote; handshakes only look up.
//!
//! An authority that wants to see TLS-ALPN-01 answered (RFC 8737) offers the protocol `acme-tls/1` and no other. It gets the certificate made for
//! that, or none; everybody else never sees it.

use crate::error::SwapError;
use arc_swap::ArcSwap;
use landfall_model::route::{CertificateFiles, ChallengeAnswer, RouteTable};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The protocol of TLS-ALPN-01. Nothing is spoken in it: the handshake is the answer.
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// The certificates of one table.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    names: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
    challenges: HashMap<String, Arc<CertifiedKey>>,
    /// What was read, so that the next swap reads only what changed.
    read: HashMap<(String, String), Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads the files of `table`, taking those over from `before` whose fingerprint is the same. What cannot be read goes to `refused`; the caller decides if
    /// that matters.
    pub(crate) fn read(
        table: &RouteTable,
        before: &Self,
        mut refused: impl FnMut(SwapError) -> Result<(), SwapError>,
    ) -> Result<Self, SwapError> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut certificates = Self::default();
        let mut read = |certificates: &mut Self, file: &CertificateFiles| {
            let key = (file.chain.clone(), file.fingerprint.clone());
            let certified = match before.read.get(&key) {
                Some(known) => Arc::clone(known),
                None => match read_one(file, &provider) {
                    Ok(certified) => Arc::new(certified),
                    Err(error) => return refused(error).map(|()| None),
                },
            };
            certificates.read.insert(key, Arc::clone(&certified));
            Ok(Some(certified))
        };
        for file in &table.certificates {
            let Some(certified) = read(&mut certificates, file)? else { continue };
            for host in &file.hosts {
                certificates.names.entry(host.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&certified));
            }
            certificates.default.get_or_insert(certified);
        }
        for answer in &table.challenges {
            let ChallengeAnswer::TlsAlpn(file) = answer else { continue };
            // One that cannot be read is one challenge lost, not a reason to refuse everybody's table.
            let certified = match read_challenge(file, &provider) {
                Ok(certified) => Arc::new(certified),
                Err(error) => {
                    tracing::error!(%error, "a challenge cannot be answered");
                    continue;
                }
            };
            for host in &file.hosts {
                certificates.challenges.insert(host.to_ascii_lowercase(), Arc::clone(&certified));
            }
        }
        Ok(certificates)
    }

    /// For `name`: its own, that of `*.` and the rest of the name, or the first of the table, so that a client without or with an unknown name
    /// gets as far as an HTTP answer.
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let exact = |name: &str| self.names.get(name);
        let wildcard = |name: &str| name.split_once('.').and_then(|(_, rest)| self.names.get(&format!("*.{rest}")));
        name.and_then(|name| exact(name).or_else(|| wildcard(name))).or(self.default.as_ref()).cloned()
    }
}

fn read_one(file: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, SwapError> {
    let refused = |reason: String| SwapError::Certificate { chain: file.chain.clone(), reason };
    let (chain, key) = read_files(file)?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| refused(format!("chain and key cannot be used: {error}")))
}

/// A certificate that answers a challenge. It is not checked against its key: the extension that makes it an answer is critical (RFC 8737 §3),
/// and whoever checks certificates must refuse what they do not know.
fn read_challenge(file: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, SwapError> {
    let refused = |reason: String| SwapError::Certificate { chain: file.chain.clone(), reason };
    let (chain, key) = read_files(file)?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| refused(format!("the key cannot be used: {error}")))?;
    Ok(CertifiedKey::new(chain, key))
}

fn read_files(file: &CertificateFiles) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SwapError> {
    let refused = |reason: String| SwapError::Certificate { chain: file.chain.clone(), reason };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&file.chain)
        .and_then(Iterator::collect)
        .map_err(|error| refused(format!("the chain cannot be read: {error}")))?;
    if chain.is_empty() {
        return Err(refused("the chain is empty".to_owned()));
    }
    // The key's own bytes never get into a message.
    let key =
        PrivateKeyDer::from_pem_file(&file.key).map_err(|error| refused(format!("the key `{}` cannot be read: {error}", file.key)))?;
    Ok((chain, key))
}

/// The certificates in use, for rustls.
#[derive(Debug, Default)]
pub(crate) struct CertificateStore(ArcSwap<Certificates>);

impl CertificateStore {
    pub(crate) fn current(&self) -> Arc<Certificates> {
        self.0.load_full()
    }

    pub(crate) fn set(&self, certificates: Certificates) {
        self.0.store(Arc::new(certificates));
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_TLS) && offered.next().is_none()) {
            return self.0.load().challenges.get(&hello.server_name()?.to_ascii_lowercase()).cloned();
        }
        self.0.load().find(hello.server_name())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, resumption by tickets whose keys live as long as the process.
pub(crate) fn server_config(store: Arc<CertificateStore>) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(store);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS.to_vec()];
    // All it offers is strong; who judges a server by its list still wants it to choose.
    config.ignore_client_order = true;
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    // A client that resumes gets another one then.
    config.send_tls13_tickets = 1;
    // Tickets carry all there is to remember; a cache in memory would be a second copy.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}
