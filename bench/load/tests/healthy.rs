//! A good server over TLS, with HTTP/1.1 and HTTP/2: nothing fails, and everything is counted. And one nobody should believe.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plant;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_load::FaultKind as Kind;
use landfall_load::{Ask, Mix, Requests, Target};
use plant::{plant, run_until};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Requests that one HTTP/2 connection serves before the server says goodbye.
const PER_CONNECTION: u32 = 7;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // Every third request is served by the other release.
    let version = if request.uri().path() == "/old" { "1" } else { "2" };
    Ok(Response::builder().header("x-version", version).body(Full::from(version)).unwrap())
}

fn acceptor(directory: &Path) -> TlsAcceptor {
    let certified = rcgen::generate_simple_self_signed(["load.test".to_owned()]).unwrap();
    std::fs::write(directory.join("ca.pem"), certified.cert.pem()).unwrap();
    let chain = vec![CertificateDer::from(certified.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    if !h2 {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(answer)).await;
        return;
    }
    let served = Arc::new(AtomicU32::new(0));
    let enough = Arc::new(tokio::sync::Notify::new());
    let counting = service_fn({
        let enough = Arc::clone(&enough);
        move |request| {
            if served.fetch_add(1, Ordering::Relaxed) + 1 == PER_CONNECTION {
                enough.notify_one();
            }
            answer(request)
        }
    });
    let mut connection = pin!(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, counting));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = enough.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn target(address: SocketAddr, ca: &Path) -> Target {
    let mut target = Target::https(address, format!("load.test:{}", address.port()), ca);
    target.requests = Requests {
        per_second: 200,
        asks: vec![Ask::version("/"), Ask::version("/"), Ask::version("/old")],
        mix: Mix { kept: 2, h2: 2, fresh: 1 },
    };
    target
}

#[test]
fn nothing_fails_on_a_good_server_that_renews_its_connections() {
    let directory = tempfile::tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    let address = plant(move |stream| serve(acceptor.clone(), stream));
    let report = run_until(target(address, &directory.path().join("ca.pem")), |r| r.requests.ok >= 300);
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.requests.ok, report.requests.sent, "{report}");
    let (old, new) = (report.requests.versions["1"], report.requests.versions["2"]);
    assert_eq!(old + new, report.requests.ok, "{report}");
    assert!(new.abs_diff(2 * old) <= 2, "{report}");
    let latency = report.requests.latency;
    assert!(0 < latency.p50_us && latency.p50_us <= latency.p99_us && latency.p99_us <= latency.max_us, "{report}");
}

#[test]
fn a_certificate_of_another_authority_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let stranger = tempfile::tempdir().unwrap();
    let acceptor_of_stranger = acceptor(stranger.path());
    acceptor(directory.path());
    let address = plant(move |stream| serve(acceptor_of_stranger.clone(), stream));
    let report = run_until(target(address, &directory.path().join("ca.pem")), |r| r.count(Kind::Tls) >= 3);
    assert_eq!(report.failed(), report.count(Kind::Tls), "{report}");
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    let directory = tempfile::tempdir().unwrap();
    acceptor(directory.path());
    let address = plant::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let mut target = target(address, &directory.path().join("ca.pem"));
    target.deadline = std::time::Duration::from_millis(300);
    let report = run_until(target, |r| r.failed() >= 3);
    assert_eq!(report.requests.ok, 0, "{report}");
}
