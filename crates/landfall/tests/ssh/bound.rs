//! A key that is bound to one app: that app it may deploy, and whatever it asks of another or of the server is refused, by every verb and every road of the API.

use crate::stage::{Stage, text};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

/// What the agent answers to the bytes of somebody who is bound to `apps`: status and body.
fn asked(stage: &Stage, apps: &str, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(stage.path("home/run/agent.sock")).unwrap();
    let begin = if apps.is_empty() { String::new() } else { format!("landfall-caller-of {{\"apps\":[{apps}]}}\n") };
    stream.write_all(format!("{begin}{request}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn a_bound_key_deploys_its_app_and_reaches_no_other() {
    let stage = Stage::up();
    stage.project("billing");
    let other = stage.here(&["deploy", "billing"]).output().unwrap();
    assert!(other.status.success(), "{}", text(&other));

    let mine = stage.there("bound", &["deploy", "shop"]).env("VERSION", "2").output().unwrap();
    assert!(mine.status.success() && text(&mine).contains("Release 2 of shop"), "{}", text(&mine));
    for verb in [&["status", "-p", "shop"][..], &["releases", "-p", "shop"], &["events", "-p", "shop"], &["secret", "list", "-p", "shop"]] {
        let output = stage.there("bound", verb).output().unwrap();
        assert!(output.status.success(), "{verb:?}: {}", text(&output));
    }
    // Nobody else is named to it, also where no app is.
    let all = stage.there("bound", &["status"]).output().unwrap();
    assert!(all.status.success() && text(&all).contains("shop") && !text(&all).contains("billing"), "{}", text(&all));

    let key = stage.path("deploy.pub").display().to_string();
    for verb in [
        &["deploy", "billing"][..],
        &["plan", "billing"],
        &["rollback", "-p", "billing"],
        &["releases", "-p", "billing"],
        &["status", "-p", "billing"],
        &["logs", "-p", "billing"],
        &["events", "-p", "billing"],
        &["events"],
        &["events", "--audit"],
        &["exec", "-p", "billing", "worker", "--", "true"],
        &["run", "-p", "billing", "worker", "--", "true"],
        &["secret", "list", "-p", "billing"],
        &["secret", "import", &key, "-p", "billing"],
        &["secret", "unset", "A", "-p", "billing"],
        &["down", "billing"],
        &["reset", "billing", "--volumes", "--confirm", "RESET_ALL_VOLUMES"],
        &["registry", "list"],
        &["registry", "logout", "ghcr.io"],
        &["prune"],
        &["certs"],
        &["metrics"],
    ] {
        let output = stage.there("bound", verb).output().unwrap();
        let refused = text(&output).contains("[app-not-allowed]") || verb.contains(&"import");
        assert!(!output.status.success() && refused, "{verb:?}: {}", text(&output));
    }
    assert_eq!(stage.ask(&["status", "-p", "billing"])[0]["release"], 1, "nothing of it changed");
    let audit = stage.here(&["events", "--audit", "-n", "1000"]).output().unwrap();
    assert!(text(&audit).contains("refused: app-not-allowed"), "{}", text(&audit));
}

#[test]
fn no_spelling_body_or_id_leads_to_another_app() {
    let stage = Stage::up();
    stage.project("billing");
    let other = stage.here(&["deploy", "billing"]).output().unwrap();
    assert!(other.status.success(), "{}", text(&other));
    let (status, spec) = asked(&stage, "", &request("GET", "/v1/apps/billing/releases/1/spec", ""));
    assert_eq!(status, 200, "{spec}");
    let (_, rollout) = asked(&stage, "", &request("GET", "/v1/events?app=billing&limit=1000", ""));
    let event = rollout
        .lines()
        .filter(|line| line.starts_with('{'))
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["rollout"].as_str().map(str::to_owned));
    let id = event.unwrap();

    assert_eq!(asked(&stage, "\"shop\"", &request("GET", "/v1/apps/shop", "")).0, 200);
    assert_eq!(asked(&stage, "\"shop\"", &request("GET", "/v1/apps/sh%6fp", "")).0, 200, "the handler's reading is the guard's");
    let deploy = format!("{{\"id\":\"x1\",\"want\":{{\"want\":\"deploy\",\"spec\":{spec}}}}}");
    let known = format!("{{\"id\":\"{id}\",\"want\":{{\"want\":\"down\",\"volumes\":false}}}}");
    let mut roads = vec![
        ("POST", "/v1/apps/shop/rollouts".to_owned(), deploy.clone()),
        ("POST", "/v1/apps/shop/plan".to_owned(), deploy),
        ("POST", "/v1/apps/shop/rollouts".to_owned(), known),
        ("GET", format!("/v1/rollouts/{id}/events"), String::new()),
        ("GET", "/v1/events?app=shop&app=billing".to_owned(), String::new()),
        ("POST", "/v1/audit".to_owned(), "{\"action\":\"x\",\"refused\":null}".to_owned()),
    ];
    for path in [
        "/v1/apps/billing",
        "/v1/apps/b%69lling",
        "/v1/apps/shop/../billing",
        "/v1/apps/shop%2f..%2fbilling",
        "//v1/apps/billing",
        "/v1//apps/billing",
        "/v1/apps/billing/",
        "/V1/apps/billing",
        "http://agent/v1/apps/billing",
        "/v1/survey",
        "/v1/metrics",
        "/metrics",
        "/v1/certs",
        "/v1/registries",
        "/v1/events",
        "/v1/events?audit=true",
    ] {
        roads.push(("GET", path.to_owned(), String::new()));
    }
    for path in ["/v1/images", "/v1/images/load", "/v1/images/name", "/v1/builds", "/v1/prune", "/v1/certs/renew"] {
        roads.push(("POST", path.to_owned(), "{}".to_owned()));
    }
    for (method, path, body) in roads {
        let (status, answer) = asked(&stage, "\"shop\"", &request(method, &path, &body));
        assert!((400..500).contains(&status), "{method} {path}: {status} {answer}");
        assert!(!answer.contains("\"worker\""), "{path} tells of it: {answer}");
    }
    // Bound to nothing is bound; and a second line does not unbind.
    assert_eq!(asked(&stage, "\"none\"", &request("GET", "/v1/apps/shop", "")).0, 403);
    let (twice, _) = asked(&stage, "\"shop\"", &format!("landfall-caller {{}}\n{}", request("GET", "/v1/apps/billing", "")));
    assert_ne!(twice, 200);
    assert_eq!(stage.ask(&["status", "-p", "billing"])[0]["release"], 1);
}
