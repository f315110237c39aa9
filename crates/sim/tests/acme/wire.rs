//! Small clients: TLS with a chosen name and root, HTTP in one question, and waiting for a condition.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Long enough for a machine with better things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What is trusted.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) pem: String,
}

pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Leaf {
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
    }
}

/// An authority's own authority, and its certificate for this machine.
pub(crate) fn identity() -> (Root, Leaf) {
    identity_for(&["localhost", "127.0.0.1"])
}

/// An authority, and its certificate for these names.
pub(crate) fn identity_for(names: &[&str]) -> (Root, Leaf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let leaf_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    (Root { pem: root.pem() }, Leaf { chain: leaf.pem(), key: leaf_key.serialize_pem() })
}

/// A handshake with a name, which succeeds when the certificate shown is good for it.
pub(crate) async fn connect(address: SocketAddr, name: &str, root: &Root, alpn: &[&[u8]]) -> io::Result<TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(root.pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

/// The certificate shown to who asks for a name and trusts a root.
pub(crate) async fn shown(address: SocketAddr, name: &str, root: &Root) -> Option<Vec<u8>> {
    let stream = connect(address, name, root, &[]).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
}

pub(crate) async fn get(address: SocketAddr, path: &str, root: Option<&Root>) -> String {
    exchange(address, "GET", path, "", root).await
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> String {
    exchange(address, "POST", path, body, None).await
}

async fn exchange(address: SocketAddr, method: &str, path: &str, body: &str, root: Option<&Root>) -> String {
    let request = Request::builder().method(method).uri(path).header("host", address.to_string());
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let response = match root {
        Some(root) => {
            let io = TokioIo::new(connect(address, "localhost", root, &[]).await.unwrap());
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
        None => {
            let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
    };
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
