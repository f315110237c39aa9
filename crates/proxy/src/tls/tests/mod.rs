//! The stream against rustls' own client, over real sockets; the session alone, with bytes cut anywhere.

mod cut;
mod end;
mod handshake;
mod traffic;

use super::{Acceptor, TlsStream};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use socket2::SockRef;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

type Client = tokio_rustls::client::TlsStream<TcpStream>;

/// What both sides are told.
struct Configs {
    server: Acceptor,
    client: Arc<ClientConfig>,
}

fn configs() -> Configs {
    configs_for(&[&rustls::version::TLS13, &rustls::version::TLS12])
}

/// With these versions for the client.
fn configs_for(versions: &[&'static SupportedProtocolVersion]) -> Configs {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut server = builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    server.send_tls13_tickets = 1;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let client = builder.with_root_certificates(roots).with_no_client_auth();
    Configs { server: Acceptor::new(&server), client: Arc::new(client) }
}

fn name() -> ServerName<'static> {
    ServerName::try_from("shop.example").unwrap()
}

/// Two ends of a connection that take little at once.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (client, (server, _)) = (client.unwrap(), server.unwrap());
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        SockRef::from(stream).set_send_buffer_size(4096).unwrap();
    }
    (client, server)
}

/// Both ends after the handshake.
async fn connected(configs: &Configs) -> (Client, TlsStream) {
    let (client, server) = sockets().await;
    let (client, server) = tokio::join!(connect(configs, client), accept(configs, server));
    (client.unwrap(), server.unwrap())
}

async fn accept(configs: &Configs, stream: TcpStream) -> io::Result<TlsStream> {
    configs.server.accept(stream).await
}

async fn connect(configs: &Configs, stream: TcpStream) -> io::Result<Client> {
    TlsConnector::from(Arc::clone(&configs.client)).connect(name(), stream).await
}

/// Bytes of which no two places look the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| next(&mut state).to_le_bytes()).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}
