//! What one worker shakes hands with: the certificates and tickets that all have, and its own buffers.
//!
//! rustls' unbuffered connection does not say which name the client asked for; whoever chooses the certificate is told. That happens once for every
//! handshake, resumed ones too, and at once, so the worker's last answer belongs to the connection it is at work for.

use super::{Buffers, TlsStream};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;

/// One worker's.
pub(crate) struct Acceptor {
    pub(super) config: Arc<ServerConfig>,
    pub(super) names: Arc<Names>,
    pub(super) buffers: Rc<Buffers>,
}

impl Acceptor {
    /// For one worker, after `config`.
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let names = Arc::new(Names { store: Arc::clone(&config.cert_resolver), asked: Mutex::default() });
        let mut config = config.clone();
        config.cert_resolver = Arc::clone(&names) as Arc<dyn ResolvesServerCert>;
        Self { config: Arc::new(config), names, buffers: Rc::new(Buffers::new()) }
    }

    /// Shakes hands. What rustls has to say about a failure is sent before this returns it.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream> {
        TlsStream::accept(self, stream).await
    }
}

/// Finds certificates, and remembers for which name it was last asked.
#[derive(Debug)]
pub(super) struct Names {
    store: Arc<dyn ResolvesServerCert>,
    asked: Mutex<Option<Box<str>>>,
}

impl Names {
    /// The name of the handshake just processed.
    pub(super) fn take(&self) -> Option<Box<str>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = hello.server_name().map(Box::from);
        self.store.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.store.only_raw_public_keys()
    }
}
