//! Every argument of every verb.

use crate::payload::arguments;
use crate::stage::{Stage, text};
use landfall_model::visible::is_hidden;

/// Verbs with `@` where the payload goes. Not here are what names a file to be written on purpose (`config --output`, `init`) and `--home`.
const VERBS: &[&[&str]] = &[
    &["check", "@"],
    &["check", "-f", "@"],
    &["check", "--project-directory", "@"],
    &["check", "--env-file", "@"],
    &["check", "--profile", "@"],
    &["check", "-p", "@"],
    &["check", "-e", "@"],
    &["check", "--format", "@"],
    // As one word: apart, `--output=FILE` would be the option that writes on purpose.
    &["config", "--hash=@"],
    &["explain", "@"],
    &["plan", "@"],
    &["deploy", "@"],
    &["deploy", "--tag", "@"],
    &["deploy", "--tag", "web=@"],
    &["promote", "@", "production"],
    &["promote", "staging", "@"],
    &["rollback", "@"],
    &["push", "@"],
    &["registry", "login", "@"],
    &["registry", "logout", "@"],
    &["secret", "set", "@"],
    &["secret", "rotate", "@"],
    &["secret", "unset", "@"],
    &["secret", "import", "@"],
    &["secret", "list", "--app", "@"],
    &["releases", "@"],
    &["status", "@"],
    &["logs", "@"],
    &["logs", "--app", "@"],
    &["events", "--app", "@"],
    &["exec", "@", "true"],
    &["exec", "--replica", "@", "web", "true"],
    &["run", "@", "true"],
    &["run", "-e", "@", "nothing", "true"],
    &["certs", "@"],
    &["certs", "--renew", "@"],
    &["down", "@", "--volumes", "--confirm", "no"],
    &["reset", "@", "--volumes", "--confirm", "no"],
    &["reset", "shop", "--volumes", "--confirm", "@"],
    &["completions", "@"],
    &["--server", "@", "status"],
    &["--color", "@", "status"],
    &["@"],
];

#[test]
fn no_argument_breaks_out() {
    let stage = Stage::up();
    stage.app();
    let payloads = arguments(&stage.trap());
    let mut runs = 0;
    // Each verb gets every so manieth payload, and each payload several verbs; with `INJECTION=all` every verb gets them all.
    let step = if std::env::var("INJECTION").is_ok_and(|v| v == "all") { 1 } else { 31 };
    for (n, verb) in VERBS.iter().enumerate() {
        for payload in payloads.iter().skip(n % step).step_by(step) {
            let args: Vec<String> = verb.iter().map(|word| word.replace('@', payload)).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let output = stage.traced(&args).output().unwrap();
            let code = output.status.code();
            // A mistake is 1 or 2; what happens to be a right word, `--help` among them, is 0.
            assert!(matches!(code, Some(0..=4)), "{args:?}: {code:?} {}", text(&output));
            let said = text(&output);
            assert!(!said.contains(is_hidden), "{args:?} is told raw: {said:?}");
            stage.client_stayed_inside("client.trace", &["docker"]);
            runs += 1;
        }
    }
    println!("{runs} runs of {} verbs", VERBS.len());
    assert_eq!(stage.releases(), 1, "an argument made or undid a release");
    stage.stayed_inside(&["python3", "true"]);
}
