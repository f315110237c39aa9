//! A server that is not reached, or should not be: the user reads what it is and what to type.

use crate::stage::{Stage, fingerprint, text, user};

/// What `status` says of a server that does not let it through, and its code.
fn refused(stage: &Stage, name: &str, code: &str) -> String {
    let output = stage.there(name, &["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
    let said = text(&output);
    assert!(said.contains(&format!("[{code}]")), "{name}: {said}");
    println!("{said}");
    said
}

#[test]
fn each_obstacle_is_named_with_what_to_do() {
    let stage = Stage::sshd();
    let shown = fingerprint(&stage.path("host.pub"));

    let unknown = refused(&stage, "unknown", "host-key-unknown");
    assert!(unknown.contains(&shown) && unknown.contains("`ssh unknown true`"), "{unknown}");
    assert_eq!(std::fs::read_to_string(stage.path("no_hosts")).unwrap(), "", "it was not taken on trust");

    let changed = refused(&stage, "changed", "host-key-changed");
    let remedy = format!("ssh-keygen -f '{}' -R 'server'", stage.path("changed_hosts").display());
    assert!(changed.contains(&shown) && changed.contains(&remedy), "known_hosts has it by its own name: {changed}");

    let stranger = refused(&stage, "stranger", "ssh-denied");
    assert!(stranger.contains("Permission denied (publickey)"), "{stranger}");

    let bare = refused(&stage, "bare", "no-landfall-there");
    assert!(bare.contains("landfall server setup ssh://bare"), "{bare}");

    let noisy = refused(&stage, "noisy", "ssh-noise");
    assert!(noisy.contains("Welcome to Debian"), "{noisy}");

    let ancient = refused(&stage, "ancient", "server-too-old");
    assert!(ancient.contains("landfall server upgrade ssh://ancient"), "{ancient}");

    let modern = refused(&stage, "modern", "client-too-old");
    assert!(modern.contains("9.9.9") && modern.contains(env!("CARGO_PKG_VERSION")), "{modern}");

    let away = refused(&stage, "deploy", "agent-not-running");
    assert!(away.contains("no agent runs"), "{away}");

    let closed = format!("{}@deploy:1", user());
    refused(&stage, &closed, "ssh-unreachable");

    let missing = stage.there("deploy", &["status"]).env("LANDFALL_SSH", "/nowhere/ssh").output().unwrap();
    assert!(text(&missing).contains("[ssh-missing]"), "{}", text(&missing));
}

#[test]
fn an_address_is_nothing_else_than_an_address() {
    let stage = Stage::sshd();
    let trap = stage.path("trap");
    for address in [
        format!("-oProxyCommand=touch {}@h", trap.display()),
        format!("-oProxyCommand=touch${{IFS}}{}", trap.display()),
        "a@-v".into(),
        "a b@h".into(),
        "a@h -v".into(),
        "a@h\n-v".into(),
        "a@h%0a".into(),
        "a@%h".into(),
        format!("$(touch {})@h", trap.display()),
        format!("a@`touch {}`", trap.display()),
        format!("a@h;touch {}", trap.display()),
        "a@../../h".into(),
        "a@h/path".into(),
        "a:secret@h".into(),
        "a@h:22:22".into(),
        "a@\u{202e}h".into(),
        String::new(),
    ] {
        for output in [
            stage.there(&address, &["status"]).output().unwrap(),
            stage.landfall(&["status", "--server", &format!("ssh://{address}")]).output().unwrap(),
        ] {
            assert_eq!(output.status.code(), Some(2), "{address:?}: {}", text(&output));
            assert!(text(&output).contains("is no server"), "{address:?}: {}", text(&output));
        }
    }
    assert!(!trap.exists(), "something was run");
}
