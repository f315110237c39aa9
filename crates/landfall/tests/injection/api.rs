//! The agent's API, asked as a client would that checks nothing: every path and every name of a request's body.

use crate::payload::payloads;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// As an element of a path.
fn element(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02x}");
        all
    })
}

/// A request that have the payload, one place each.
fn requests(payload: &str) -> Vec<(&'static str, String, Value)> {
    let p = element(payload);
    let exec = |argv: Value, service: &str, replica: Option<&str>| json!({"service": service, "replica": replica, "argv": argv, "tty": false, "environment": {}});
    let digest = format!("sha256:{}", "0".repeat(64));
    vec![
        ("GET", format!("/v1/apps/{p}"), Value::Null),
        ("GET", format!("/v1/apps/{p}/releases"), Value::Null),
        ("GET", format!("/v1/apps/shop/releases/{p}/spec"), Value::Null),
        ("GET", format!("/v1/apps/{p}/secrets"), Value::Null),
        ("GET", format!("/v1/apps/{p}/volumes"), Value::Null),
        ("GET", format!("/v1/apps/shop/logs?services={p}"), Value::Null),
        ("GET", format!("/v1/rollouts/{p}/events"), Value::Null),
        ("GET", format!("/v1/events?app={p}"), Value::Null),
        ("POST", format!("/v1/apps/{p}/rollouts"), json!({"id": "r-1", "want": {"want": "down", "volumes": false}})),
        ("POST", "/v1/apps/shop/rollouts".into(), json!({"id": payload, "want": {"want": "down", "volumes": false}})),
        ("POST", "/v1/apps/shop/rollouts".into(), json!({"id": "r-1", "want": {"want": payload}})),
        ("POST", "/v1/apps/shop/rollouts".into(), json!({"id": "r-1", "want": {"want": "renew", "secret": payload}})),
        ("POST", "/v1/apps/shop/rollouts".into(), json!({"id": "r-1", "want": {"want": "rollback", "release": payload}})),
        ("POST", "/v1/apps/shop/exec".into(), exec(json!(["true"]), payload, None)),
        ("POST", "/v1/apps/shop/exec".into(), exec(json!(["true"]), "web", Some(payload))),
        ("POST", format!("/v1/apps/{p}/exec"), exec(json!(["true"]), "web", None)),
        ("POST", "/v1/apps/shop/run".into(), exec(json!(["true"]), payload, None)),
        ("PUT", format!("/v1/apps/{p}/secrets"), json!({"purpose": "set", "values": {"A": "b"}})),
        ("PUT", "/v1/apps/shop/secrets".into(), json!({"purpose": "set", "values": {payload: "b"}})),
        ("DELETE", format!("/v1/apps/shop/secrets/{p}"), Value::Null),
        ("PUT", format!("/v1/registries/{p}"), json!({"user": "a", "password": "b"})),
        ("DELETE", format!("/v1/registries/{p}"), Value::Null),
        ("PUT", format!("/v1/layers/{p}?at=0&of=1"), Value::Null),
        ("PUT", format!("/v1/layers/{digest}?at={p}&of=1"), Value::Null),
        ("POST", "/v1/images".into(), json!({"reference": payload, "config": digest, "layers": []})),
        ("POST", "/v1/images/load".into(), json!({"reference": "a:1", "config": payload, "layers": [payload]})),
        ("POST", "/v1/certs/renew".into(), json!({"names": [payload]})),
    ]
}

#[test]
fn nothing_in_a_request_breaks_out() {
    let stage = Stage::up();
    stage.app();
    let (mut asked, mut refused) = (0, 0);
    // Each payload in every third place, and with `INJECTION=all` in all of them.
    let step = if std::env::var("INJECTION").is_ok_and(|v| v == "all") { 1 } else { 3 };
    for (n, payload) in payloads(&stage.trap()).into_iter().enumerate() {
        for (method, path, body) in requests(&payload).into_iter().skip(n % step).step_by(step) {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let (status, said) =
                stage.ask(method, &path, &body).unwrap_or_else(|| panic!("{method} {path} with {payload:?} has no answer"));
            asked += 1;
            // What is no name is refused; what is one is of something that is not there.
            let empty = matches!(method, "GET") && (200..300).contains(&status) && matches!(said.trim(), "" | "0" | "[]");
            let harmless = payload.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/@".contains(&b));
            assert!((400..500).contains(&status) || empty || harmless, "{method} {path} with {payload:?}: {status} {said}");
            refused += usize::from((400..500).contains(&status));
        }
    }
    println!("{asked} requests, {refused} refused");
    assert!(refused > asked / 2);
    assert_eq!(stage.releases(), 1, "a request made or undid a release");
    stage.stayed_inside(&["python3"]);
}
