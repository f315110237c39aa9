//! Connections to the proxy that count what arrives on them: whether a request may be asked again depends on the first byte of an answer.

use super::stage::Stage;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio_rustls::TlsConnector;

/// Host of the site that is served plainly, and of the one over TLS.
pub(crate) const PLAIN: &str = "plain.example";
pub(crate) const SECURE: &str = "secure.example";

/// Where to connect, and whom to believe.
#[derive(Clone)]
pub(crate) struct Dial {
    http: SocketAddr,
    https: SocketAddr,
    h1: TlsConnector,
    h2: TlsConnector,
}

/// An HTTP/1.1 connection.
pub(crate) struct H1 {
    pub(crate) sender: http1::SendRequest<Full<Bytes>>,
    /// Bytes that came from the proxy, above TLS.
    pub(crate) came: Rc<Cell<u64>>,
    /// It has served.
    pub(crate) used: bool,
}

/// An HTTP/2 connection.
pub(crate) type H2 = http2::SendRequest<Full<Bytes>>;

impl Dial {
    pub(crate) fn new(stage: &Stage) -> Self {
        let connector = |protocol: &[u8]| {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(stage.certificate.clone())).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let mut config = builder.with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Self { http: stage.http, https: stage.https, h1: connector(b"http/1.1"), h2: connector(b"h2") }
    }

    pub(crate) async fn h1(&self, tls: bool) -> io::Result<H1> {
        let came = Rc::new(Cell::new(0));
        let io = self.open(tls.then_some(&self.h1), &came).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
        spawn_local(connection);
        Ok(H1 { sender, came, used: false })
    }

    pub(crate) async fn h2(&self) -> io::Result<H2> {
        let io = self.open(Some(&self.h2), &Rc::default()).await?;
        let (sender, connection) = http2::handshake(Local, TokioIo::new(io)).await.map_err(io::Error::other)?;
        spawn_local(connection);
        Ok(sender)
    }

    async fn open(&self, tls: Option<&TlsConnector>, came: &Rc<Cell<u64>>) -> io::Result<Counted<Box<dyn Stream>>> {
        let stream = TcpStream::connect(if tls.is_some() { self.https } else { self.http }).await?;
        stream.set_nodelay(true)?;
        let io: Box<dyn Stream> = match tls {
            Some(tls) => Box::new(tls.connect(ServerName::try_from(SECURE).unwrap(), stream).await?),
            None => Box::new(stream),
        };
        Ok(Counted { io, came: Rc::clone(came) })
    }
}

/// Keeps hyper's tasks on the client's thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

struct Counted<T> {
    io: T,
    came: Rc<Cell<u64>>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.came.set(self.came.get() + (buffer.filled().len() - before) as u64);
        done
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
