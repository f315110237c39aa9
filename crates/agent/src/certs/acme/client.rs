//! HTTPS to an authority, bounded in time and bytes, and what its last answer said beside the body.

use super::retry_after::wait_ms;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For one question and its answer.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of an answer. A chain has some thousand.
const MAX_ANSWER: usize = 1024 * 1024;

/// What the last answer said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// Absent when there was no answer.
    pub(super) status: Option<u16>,
    /// `Retry-After` in milliseconds.
    pub(super) retry_after_ms: Option<u64>,
}

/// Shared between the client, which the library owns, and who reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    pub(super) fn heard(&self) -> Heard {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, heard: Heard) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = heard;
    }
}

/// The client of one attempt.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    ear: Ear,
}

impl Http {
    pub(super) fn new(tls: &Arc<ClientConfig>, ear: Ear) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(tls)).https_only().enable_http1().build();
        Self { client: Client::builder(TokioExecutor::new()).build(connector), ear }
    }
}

impl HttpClient for Http {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (client, ear) = (self.client.clone(), self.ear.clone());
        Box::pin(async move {
            ear.hear(Heard::default());
            let (head, body) = request.into_parts();
            // Infallible, as its type says.
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let exchange = async {
                let response = client.request(Request::from_parts(head, Full::new(body))).await.map_err(other)?;
                let (head, body) = response.into_parts();
                let retry_after_ms = head
                    .headers
                    .get(http::header::RETRY_AFTER)
                    .and_then(|v| v.to_str().ok())
                    .and_then(|text| wait_ms(text, crate::clock::now_ms()));
                ear.hear(Heard { status: Some(head.status.as_u16()), retry_after_ms });
                let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(Error::Other)?.to_bytes();
                if head.status.is_server_error() && head.status != StatusCode::SERVICE_UNAVAILABLE && body.is_empty() {
                    return Err(Error::Str("a body"));
                }
                Ok(BytesResponse::from(Response::from_parts(head, Full::new(body))))
            };
            tokio::time::timeout(LIMIT, exchange).await.unwrap_or_else(|late| Err(other(late)))
        })
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

/// How the authority's own certificate is checked: by the system's authorities, or by those of one file.
pub(crate) fn client_config(roots: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            use rustls::pki_types::pem::PemObject;
            let read = rustls::pki_types::CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            store.add_parsable_certificates(read.map_err(|e| e.to_string())?);
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err("this system trusts no authority at all: on Debian, install ca-certificates".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}
