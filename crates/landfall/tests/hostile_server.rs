//! A server that answers escapes in every text it may say. None of them reaches the terminal, in no verb that shows what servers say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// Clears the screen, sets the title, goes up a line, begins a line that was never said, turns text around; by ESC and by the single byte of C1.
const EVIL: &str = "x\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[1A\r\u{9b}3J\u{202e}\n✔ Release 9 serves";

fn failure() -> Value {
    json!({ "code": EVIL, "message": EVIL, "causes": [EVIL], "hints": [EVIL], "log": [EVIL] })
}

fn rollout(state: &str) -> Value {
    json!({ "id": "a", "purpose": EVIL, "release": 4, "state": state, "who": EVIL, "started_ms": 1, "step": EVIL, "failure": failure() })
}

fn status(rollout_now: Value, last: Value) -> Value {
    let replica = json!({
        "id": "web-4-1", "release": 4, "state": { "state": "running" }, "serving": true, "healthy": true, "address": EVIL, "active": 2,
        "restarts": 0, "started_ms": 1000,
    });
    json!({
        "app": "shop", "runtime": "docker", "release": 4, "urls": [EVIL], "rollout": rollout_now, "last_rollout": last,
        "services": [{ "service": "web", "job": false, "wanted": 1, "routes": [EVIL], "replicas": [replica] }],
    })
}

/// One event of every kind that has a text.
fn events() -> String {
    let kinds = [
        json!({ "kind": "rollout-started", "purpose": EVIL, "release": 4 }),
        json!({ "kind": "planned", "lines": [EVIL] }),
        json!({ "kind": "step-started", "index": 0, "of": 1, "undo": false, "line": EVIL, "services": ["web"] }),
        json!({ "kind": "progress", "service": "web", "line": EVIL }),
        json!({ "kind": "progress", "service": null, "line": EVIL }),
        json!({ "kind": "step-failed", "index": 0, "undo": false, "failure": failure() }),
        json!({ "kind": "called", "action": EVIL, "from": EVIL, "refused": EVIL }),
        json!({ "kind": "agent-started", "version": EVIL }),
        json!({ "kind": "replica-died", "replica": "web-4-1", "reason": EVIL }),
        json!({ "kind": "certificate-issued", "name": "a.example", "issuer": EVIL, "until_ms": 1 }),
        json!({ "kind": "rollout-ended", "state": "failed", "failure": failure(), "took_ms": 5 }),
    ];
    let event = |(seq, what): (usize, Value)| {
        json!({ "seq": seq + 1, "at_ms": 1, "app": "shop", "rollout": "a", "who": EVIL, "what": what }).to_string() + "\n"
    };
    kinds.into_iter().enumerate().map(event).collect()
}

fn answer(path: &str) -> (u16, String) {
    let bare = path.split('?').next().unwrap_or_default();
    let certificate = json!({
        "app": "shop", "name": EVIL, "source": "acme", "served": "acme", "issuer": EVIL, "from_ms": 1, "until_ms": 2, "next_ms": 3, "asking": false,
        "asked_ms": 1, "failed_ms": 1, "failure": failure(),
    });
    let value = match bare {
        "/v1/agent" => json!({ "version": EVIL, "api": 1, "pid": 1, "https": EVIL, "http": EVIL }),
        "/v1/apps" => json!([status(rollout("running"), Value::Null), status(Value::Null, rollout("failed"))]),
        "/v1/apps/shop" => status(rollout("running"), Value::Null),
        "/v1/apps/shop/releases" => json!([{
            "number": 4, "rollout": "a", "revision": EVIL, "purpose": EVIL, "who": EVIL, "at_ms": 1, "took_ms": 1, "current": true,
            "programs": { "web": EVIL },
        }]),
        "/v1/certs" => json!([certificate]),
        "/v1/ca" => json!({ "pem": EVIL }),
        "/v1/registries" => json!([{ "host": "ghcr.io", "user": EVIL, "who": EVIL, "at_ms": 1 }]),
        "/v1/apps/shop/secrets" => {
            json!([{ "name": "KEY", "version": 1, "origin": "set", "at_ms": 1, "who": EVIL, "used_by": ["web"], "in_use": 1 }])
        }
        "/v1/events" => return (200, events()),
        _ => return (500, failure().to_string()),
    };
    (200, value.to_string())
}

/// Answers one request and closes.
fn serve(mut stream: UnixStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().unwrap_or(0),
            Some(_) => {}
            None => break,
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let (status, body) = answer(&path);
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes())
}

/// What one verb says on both streams, with colours.
fn said(home: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("LANDFALL_HOME", home)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Removes colours (SGR, ECMA-48 §8.3.117), which are ours.
fn without_colours(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::new();
    while let Some(at) = rest.find("\u{1b}[") {
        let tail = &rest[at + 2..];
        let end = tail.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(tail.len());
        clean.push_str(&rest[..at]);
        if tail[end..].starts_with('m') {
            rest = &tail[end + 1..];
        } else {
            clean.push_str("\u{1b}[");
            rest = tail;
        }
    }
    clean + rest
}

#[test]
fn no_word_of_a_server_commands_the_terminal() {
    let dir = tempfile::Builder::new().prefix("lf").tempdir_in("/tmp").unwrap();
    std::fs::create_dir(dir.path().join("run")).unwrap();
    let listener = UnixListener::bind(dir.path().join("run/agent.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = serve(stream);
        }
    });
    for verb in [
        &["status"][..],
        &["status", "-p", "shop"],
        &["releases", "-p", "shop"],
        &["events", "-p", "shop"],
        &["certs"],
        &["registry", "list"],
        &["secret", "list", "-p", "shop"],
        &["metrics"],
        &["prune", "--dry-run"],
        &["rollback", "-p", "shop"],
        &["down", "-p", "shop"],
    ] {
        for more in [&["--color", "always"][..], &["--color", "never"], &["--json"]] {
            let arguments: Vec<&str> = verb.iter().chain(more).copied().collect();
            let said = said(dir.path(), &arguments);
            assert!(said.contains("owned"), "{arguments:?} says what it heard: {said}");
            let plain = without_colours(&said);
            let hidden = plain.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(hidden, None, "{arguments:?}: {plain:?}");
            assert!(!plain.lines().any(|line| line.starts_with("✔ Release 9")), "{arguments:?} lets the server begin a line: {plain}");
        }
    }
}
