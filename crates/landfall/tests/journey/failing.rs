//! Releases that cannot work: the old one serves throughout, and the user reads why.

use crate::server::{Example, Server, text};

/// Deploys with a planted fault; answers what was printed.
fn fails(server: &Server, fail: &str) -> String {
    let output = server.deploy(2, &[("FAIL", fail), ("DEADLINE", "3s")]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{fail}: {}", text(&output));
    server.is_whole();
    text(&output)
}

#[test]
fn tutor_releases_that_cannot_work_are_undone_and_say_why() {
    let server = Server::up(Example::Tutor);
    let load = server.load(100);
    let release = server.status().release;

    let never_healthy = fails(&server, "health");
    assert!(never_healthy.contains("GET /health answers 503"), "{never_healthy}");

    let exits = fails(&server, "exit");
    assert!(exits.contains("ended with code"), "{exits}");
    assert!(exits.contains("FAIL=exit"), "the last log lines are shown: {exits}");

    let other_port = fails(&server, "port");
    assert!(other_port.contains("nothing listens on port 8000"), "{other_port}");
    assert!(other_port.contains("listens on 3000") && other_port.contains("port: 3000"), "{other_port}");

    let migration = fails(&server, "migrate");
    assert!(migration.contains("the migration of backend ended with code 1"), "{migration}");
    assert!(migration.contains("relation \"lesson\" does not exist"), "the last log lines are shown: {migration}");

    assert_eq!(server.status().release, release, "the old release serves");
    let report = load.stop();
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.requests.versions.keys().collect::<Vec<_>>(), ["1"], "{report}");
}

#[test]
fn an_image_that_does_not_exist_touches_nothing() {
    let server = Server::up(Example::Tutor);
    let output = server.deploy(999, &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    // Of a registry that has none, or of one that cannot be reached from here.
    assert!(text(&output).contains("image `tutor-backend:999` cannot be had"), "{}", text(&output));
    server.is_whole();
}

#[test]
fn guestbook_goes_back_and_forth() {
    let server = Server::up(Example::Guestbook);
    let second = server.deploy(2, &[]).wait_with_output().unwrap();
    assert!(second.status.success(), "{}", text(&second));
    let again = server.deploy(2, &[]).wait_with_output().unwrap();
    assert!(again.status.success() && text(&again).contains("othing to change"), "{}", text(&again));
    let back = server.landfall(&["rollback"]).output().unwrap();
    assert!(back.status.success(), "{}", text(&back));
    let releases = server.landfall(&["releases", "--json"]).output().unwrap();
    let releases: serde_json::Value = serde_json::from_slice(&releases.stdout).unwrap();
    assert_eq!(releases[0]["purpose"], "rollback to release 1", "{releases:#}");
    assert_eq!(releases[0]["current"], true, "{releases:#}");
    server.is_whole();
}
