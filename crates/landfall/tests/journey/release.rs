//! Twenty releases in a row under load, and again with the agent killed in each of them: nobody notices.

use crate::server::{Example, Server, pause, text};
use landfall_load::Report;
use std::time::Duration;

/// Releases in a row.
const RELEASES: u32 = 20;

/// What a journey saw, printed for the record.
fn report(server: &Server, report: &Report, calls_before: u64) {
    let (ok, failed) = server.calls();
    println!(
        "{:?}: {} requests ({} failed), {} sockets opened, {} closed by code {:?}, {} streams ended, calls inside {} (failed {failed})",
        server.example,
        report.requests.sent,
        report.requests.failed.values().map(|t| t.count).sum::<u64>(),
        report.sockets.opened,
        report.sockets.closes.values().sum::<u64>(),
        report.sockets.closes,
        report.streams.ended,
        ok - calls_before,
    );
    assert_eq!(report.failed(), 0, "{report}");
    assert!(failed.as_object().is_some_and(serde_json::Map::is_empty), "calls inside failed: {failed}");
    assert!(ok - calls_before > 1000, "only {ok} calls inside");
    assert!(report.requests.ok > u64::from(RELEASES) * 500, "only {} requests", report.requests.ok);
}

/// Versions that take turns: of the tutor there are images of two.
fn version(example: Example, release: u32) -> u32 {
    match example {
        Example::Guestbook => release,
        Example::Tutor => (release - 1) % 2 + 1,
    }
}

fn releases(example: Example) {
    let server = Server::up(example);
    let before = server.calls().0;
    let load = server.load(500);
    for release in 2..=RELEASES + 1 {
        let version = version(example, release);
        load.mark_release(&version.to_string());
        let output = server.deploy(version, &[]).wait_with_output().unwrap();
        assert!(output.status.success(), "release {release}: {}", text(&output));
        let versions = |r: &Report| r.requests.versions.get(&version.to_string()).copied().unwrap_or(0);
        let so_far = versions(&load.snapshot());
        load.wait(Duration::from_secs(30), |r| versions(r) > so_far).unwrap_or_else(|r| panic!("version {version} does not answer: {r}"));
    }
    let seen = load.stop();
    report(&server, &seen, before);
    server.is_whole();
}

fn releases_with_a_dying_agent(example: Example) {
    let server = Server::up(example);
    let before = server.calls().0;
    let load = server.load(500);
    let (mut kills, mut finished) = (0, 0);
    for release in 2..=RELEASES + 1 {
        let version = version(example, release);
        load.mark_release(&version.to_string());
        let deploy = server.deploy(version, &[]);
        // From the first journal entry to the retirement of the old: a little later in each release.
        pause(Duration::from_millis(20 + u64::from(release - 2) * 130));
        kills += u32::from(server.kill("agent"));
        let output = deploy.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => finished += 1,
            Some(3) => {}
            _ => panic!("release {release} is neither finished nor undone: {}", text(&output)),
        }
        server.is_whole();
    }
    let seen = load.stop();
    println!("{kills} kills, {finished} of {RELEASES} releases finished, the others undone");
    report(&server, &seen, before);
    assert!(kills >= RELEASES / 2, "the agent was hit only {kills} times");
    assert!(finished > 0);
}

#[test]
fn guestbook_twenty_releases_under_load() {
    releases(Example::Guestbook);
}

#[test]
fn guestbook_twenty_releases_with_the_agent_killed_in_each() {
    releases_with_a_dying_agent(Example::Guestbook);
}

#[test]
fn tutor_twenty_releases_under_load() {
    releases(Example::Tutor);
}

#[test]
fn tutor_twenty_releases_with_the_agent_killed_in_each() {
    releases_with_a_dying_agent(Example::Tutor);
}
