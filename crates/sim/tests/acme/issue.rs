//! Each way to show that a name is ours.

use crate::site::{spec, start};
use crate::wire::{connect, get, until};
use landfall_model::api::What;
use landfall_model::certificate::CertificateSource;

/// Names that could be public.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n{n}.landfall-tests.com")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_names_are_served_although_nine_of_ten_nonces_are_refused() {
    let (ca, mut site) = start(90).await;
    let names = names(20);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    site.deploy(spec(&names, &format!("email: ops@landfall-tests.com, ca: '{}'", ca.directory()))).await;
    site.serves(&names, &ca.issues).await;
    assert_eq!(site.failures(), [""; 0]);
    assert_eq!(site.open_files(), [""; 0].map(std::path::PathBuf::from));
    let statuses = site.certificates();
    assert_eq!(statuses.len(), 20);
    assert!(statuses.iter().all(|c| c.served == CertificateSource::Acme && c.issuer.contains("Pebble")), "{statuses:#?}");
    let issued = site.events().iter().filter(|e| matches!(e, What::CertificateIssued { .. })).count();
    assert_eq!(issued, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_shown_by_http_or_by_tls_alone() {
    let (ca, mut site) = start(0).await;
    for (challenge, name) in [("http", "h.landfall-tests.com"), ("tls-alpn", "t.landfall-tests.com")] {
        site.deploy(spec(&[name], &format!("ca: '{}', challenge: {challenge}", ca.directory()))).await;
        site.serves(&[name], &ca.issues).await;
    }
    assert_eq!(site.failures(), [""; 0]);
    // Nobody gets the protocol of challenges without one, and everybody else gets on with what there is.
    assert!(connect(site.https, "t.landfall-tests.com", &ca.issues, &[b"acme-tls/1"]).await.is_err());
    let both = connect(site.https, "t.landfall-tests.com", &ca.issues, &[b"acme-tls/1", b"http/1.1"]).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_is_shown_by_the_dns_and_covers_the_domains() {
    let (ca, mut site) = start(0).await;
    let dir = tempfile::tempdir().unwrap();
    let hook = dir.path().join("hook");
    // The made-up DNS is told over HTTP; bash can do that without a program of its own.
    let script = format!(
        r#"#!/bin/bash
case "$2" in
present) path=/set-txt; body="{{\"host\":\"$3.\",\"value\":\"$4\"}}" ;;
cleanup) path=/clear-txt; body="{{\"host\":\"$3.\"}}" ;;
esac
echo "$*" >> {log}
exec 3<>/dev/tcp/{ip}/{port}
printf 'POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "$path" "${{#body}}" "$body" >&3
read -r line <&3
case "$line" in *200*) exit 0 ;; *) echo "$line"; exit 1 ;; esac
"#,
        log = dir.path().join("log").display(),
        ip = ca.dns_address().ip(),
        port = ca.dns_address().port(),
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let domains = ["landfall-tests.com", "a.landfall-tests.com", "b.landfall-tests.com"];
    let tls = format!("ca: '{}', hook: ['{}', zone-1], names: ['*.landfall-tests.com']", ca.directory(), hook.display());
    site.deploy(spec(&domains, &tls)).await;
    site.serves(&domains, &ca.issues).await;
    assert_eq!(site.failures(), [""; 0]);
    assert_eq!(ca.seen("order-plz"), 2, "one for the domain itself, one for the wildcard");
    until("records are taken away", || async {
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        log.lines().filter(|l| l.starts_with("zone-1 cleanup _acme-challenge.landfall-tests.com ")).count() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_configured_names_is_asked_for() {
    let (ca, mut site) = start(0).await;
    site.deploy(spec(&["only.landfall-tests.com"], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&["only.landfall-tests.com"], &ca.issues).await;
    let orders = ca.seen("order-plz");
    for name in ["other.landfall-tests.com", "x.only.landfall-tests.com"] {
        assert!(connect(site.https, name, &ca.issues, &[]).await.is_err());
    }
    site.agent().look_after_certificates();
    // The answer to a question on the same way shows that the nudge has been worked off.
    site.deploy(spec(&["only.landfall-tests.com", "two.landfall-tests.com"], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&["two.landfall-tests.com"], &ca.issues).await;
    assert_eq!(ca.seen("order-plz"), orders + 1);
    assert!(get(ca.dns_address(), "/", None).await.len() < 1000);
}
