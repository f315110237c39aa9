//! Every verb that speaks to an agent does it over SSH too, and the server knows who it was.

use crate::stage::{Stage, fingerprint, text, user};

#[test]
fn every_verb_works_from_another_machine() {
    let stage = Stage::up();
    let run = |arguments: &[&str]| stage.there("deploy", arguments).env("VERSION", "2").output().unwrap();
    let said = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    };
    assert!(said(&["plan", "shop"]).contains("worker"));
    assert_eq!(run(&["plan", "shop", "--exit-code"]).status.code(), Some(4));
    assert!(said(&["deploy", "shop"]).contains("Release 2 of shop serves"));
    assert!(said(&["deploy", "shop"]).contains("nothing to change"));
    assert!(said(&["status", "shop"]).contains("shop"));
    assert!(said(&["releases", "shop"]).contains("deploy"));
    assert!(said(&["events", "-n", "5"]).contains("release"));
    said(&["logs", "-p", "shop"]);
    said(&["certs"]);
    said(&["metrics"]);
    assert!(said(&["exec", "-p", "shop", "worker", "--", "printenv", "VERSION"]).contains("\n2\n"));
    assert_eq!(run(&["exec", "-p", "shop", "worker", "--", "false"]).status.code(), Some(1));
    // Frames come in pieces over SSH, and standard input ends somewhere between them.
    let much = run(&["exec", "-p", "shop", "worker", "--", "head", "-c", "3000000", "/dev/zero"]);
    assert!(much.status.success() && much.stdout.len() == 3_000_000, "{} bytes, {}", much.stdout.len(), much.status);
    assert!(said(&["run", "-p", "shop", "worker", "--", "echo", "$(id)"]).contains("\n$(id)\n"));
    assert!(said(&["rollback", "-p", "shop"]).contains("Release 3 of shop serves"));

    // Who it was: the user the kernel names, the key and the address sshd names.
    let who = format!(
        "{} (uid {}, SSH key {} from 127.0.0.1)",
        user(),
        rustix::process::geteuid().as_raw(),
        fingerprint(&stage.path("deploy.pub"))
    );
    let releases = stage.ask(&["releases", "shop"]);
    assert_eq!(releases[0]["who"], who.as_str(), "{releases:#}");
    assert!(!releases[2]["who"].as_str().unwrap().contains("SSH"), "{releases:#}");

    assert!(said(&["down", "shop"]).contains("shop is down"));
    let up = run(&["up", "shop"]);
    assert_eq!(up.status.code(), Some(2), "{}", text(&up));
    assert!(text(&up).contains("[up-is-here]"), "{}", text(&up));
    // What needs no agent asks nobody for one.
    assert!(said(&["check", "shop"]).contains("exit status: 0"));
}
