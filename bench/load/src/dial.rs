//! Connections: TCP, and TLS over it with exactly one authority believed and exactly one protocol offered.

use crate::fault::{Fault, FaultKind, Stage};
use crate::load::StartError;
use crate::target::{Target, Trust};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// How to reach the target.
pub(crate) struct Dial {
    address: SocketAddr,
    tls: Option<Tls>,
}

struct Tls {
    name: ServerName<'static>,
    h1: TlsConnector,
    h2: TlsConnector,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
}

impl Dial {
    /// Reads the authority's certificates.
    pub(crate) fn new(target: &Target) -> Result<Self, StartError> {
        let tls = match &target.trust {
            Trust::Plain => None,
            Trust::Ca(file) => {
                let unreadable = |e| StartError::Ca { file: file.clone(), cause: e };
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(e.into()))? {
                    let certificate = certificate.map_err(|e| unreadable(e.into()))?;
                    roots.add(certificate).map_err(|e| unreadable(e.into()))?;
                }
                if roots.is_empty() {
                    return Err(unreadable("it holds no certificate".into()));
                }
                let name = ServerName::try_from(target.name().to_owned()).map_err(|_| StartError::Host(target.host.clone()))?;
                Some(Tls { name, h1: connector(roots.clone(), b"http/1.1")?, h2: connector(roots, b"h2")? })
            }
        };
        Ok(Self { address: target.address, tls })
    }

    /// A new connection that speaks `protocol`.
    pub(crate) async fn connect(&self, protocol: Protocol) -> Result<Connection, Fault> {
        let stream = TcpStream::connect(self.address).await.map_err(|e| Fault::of(Stage::Connect, &e))?;
        // Only a latency would suffer.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return Ok(Connection::Plain(stream)) };
        let (connector, wanted) = match protocol {
            Protocol::H1 => (&tls.h1, &b"http/1.1"[..]),
            Protocol::H2 => (&tls.h2, &b"h2"[..]),
        };
        let stream = connector.connect(tls.name.clone(), stream).await.map_err(|e| Fault::of(Stage::Handshake, &e))?;
        let agreed = stream.get_ref().1.alpn_protocol();
        // A server without ALPN speaks HTTP/1.1 (RFC 7301, 3.1).
        if agreed.unwrap_or(b"http/1.1") == wanted {
            Ok(Connection::Tls(Box::new(stream)))
        } else {
            Err(Fault::new(FaultKind::Protocol, format_args!("the server does not speak {protocol:?}")))
        }
    }

    /// `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

fn connector(roots: RootCertStore, protocol: &[u8]) -> Result<TlsConnector, StartError> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(StartError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection, encrypted or not.
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
