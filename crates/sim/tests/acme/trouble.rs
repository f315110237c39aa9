//! What goes wrong, and that the site is served all the same.

use crate::ca::Answer;
use crate::site::{spec, start};
use crate::wire::until;
use landfall_agent::Clock;
use landfall_model::certificate::CertificateSource;

const NAME: &str = "t.landfall-tests.com";
const MINUTE: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_down_stops_neither_a_deploy_nor_a_start() {
    let (ca, mut site) = start(0).await;
    ca.trouble("/dir", 1000, Answer::With(503, None, "down"));
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&[NAME], &site.own_root()).await;
    until("it is told", || async { site.failures() == ["certificate-authority"] }).await;
    let status = site.certificates().remove(0);
    assert_eq!((status.source, status.served), (CertificateSource::Acme, CertificateSource::Internal));
    assert!(status.failure.is_some() && status.next_ms.is_some_and(|next| next > site.clock.now_ms()));
    site.kill();
    site.live();
    site.serves(&[NAME], &site.own_root()).await;
    ca.calm();
    site.clock.turn(3 * MINUTE);
    site.agent().look_after_certificates();
    site.serves(&[NAME], &ca.issues).await;
    assert_eq!(site.certificates().remove(0).failure, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_has_had_enough_is_left_alone_for_as_long_as_it_said() {
    let (ca, mut site) = start(0).await;
    let body = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates","status":429}"#;
    ca.trouble("order-plz", 1, Answer::With(429, Some("7200"), body));
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    until("it is told", || async { site.failures() == ["certificate-rate-limit"] }).await;
    let orders = ca.seen("order-plz");
    let next = site.certificates().remove(0).next_ms.unwrap();
    assert!(next > site.clock.now_ms() + 110 * MINUTE, "{next}");
    site.clock.turn(100 * MINUTE);
    site.agent().look_after_certificates();
    site.deploy(spec(&[NAME, "u.landfall-tests.com"], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&["u.landfall-tests.com"], &ca.issues).await;
    assert_eq!(ca.seen("order-plz"), orders + 1, "only for the other name");
    site.clock.turn(25 * MINUTE);
    site.agent().look_after_certificates();
    site.serves(&[NAME], &ca.issues).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_port_and_caa_are_told_apart() {
    let (ca, mut site) = start(0).await;
    let caa = r#"{"type":"urn:ietf:params:acme:error:caa","detail":"CAA record prevents issuance","status":403}"#;
    ca.dns("/set-default-ipv4", serde_json::json!({ "ip": "" })).await;
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    until("the DNS is told of", || async { site.failures() == ["certificate-dns"] }).await;
    ca.dns("/set-default-ipv4", serde_json::json!({ "ip": "127.0.0.9" })).await;
    site.clock.turn(5 * MINUTE);
    site.agent().look_after_certificates();
    until(&format!("the port is told of: {:?}", site.events()), || async { site.failures().len() == 2 }).await;
    assert_eq!(site.failures()[1], "certificate-port");
    ca.dns("/set-default-ipv4", serde_json::json!({ "ip": "127.0.0.1" })).await;
    ca.trouble("finalize", 1, Answer::With(403, None, caa));
    site.clock.turn(15 * MINUTE);
    site.agent().look_after_certificates();
    until("CAA is told of", || async { site.failures().len() == 3 }).await;
    assert_eq!(site.failures()[2], "certificate-caa");
    site.clock.turn(30 * MINUTE);
    site.agent().look_after_certificates();
    site.serves(&[NAME], &ca.issues).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_five_validations_fail_within_an_hour() {
    let (ca, mut site) = start(0).await;
    ca.dns("/set-default-ipv4", serde_json::json!({ "ip": "127.0.0.9" })).await;
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    let began = site.clock.now_ms();
    let mut asked = 0;
    while site.clock.now_ms() < began + 55 * MINUTE {
        asked += 1;
        until("the attempt ended", || async {
            let status = site.certificates().remove(0);
            !status.asking && status.next_ms.is_some_and(|next| next > site.clock.now_ms())
        })
        .await;
        site.clock.turn(2 * MINUTE);
        site.agent().look_after_certificates();
    }
    assert!(asked > 20);
    assert!((4..=5).contains(&site.failures().len()), "{:?}", site.failures());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_while_its_certificate_is_signed_fetches_it_and_orders_no_other() {
    let (ca, mut site) = start(0).await;
    ca.trouble("finalize", 1, Answer::Never);
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    until("the authority is asked to sign", || async { ca.seen("finalize") == 1 }).await;
    site.kill();
    site.live();
    site.serves(&[NAME], &ca.issues).await;
    assert_eq!((ca.seen("order-plz"), ca.seen("sign-me-up")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_forgot_the_account_gets_a_new_one() {
    let (ca, mut site) = start(0).await;
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&[NAME], &ca.issues).await;
    let body = r#"{"type":"urn:ietf:params:acme:error:accountDoesNotExist","detail":"unknown account","status":400}"#;
    ca.trouble("order-plz", 1, Answer::With(400, None, body));
    site.deploy(spec(&[NAME, "u.landfall-tests.com"], &format!("ca: '{}'", ca.directory()))).await;
    until("it is told", || async { site.failures().len() == 1 }).await;
    site.clock.turn(3 * MINUTE);
    site.agent().look_after_certificates();
    site.serves(&["u.landfall-tests.com"], &ca.issues).await;
    assert_eq!(ca.seen("sign-me-up"), 2);
}
