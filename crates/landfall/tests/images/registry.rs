//! Login, pull, pin, another tag, a registry that is away, and the deletion of what five releases no longer need.

use crate::place::{BASE, Registry, Server, here, must, text};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Every file below a directory.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries
        .flat_map(|e| match e.file_type().unwrap() {
            t if t.is_dir() => files(&e.path()),
            t if t.is_file() => vec![std::fs::read(e.path()).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn a_registry_with_login_is_pulled_from_and_what_no_release_needs_is_deleted() {
    let mut registry = Registry::start();
    let repository = format!("{}/landfall-test/app", registry.host);
    let ids: Vec<String> = (1..=6).map(|tag| registry.put("landfall-test/app", tag)).collect();
    let server = Server::up("lf-images-registry", &repository);
    let image = |tag: usize| format!("{repository}:{tag}");

    // Without a login, with a wrong one, with the right one.
    let refused = server.landfall(&["deploy"]).output().unwrap();
    let said = text(&refused);
    assert!(!refused.status.success() && said.contains("[registry-refuses]"), "{said}");
    assert!(said.contains(&format!("landfall registry login {}", registry.host)), "{said}");
    let login = ["registry", "login", &registry.host, "--user", "ci"];
    let wrong = text(&server.told(&login, "wr0ng-token\n"));
    assert!(wrong.contains("[login-refused]") && !wrong.contains("wr0ng-token"), "{wrong}");
    assert_eq!(must(&mut server.landfall(&["registry", "list", "--json"])), "[]");
    let right = text(&server.told(&login, "s3cret-token\n"));
    assert!(right.contains(&format!("logged in to {} as ci", registry.host)), "{right}");
    let listed = must(&mut server.landfall(&["registry", "list", "--json"]));
    assert!(listed.contains("\"ci\"") && !listed.contains("s3cret"), "{listed}");

    // The tag that is asked for is what serves.
    must(&mut server.landfall(&["deploy"]));
    assert_eq!(server.serving(), ids[0]);
    must(&mut server.landfall(&["deploy", "--tag", "web=2"]));
    assert_eq!(server.serving(), ids[1]);
    let nowhere = text(&server.landfall(&["deploy", "--tag", "nowhere"]).output().unwrap());
    assert!(nowhere.contains("[no-image]") && nowhere.contains("nowhere"), "{nowhere}");
    assert_eq!(server.serving(), ids[1], "a release that failed changes nothing");

    // A registry that is away is not needed for images that are here.
    registry.down();
    must(&mut server.landfall(&["deploy", "--tag", "1"]));
    must(&mut server.landfall(&["rollback"]));
    assert_eq!(server.serving(), ids[1]);
    let away = text(&server.landfall(&["deploy", "--tag", "3"]).output().unwrap());
    assert!(away.contains("[registry-away]") && away.contains("tried again"), "{away}");
    registry.up();

    // Releases so far were of tutor-frontend, 1, 2, 1 and 2: five later ones need neither of these.
    must(Command::new("docker").args(["tag", &image(1), "landfall-test-kept:1"]));
    for tag in 3..=6 {
        must(&mut server.landfall(&["deploy", "--tag", &tag.to_string()]));
    }
    must(&mut server.landfall(&["deploy", "--tag", "5"]));
    let pruned = |args: &[&str]| serde_json::from_str::<Value>(&must(&mut server.landfall(args))).unwrap();
    // After a release it is done in the background; whoever is first, nothing is left for the second.
    pruned(&["prune", "--json"]);
    assert_eq!(pruned(&["prune", "--dry-run", "--json"])["images"], serde_json::json!([]));
    assert_eq!([1, 2, 3, 4, 5, 6].map(|tag| here(&image(tag))), [true, false, true, true, true, true]);
    assert!(here(BASE) && here("landfall-test-kept:1"), "what others gave a name stays");
    // Outside of a project every event of the server is listed.
    let events = must(server.landfall(&["events", "--json", "-n", "1000"]).current_dir(server.home()));
    assert!(events.contains("images-pruned") && !events.contains("s3cret-token"), "{events}");
    must(Command::new("docker").args(["volume", "inspect", "lf-images-registry_data"]));

    // The password is nowhere in clear.
    for bytes in files(&server.home()) {
        assert!(!bytes.windows(12).any(|w| w == b"s3cret-token"));
    }
    must(&mut server.landfall(&["registry", "logout", &registry.host]));
    let again = server.landfall(&["registry", "logout", &registry.host]).output().unwrap();
    assert!(text(&again).contains("[no-login]"), "{}", text(&again));
    drop(server);
    let left: Vec<String> = [1, 3, 4, 5, 6].map(image).into();
    must(Command::new("docker").args(["image", "rm", "landfall-test-kept:1"]).args(left));
}

#[test]
fn a_tag_that_would_change_nothing_is_refused_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("compose.yaml"), "services:\n  web:\n    image: acme/web:1\n").unwrap();
    let deploy = |tag: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["deploy", "--tag", tag]).current_dir(dir.path()).env("LANDFALL_HOME", dir.path().join("home"));
        command.output().unwrap()
    };
    for (tag, code) in [("next", "[no-tag]"), ("api=next", "[no-service]")] {
        let output = deploy(tag);
        assert!(output.status.code() == Some(2) && text(&output).contains(code), "{}", text(&output));
    }
    for hostile in ["$(id)", "a;b", "-v", "../x", "a b"] {
        assert_eq!(deploy(hostile).status.code(), Some(2), "{hostile}");
    }
}
