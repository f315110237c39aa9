//! Certificates come to their end; the clock is turned.

use crate::ca::Answer;
use crate::site::{DAY, spec, start};
use crate::wire::{shown, until};
use landfall_model::api::What;

const NAME: &str = "r.landfall-tests.com";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_renewed_when_a_third_is_left_and_not_before() {
    let (ca, mut site) = start(0).await;
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&[NAME], &ca.issues).await;
    let first = shown(site.https, NAME, &ca.issues).await;
    let status = site.certificates().remove(0);
    let life = status.until_ms - status.from_ms;
    site.clock.turn(life / 2);
    site.agent().look_after_certificates();
    // A name that is wanted later shows that the nudge was worked off.
    site.deploy(spec(&[NAME, "s.landfall-tests.com"], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&["s.landfall-tests.com"], &ca.issues).await;
    assert_eq!(shown(site.https, NAME, &ca.issues).await, first);
    site.clock.turn(life / 6);
    site.agent().look_after_certificates();
    until("another certificate is served", || async {
        let now = shown(site.https, NAME, &ca.issues).await;
        now.is_some() && now != first
    })
    .await;
    assert_eq!(site.failures(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_stays_away_is_told_of_in_time_and_the_last_certificate_is_served_beyond_its_end() {
    let (mut ca, mut site) = start(0).await;
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&[NAME], &ca.issues).await;
    let first = shown(site.https, NAME, &ca.issues).await;
    let status = site.certificates().remove(0);
    let left = |days: u64| status.until_ms - days * DAY;
    ca.kill();
    let told = || -> Vec<u32> {
        let days = |e: &What| if let What::CertificateExpires { days, .. } = e { Some(*days) } else { None };
        site.events().iter().filter_map(days).collect()
    };
    for (count, days) in [22, 20, 13, 6, 2].into_iter().enumerate() {
        use landfall_agent::Clock;
        site.clock.turn(left(days) - site.clock.now_ms());
        site.agent().look_after_certificates();
        until(&format!("it is told that {days} days are left: {:?}", told()), || async {
            site.agent().look_after_certificates();
            told().len() == count
        })
        .await;
    }
    use landfall_agent::Clock;
    site.clock.turn(status.until_ms + DAY - site.clock.now_ms());
    site.agent().look_after_certificates();
    until("it is told that it has ended", || async { told().last() == Some(&0) }).await;
    assert_eq!(told().len(), 5, "{:?}", told());
    // The proxy goes by its files and not by the turned clock; what counts is that it was given no other.
    assert_eq!(shown(site.https, NAME, &ca.issues).await, first);
    assert!(site.failures().iter().all(|code| code == "certificate-authority"), "{:?}", site.failures());
    assert!(site.events().iter().any(|e| matches!(e, What::CertificateFailed { meanwhile, .. } if meanwhile.contains("expired"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_refused_leaves_the_last_one_and_another_comes_when_it_is_time() {
    let (ca, mut site) = start(0).await;
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&[NAME], &ca.issues).await;
    let first = shown(site.https, NAME, &ca.issues).await;
    let status = site.certificates().remove(0);
    ca.trouble("order-plz", 1000, Answer::With(500, None, ""));
    site.clock.turn((status.until_ms - status.from_ms) * 3 / 4);
    site.agent().look_after_certificates();
    until("it was asked for in vain", || async { site.failures().len() == 1 }).await;
    assert_eq!(shown(site.https, NAME, &ca.issues).await, first);
    ca.calm();
    site.clock.turn(3 * 60 * 1000);
    site.agent().look_after_certificates();
    until("another certificate is served", || async {
        let now = shown(site.https, NAME, &ca.issues).await;
        now.is_some() && now != first
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_suggests_to_renew_now_is_followed() {
    let (ca, mut site) = start(0).await;
    ca.suggest("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    site.deploy(spec(&[NAME], &format!("ca: '{}'", ca.directory()))).await;
    site.serves(&[NAME], &ca.issues).await;
    let first = shown(site.https, NAME, &ca.issues).await;
    until("the suggestion is asked for", || async { ca.seen("/suggestions/") == 1 }).await;
    until("another certificate is served", || async {
        site.agent().look_after_certificates();
        let now = shown(site.https, NAME, &ca.issues).await;
        now.is_some() && now != first
    })
    .await;
    assert_eq!(site.failures(), [""; 0]);
}
