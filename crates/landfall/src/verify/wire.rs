//! One question and its answer, over a connection of its own.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Of an answer's body so much is read.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Ports of a host.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// For plain HTTP.
    pub http: u16,
    /// For HTTPS.
    pub https: u16,
}

/// Opens connections.
pub struct Dialer {
    /// Where plain HTTP is, whatever names resolve to.
    pub http: Option<SocketAddr>,
    /// Likewise for HTTPS.
    pub https: Option<SocketAddr>,
    /// Who may vouch for a certificate.
    pub roots: Arc<RootCertStore>,
    /// For one look.
    pub limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The name is not known.
    #[error("{0} does not resolve: {1}")]
    Name(String, std::io::Error),
    /// Nobody listens, or nobody answers.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    /// No TLS came about; for a wrong certificate this says what is wrong with it.
    #[error("{}", tls(.0))]
    Tls(std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    /// It is no HTTP.
    #[error("{0}")]
    Odd(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

/// What people call what went wrong with TLS.
fn tls(error: &std::io::Error) -> String {
    use rustls::{CertificateError as Bad, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(bad)) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "the certificate has expired".to_owned(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the certificate is not valid yet".to_owned(),
            Bad::UnknownIssuer => "the certificate is of an authority that nobody here trusts, or its chain is not complete".to_owned(),
            Bad::NotValidForName => "the certificate is for another name".to_owned(),
            Bad::NotValidForNameContext { presented, .. } => format!("the certificate is for another name: {}", presented.join(", ")),
            other => format!("the certificate is not right: {other}"),
        },
        Some(other) => format!("TLS does not come about: {other}"),
        None => format!("TLS does not come about: {error}"),
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Bytes of its body, as far as they were read.
    pub length: usize,
}

impl Answer {
    /// A header as text; empty for none.
    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Either of the two.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that takes requests.
pub struct Line {
    sender: SendRequest<Empty<Bytes>>,
    authority: String,
}

/// The authorities of this system, or those of a file.
pub fn trusted(ca: Option<&Path>) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|e| e.to_string())?;
        let (taken, _) = store.add_parsable_certificates(read);
        if taken == 0 {
            return Err("there is no certificate in it".to_owned());
        }
    }
    Ok(Arc::new(store))
}

impl Dialer {
    /// A look that ends.
    pub async fn within<T>(&self, work: impl Future<Output = Result<T, WireError>>) -> Result<T, WireError> {
        tokio::time::timeout(self.limit, work).await.unwrap_or(Err(WireError::Late(self.limit)))
    }

    /// A bare connection.
    pub async fn connect(&self, name: &str, port: u16, secure: bool) -> Result<TcpStream, WireError> {
        let told = if secure { self.https } else { self.http };
        let addresses = match told {
            Some(address) => vec![address],
            None => tokio::net::lookup_host((name, port)).await.map_err(|e| WireError::Name(name.to_owned(), e))?.collect(),
        };
        let mut failed = WireError::Odd(format!("{name} has no address"));
        // A name with a dead address and a good one is reached by browsers too.
        for address in addresses.into_iter().take(4) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // A question is one small piece; that this fails changes only when it is sent.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(e) => failed = WireError::Connect(address, e),
            }
        }
        Err(failed)
    }

    /// TLS, offering these protocols.
    pub async fn secure(&self, name: &str, port: u16, protocols: &[&[u8]]) -> Result<TlsStream<TcpStream>, WireError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let odd = |e: &dyn std::fmt::Display| WireError::Odd(e.to_string());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| odd(&e))?;
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let server = ServerName::try_from(name.to_owned()).map_err(|e| odd(&e))?;
        let stream = self.connect(name, port, true).await?;
        TlsConnector::from(Arc::new(config)).connect(server, stream).await.map_err(WireError::Tls)
    }

    /// A connection for requests; `host` is what they are said to be for.
    pub async fn line(&self, name: &str, reach: Reach, secure: bool, host: &str) -> Result<Line, WireError> {
        let (port, usual) = if secure { (reach.https, 443) } else { (reach.http, 80) };
        let stream: Box<dyn Stream> = if secure {
            Box::new(self.secure(name, port, &[b"http/1.1"]).await?)
        } else {
            Box::new(self.connect(name, port, false).await?)
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        let authority = if port == usual { host.to_owned() } else { format!("{host}:{port}") };
        Ok(Line { sender, authority })
    }

    /// One question with its answer.
    pub async fn get(&self, host: &super::target::Host, secure: bool, path: &str, headers: &[(&str, &str)]) -> Result<Answer, WireError> {
        self.within(async {
            let mut line = self.line(&host.name, host.reach, secure, &host.name).await?;
            line.get(path, headers).await
        })
        .await
    }
}

impl Line {
    /// Sends a request; its body is still on the way.
    pub async fn send(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<http::Response<Incoming>, WireError> {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::USER_AGENT, concat!("landfall-verify/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).map_err(|e| WireError::Odd(e.to_string()))?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Sends a request and reads all of its answer.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, WireError> {
        self.sender.ready().await?;
        let response = self.send(path, headers).await?;
        let (parts, body) = response.into_parts();
        let read = Limited::new(body, MAX_BODY).collect().await;
        let length = match read {
            Ok(body) => body.to_bytes().len(),
            // More than we read is no failure; a body that breaks off is.
            Err(e) if e.is::<http_body_util::LengthLimitError>() => MAX_BODY,
            Err(e) => return Err(WireError::Odd(format!("its body breaks off: {e}"))),
        };
        Ok(Answer { status: parts.status, headers: parts.headers, length })
    }
}
