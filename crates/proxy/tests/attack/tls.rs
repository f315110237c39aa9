//! What TLS offers: to openssl in every run, to testssl.sh with all it knows when `bench/tls` asks for it, because that takes minutes.

use crate::harness::{Running, named, start, table};
use landfall_model::route::CertificateFiles;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Findings about a test's own certificate, which no authority watches over, and about the openssl that testssl.sh calls.
const NOT_OURS: [&str; 4] = ["cert_crlDistributionPoints", "cert_revocation", "DNS_CAArecord", "engine_problem"];

/// A site over HTTPS whose certificate an authority of its own issued; its certificate is the file.
async fn site() -> (Running, PathBuf) {
    let proxy = start();
    let (files, authority) = issue(proxy.home.path());
    let mut table = table(1, &[("/", "shop/web", named("web").await)]);
    table.sites[0].https = true;
    table.certificates.push(files);
    proxy.swap(&table).await;
    (proxy, authority)
}

fn issue(directory: &Path) -> (CertificateFiles, PathBuf) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["shop.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "shop.example");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let now = std::time::SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + std::time::Duration::from_secs(90 * 24 * 3600)).into();
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    let file = |ending: &str| directory.join(format!("shop.{ending}"));
    std::fs::write(file("pem"), chain).unwrap();
    std::fs::write(file("key"), key.serialize_pem()).unwrap();
    std::fs::write(file("ca"), authority.pem()).unwrap();
    let text = |ending: &str| file(ending).display().to_string();
    let files = CertificateFiles { hosts: vec!["shop.example".into()], chain: text("pem"), key: text("key"), fingerprint: "shop".into() };
    (files, file("ca"))
}

/// What `openssl s_client` negotiated with these arguments, `TLSv1.3 TLS_AES_256_GCM_SHA384` for one; nothing if it could not.
async fn negotiated(proxy: &Running, arguments: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new("openssl");
    command.args(["s_client", "-connect", &proxy.https.to_string(), "-servername", "shop.example"]).args(arguments);
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("CONNECTED"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("New, "))?;
    let (version, cipher) = line.split_once(", Cipher is ").unwrap();
    (cipher != "(NONE)").then(|| format!("{version} {cipher}"))
}

#[tokio::test]
async fn only_what_is_good_is_negotiated() {
    let (proxy, _) = site().await;
    let weak = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for version in ["-tls1", "-tls1_1"] {
        assert_eq!(negotiated(&proxy, &[version, "-cipher", weak]).await, None, "{version}");
    }
    // No key exchange whose secret can be found out later, no chained blocks, nothing without authentication or encryption.
    for ciphers in ["kRSA", "kDHE", "CBC", "aNULL", "eNULL", "PSK", "SHA1"] {
        let only = match ciphers {
            "CBC" => "AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0".to_owned(),
            class => format!("{class}:@SECLEVEL=0"),
        };
        assert_eq!(negotiated(&proxy, &["-tls1_2", "-cipher", &only]).await, None, "{ciphers}");
    }
    let good = negotiated(&proxy, &["-tls1_2", "-cipher", weak]).await.unwrap();
    assert!(good.contains("ECDHE-ECDSA-") && (good.contains("-GCM-") || good.contains("-CHACHA20-")), "{good}");
    let best = negotiated(&proxy, &[]).await.unwrap();
    assert!(best.starts_with("TLSv1.3 "), "{best}");
    proxy.handle.stop().unwrap();
}

#[tokio::test]
#[ignore = "minutes; bench/tls runs it"]
async fn testssl_finds_nothing() {
    let (proxy, authority) = site().await;
    let json = proxy.home.path().join("findings.json");
    let target = format!("shop.example:{}", proxy.https.port());
    let mut command = tokio::process::Command::from(Command::new("testssl"));
    command.args(["--quiet", "--warnings", "batch", "--color", "0", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca"]).arg(authority);
    command.arg("--jsonfile").arg(&json).arg(&target).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = std::fs::read_to_string(&json).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stdout)));
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let offered = |id: &str| findings.iter().find(|finding| finding["id"] == id).map(|finding| of(finding, "finding")).unwrap_or_default();
    for version in ["SSLv2", "SSLv3", "TLS1", "TLS1_1"] {
        assert_eq!(offered(version), "not offered", "{version}");
    }
    assert!(offered("TLS1_2").starts_with("offered") && offered("TLS1_3").starts_with("offered"), "{text}");
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| !matches!(of(finding, "severity").as_str(), "OK" | "INFO" | "LOW" | "DEBUG"))
        .filter(|finding| !NOT_OURS.iter().any(|name| of(finding, "id").starts_with(name)))
        .map(|finding| format!("{} {}: {}", of(finding, "severity"), of(finding, "id"), of(finding, "finding")))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    println!("{} findings, none of MEDIUM or above", findings.len());
    proxy.handle.stop().unwrap();
}
