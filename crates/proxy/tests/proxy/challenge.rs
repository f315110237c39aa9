//! What authorities of certificates get to see.

use crate::harness::{named, start, table};
use http::StatusCode;
use landfall_model::route::{CertificateFiles, ChallengeAnswer, RouteTable};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

/// An authority validating a name looks at the certificate itself and trusts nobody.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn made(directory: &Path, file: &str, host: &str) -> (CertificateFiles, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    // Critical, and so refused by whoever checks certificates.
    params.custom_extensions = if file == "answer" { vec![CustomExtension::new_acme_identifier(&[7; 32])] } else { Vec::new() };
    let certificate = params.self_signed(&key).unwrap();
    let path = |ending: &str| directory.join(format!("{file}.{ending}")).display().to_string();
    std::fs::write(path("pem"), certificate.pem()).unwrap();
    std::fs::write(path("key"), key.serialize_pem()).unwrap();
    let files = CertificateFiles { hosts: vec![host.into()], chain: path("pem"), key: path("key"), fingerprint: file.into() };
    (files, certificate.der().to_vec())
}

/// The certificate shown, and the protocol agreed on; the connection must end when that is the authority's.
async fn shown(https: std::net::SocketAddr, name: &str, offered: &[&str]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|p| p.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(https).await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await.ok()?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates()?.first()?.to_vec();
    let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
    if protocol.as_deref() == Some(b"acme-tls/1") {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"", "nothing is spoken in this protocol");
    }
    Some((certificate, protocol))
}

fn answered(table: &RouteTable, answers: Vec<ChallengeAnswer>) -> RouteTable {
    RouteTable { generation: table.generation + 1, challenges: answers, ..table.clone() }
}

#[tokio::test]
async fn an_http_challenge_is_answered_before_the_redirect_and_everything_beside_it_is_not() {
    LocalSet::new()
        .run_until(async {
            let proxy = start();
            let application = named("web").await;
            let mut before = table(1, &[("/", "shop/web", application)]);
            before.sites[0].https = true;
            proxy.swap(&before).await;
            let path = "/.well-known/acme-challenge/token-1";
            assert_eq!(proxy.get("shop.example", path).await.0, StatusCode::PERMANENT_REDIRECT);
            let answer =
                ChallengeAnswer::Http { host: "shop.example".parse().unwrap(), token: "token-1".into(), answer: "token-1.thumb".into() };
            let after = answered(&before, vec![answer]);
            proxy.swap(&after).await;
            let (status, text) = proxy.get("shop.example", path).await;
            assert_eq!((status, text.rsplit("\r\n").next()), (StatusCode::OK, Some("token-1.thumb")));
            assert!(!text.contains("strict-transport"), "{text}");
            for (host, path) in [
                ("shop.example", "/.well-known/acme-challenge/token-2"),
                ("shop.example", "/.well-known/acme-challenge/token-1/"),
                ("shop.example", "/.well-known/acme-challenge/"),
                ("shop.example", "/token-1"),
            ] {
                assert_eq!(proxy.get(host, path).await.0, StatusCode::PERMANENT_REDIRECT, "{host}{path}");
            }
            assert_ne!(proxy.get("other.example", path).await.0, StatusCode::OK);
            proxy.swap(&answered(&after, vec![])).await;
            assert_eq!(proxy.get("shop.example", path).await.0, StatusCode::PERMANENT_REDIRECT);
        })
        .await;
}

#[tokio::test]
async fn a_tls_challenge_is_shown_to_who_offers_its_protocol_alone() {
    LocalSet::new()
        .run_until(async {
            let proxy = start();
            let application = named("web").await;
            let (usual, usual_der) = made(proxy.home.path(), "usual", "shop.example");
            let (answer, answer_der) = made(proxy.home.path(), "answer", "shop.example");
            let mut before = table(1, &[("/", "shop/web", application)]);
            before.certificates = vec![usual];
            proxy.swap(&before).await;
            assert_eq!(shown(proxy.https, "shop.example", &["acme-tls/1"]).await, None);
            let torn = CertificateFiles { chain: "/nowhere".into(), hosts: vec!["torn.example".into()], ..answer.clone() };
            proxy.swap(&answered(&before, vec![ChallengeAnswer::TlsAlpn(torn), ChallengeAnswer::TlsAlpn(answer)])).await;
            assert_eq!(shown(proxy.https, "shop.example", &["acme-tls/1"]).await, Some((answer_der, Some(b"acme-tls/1".to_vec()))));
            for (offered, agreed) in [(&["h2", "acme-tls/1"][..], Some(b"h2".to_vec())), (&[][..], None)] {
                assert_eq!(shown(proxy.https, "shop.example", offered).await, Some((usual_der.clone(), agreed)));
            }
            for stranger in ["other.example", "torn.example"] {
                assert_eq!(shown(proxy.https, stranger, &["acme-tls/1"]).await, None);
            }
        })
        .await;
}
