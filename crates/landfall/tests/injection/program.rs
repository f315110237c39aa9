//! What is meant for a program reaches it to the byte, whatever it is, and nothing else happens on the way.

use crate::payload::{arguments, payloads};
use crate::stage::{Stage, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_model::compose::is_placeholder;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Compose puts variables in place of `$`; two of them are one.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

#[test]
fn programs_get_every_payload_to_the_byte() {
    let stage = Stage::up();
    // Passwords that everybody knows are refused in variables, also in addresses.
    let all: Vec<String> = arguments(&stage.trap()).into_iter().filter(|p| !p.contains("user:pass@")).collect();
    let argv: Vec<String> = ["python3", "show.py"].into_iter().map(str::to_owned).chain(all.iter().map(|p| literal(p))).collect();
    let environment: BTreeMap<String, String> = all.iter().enumerate().map(|(n, p)| (format!("P{n}"), literal(p))).collect();
    let labels: BTreeMap<String, String> = all.iter().enumerate().map(|(n, p)| (format!("l{n}"), literal(p))).collect();
    stage.compose(&json!({
        "name": "shop",
        "x-landfall": {"runtime": "process"},
        "services": {"web": {"command": argv, "environment": environment, "labels": labels, "x-landfall": {"drain": "1s"}}}
    }));
    stage.good(&["deploy"]);
    let given = stage.given();
    assert_eq!(given["argv"], json!(all));
    for (n, payload) in all.iter().enumerate() {
        assert_eq!(given["env"][format!("P{n}")], json!(payload));
    }

    // A command beside it. What it writes is what it was told.
    for chunk in all.chunks(100) {
        let mut args = vec!["exec", "-T", "web", "printf", "%s\\0"];
        args.extend(chunk.iter().map(String::as_str));
        let output = stage.landfall(&args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let wrote: Vec<String> = output.stdout.split(|b| *b == 0).map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(wrote[..chunk.len()], *chunk);
    }
    stage.stayed_inside(&["python3", "printf"]);
}

#[test]
fn secrets_may_hold_anything_and_names_may_not() {
    let stage = Stage::up();
    let all = payloads(&stage.trap());
    // Words that stand for a secret that is still to come are refused.
    let texts: Vec<&String> = all.iter().filter(|p| !p.contains('\0') && !is_placeholder(p) && p.len() >= 2).take(500).collect();
    let env: BTreeMap<String, Value> = (0..texts.len()).map(|n| (format!("S{n}"), json!({"secret": true}))).collect();
    let environment: BTreeMap<String, String> = (0..texts.len()).map(|n| (format!("S{n}"), format!("${{S{n}}}"))).collect();
    stage.compose(&json!({
        "name": "shop",
        "x-landfall": {"runtime": "process", "env": env},
        "services": {"web": {"command": ["python3", "show.py"], "environment": environment, "x-landfall": {"drain": "1s"}}}
    }));
    // Through the API, because a file of variables has quotes of its own.
    let values: BTreeMap<String, String> = texts.iter().enumerate().map(|(n, p)| (format!("S{n}"), STANDARD.encode(p))).collect();
    for part in values.iter().collect::<Vec<_>>().chunks(100) {
        let part: BTreeMap<_, _> = part.iter().copied().collect();
        let (status, said) = stage.ask("PUT", "/v1/apps/shop/secrets", &json!({"purpose": "import", "values": part}).to_string()).unwrap();
        assert_eq!(status, 200, "{said}");
    }
    stage.good(&["deploy"]);
    let given = stage.given();
    for (n, payload) in texts.iter().enumerate() {
        assert_eq!(given["env"][format!("S{n}")], json!(payload), "S{n}");
    }
    let set = stage.fed(&["secret", "set", "S0"], "$(id) `id` ; 'x' \"y\"");
    assert!(set.status.success(), "{}", text(&set));
    stage.stayed_inside(&["python3"]);
}
