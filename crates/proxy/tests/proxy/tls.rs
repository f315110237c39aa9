//! HTTPS: certificates by name, HTTP/1.1 and HTTP/2.

use crate::harness::{Options, Running, application, listener, named, read_head, read_to_end, soon, start, start_with, table, until};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_model::route::{CertificateFiles, RouteTable};
use landfall_proxy::Listeners;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn issue(&self, directory: &Path, host: &str) -> CertificateFiles {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        let file = |ending: &str| directory.join(format!("{}.{ending}", host.replace('*', "any"))).display().to_string();
        std::fs::write(file("pem"), chain).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        CertificateFiles { hosts: vec![host.to_owned()], chain: file("pem"), key: file("key"), fingerprint: host.to_owned() }
    }

    fn connector(&self, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    pub(crate) async fn connect(&self, proxy: &Running, name: &str, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_to(proxy.https, name, protocol).await
    }

    pub(crate) async fn connect_to(&self, https: SocketAddr, name: &str, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(https).await?;
        self.connector(protocol).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
    }
}

pub(crate) async fn secured(proxy: &Running, authority: &Authority, application: std::net::SocketAddr) -> RouteTable {
    let table = secured_table(proxy.home.path(), authority, application);
    proxy.swap(&table).await;
    table
}

/// The same for a proxy that is told it some other way.
pub(crate) fn secured_table(home: &Path, authority: &Authority, application: SocketAddr) -> RouteTable {
    let mut table = table(1, &[("/", "shop/web", application)]);
    table.sites[0].https = true;
    table.certificates = ["shop.example", "*.shop.example", "*.other.example"].map(|host| authority.issue(home, host)).to_vec();
    table
}

#[tokio::test]
async fn http1_over_tls_with_certificates_by_name() {
    let (proxy, authority) = (start(), Authority::new());
    secured(&proxy, &authority, named("web").await).await;
    let mut stream = authority.connect(&proxy, "shop.example", "http/1.1").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with("web /") && answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    let mut other = authority.connect(&proxy, "www.shop.example", "http/1.1").await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: www.shop.example\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut other).await;
    assert!(answer.starts_with("HTTP/1.1 308 ") && answer.contains("strict-transport-security: "), "{answer}");
    authority.connect(&proxy, "www.shop.example", "http/1.1").await.unwrap();
    let stranger = authority.connect(&proxy, "stranger.example", "http/1.1").await;
    assert!(stranger.is_err(), "the first certificate is shown, and is not for this name");

    let mut other = authority.connect(&proxy, "a.other.example", "http/1.1").await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut other).await.starts_with("HTTP/1.1 421 "));
}

#[tokio::test]
async fn http2_requests_arrive_as_http1() {
    let (proxy, authority) = (start(), Authority::new());
    let application = application(|request| async move {
        let head = request.headers();
        let text = |name: &str| head.get(name).map_or("-", |v| v.to_str().unwrap()).to_owned();
        let line = format!("{:?} {} {} {}", request.version(), text("host"), text("cookie"), text("x-forwarded-proto"));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(Full::from(format!("{line} {}", body.len())))
    })
    .await;
    secured(&proxy, &authority, application).await;
    let stream = authority.connect(&proxy, "shop.example", "h2").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = Bytes::from(vec![b'x'; 500_000]);
    let request =
        Request::post("https://shop.example/up").header("cookie", "a=1").header("cookie", "b=2").body(Full::<Bytes>::from(body)).unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    assert!(!response.headers().contains_key("connection"));
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "HTTP/1.1 shop.example a=1; b=2 https 500000");
    // A path that means two things is refused here too, and only that request: the connection goes on.
    for (path, status) in [("/a%2fb", StatusCode::BAD_REQUEST), ("/", StatusCode::OK)] {
        let request = Request::get(format!("https://shop.example{path}")).body(Full::default()).unwrap();
        assert_eq!(soon(sender.send_request(request)).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_short_answer_resets_an_http2_stream() {
    let (proxy, authority) = (start(), Authority::new());
    let application = crate::harness::raw(|mut stream| async move {
        if !read_head(&mut stream).await {
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").await.unwrap();
    })
    .await;
    secured(&proxy, &authority, application).await;
    let stream = authority.connect(&proxy, "shop.example", "h2").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://shop.example/").body(Empty::<Bytes>::new()).unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(soon(response.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_after_the_swap() {
    let (proxy, old, new) = (start(), Authority::new(), Authority::new());
    let mut table = secured(&proxy, &old, named("web").await).await;
    assert!(new.connect(&proxy, "shop.example", "h2").await.is_err());
    table.generation = 2;
    table.certificates = vec![new.issue(proxy.home.path(), "shop.example")];
    table.certificates[0].fingerprint = "renewed".into();
    proxy.swap(&table).await;
    assert!(new.connect(&proxy, "shop.example", "h2").await.is_ok());
}

/// The server's last word names an earlier request than this one.
fn is_unseen(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR))
}

/// One HTTP/2 client: asks without pause until told to stop, and connects anew when it is told that its connection ends.
async fn keeps_asking(authority: Rc<Authority>, https: SocketAddr, answered: Rc<Cell<usize>>, done: Rc<Cell<bool>>) {
    let mut connections = 0;
    while !done.get() {
        let stream = authority.connect_to(https, "shop.example", "h2").await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        connections += 1;
        while !done.get() {
            let request = Request::post("https://shop.example/x").body(Full::<Bytes>::from("abc")).unwrap();
            match sender.try_send_request(request).await {
                Ok(response) => {
                    assert_eq!(response.status(), StatusCode::OK);
                    response.into_body().collect().await.unwrap();
                    answered.set(answered.get() + 1);
                }
                // Given back unsent, because the connection was known to end; or told that nobody has seen it (RFC 9113 §6.8), because its frames were
                // still on their way out when the client answered the question that ends the connection.
                Err(mut failure) => {
                    let unseen = failure.take_message().is_some() || is_unseen(failure.error());
                    assert!(unseen, "lost on connection {connections}: {:?}", failure.error());
                    break;
                }
            }
        }
    }
    assert!(connections > 1, "it was told that its connection ends");
}

#[tokio::test]
async fn http2_clients_that_keep_asking_lose_nothing_when_one_proxy_takes_over_from_another() {
    const CLIENTS: usize = 16;
    let shared = listener();
    let options = || {
        let listeners = Listeners { https: vec![shared.try_clone().unwrap()], ..Listeners::default() };
        Options { listeners, drain: Duration::from_secs(30), ..Options::default() }
    };
    let authority = Rc::new(Authority::new());
    let mut old = start_with(tempfile::tempdir().unwrap(), options());
    secured(&old, &authority, named("web").await).await;
    let (https, done, answered) = (old.https, Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let local = LocalSet::new();
    let ask = || keeps_asking(Rc::clone(&authority), https, Rc::clone(&answered), Rc::clone(&done));
    let clients: Vec<_> = (0..CLIENTS).map(|_| local.spawn_local(ask())).collect();
    local
        .run_until(async {
            for _ in 0..3 {
                let before = answered.get();
                until("requests are answered", async || answered.get() > before + 10 * CLIENTS).await;
                let new = start_with(Arc::clone(&old.home), options());
                let handle = std::mem::replace(&mut old, new).handle;
                soon(tokio::task::spawn_blocking(move || handle.stop())).await.unwrap().unwrap();
            }
            done.set(true);
            for client in clients {
                soon(client).await.expect("no client lost a request");
            }
        })
        .await;
}
