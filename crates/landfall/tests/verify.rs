//! `landfall verify` against a Landfall that runs: silent when all is well, and one complaint, in its place, for each fault that is planted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "verify/stage.rs"]
mod stage;

use stage::{FILE, Stage, answering};

#[test]
fn a_deployed_app_is_as_its_file_says_and_each_planted_fault_is_named() {
    let stage = Stage::set();
    let (code, all) = stage.verify(&["--stream", "/events", "--requests", "200"]);
    assert_eq!(code, 0, "{all}");
    for wanted in [
        "✔ certificate  https://shop.test:PORT  TLS 1.3 by ",
        "✔ certificate  https://www.shop.test:PORT",
        "✔ certificate  https://api.shop.test:PORT",
        "✔ redirect     http://shop.test:PORT/  308 to https://shop.test:PORT/",
        "✔ canonical    https://www.shop.test:PORT/  308 to https://shop.test:PORT/",
        "✔ old-tls      https://shop.test:PORT  TLS 1.1 is refused",
        "✔ http2        https://shop.test:PORT  agreed on by ALPN",
        "✔ route        https://shop.test:PORT/  answers 200",
        "✔ route        https://shop.test:PORT/health  answers 200",
        "✔ route        https://shop.test:PORT/admin  answers 401",
        "✔ route        https://shop.test:PORT/old  answers 307",
        "✔ route        https://api.shop.test:PORT/  answers 200",
        "✔ headers      https://shop.test:PORT/  x-content-type-options, referrer-policy, x-frame-options, strict-transport-security",
        "✔ compression  https://shop.test:PORT/",
        "✔ websocket    wss://shop.test:PORT/ws  opens",
        "✔ events       https://shop.test:PORT/events  come as they happen",
        "✔ unknown-host https://shop.test:PORT asked for landfall-verify.invalid  answers 4",
        "✔ load         https://shop.test:PORT/  200 requests, 8 at once: 200 × 200; p50 ",
    ] {
        assert!(all.contains(wanted), "{wanted}\n{all}");
    }
    let (code, json) = stage.verify(&["--json", "--requests", "0"]);
    assert!(code == 0 && json.contains("\"ok\": true") && json.contains("\"check\": \"certificate\""), "{json}");

    assert!(!all.contains("dropped-headers"), "{all}");
    stage.ask_with("access_token: 1");
    let (code, all) = stage.verify(&[]);
    assert_eq!(code, 0, "{all}");
    assert!(all.contains("✔ dropped-headers /  1 request headers were dropped since the proxy started"), "{all}");
    assert!(all.contains("`underscore_headers: [NAME]`"), "{all}");

    // Something else on port 80.
    let (code, all) = stage.verify_at(answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), &[]);
    assert_one(code, &all, "✘ redirect     http://shop.test:PORT/  answers 200 by plain HTTP instead of a redirect to HTTPS", 3);
    // An authority that this machine does not trust.
    let (code, all) = stage.verify_without_ca(&[]);
    assert_one(code, &all, "✘ certificate  https://shop.test:PORT  the certificate is of an authority that nobody here trusts", 3);
    assert!(all.contains("--ca ca.pem"), "{all}");
    // Another file is deployed than the one that is here.
    stage.write("compose.yaml", &FILE.replace("X-Frame-Options: false", "X-Other: a, Referrer-Policy: no-referrer"));
    let (code, all) = stage.verify(&[]);
    assert_one(code, &all, "✘ headers      https://shop.test:PORT/framed  lacks x-frame-options, says `referrer-policy: strict-origin", 1);
    assert!(all.contains("where the file says `no-referrer`, lacks x-other"), "{all}");
    stage.write("compose.yaml", &FILE.replace("path: /open", "path: /open, basic_auth: { a: b-long-enough-password }"));
    let (code, all) = stage.verify(&[]);
    assert_one(code, &all, "✘ route        https://shop.test:PORT/open  answers 200", 1);
    stage.write("compose.yaml", FILE);
    let (code, all) = stage.verify(&["--p99", "0"]);
    assert_one(code, &all, "✘ load         https://shop.test:PORT/  24 requests, 8 at once: 24 × 200", 1);
    let (code, all) = stage.verify(&["--websocket", "/health", "--stream", "/health"]);
    assert_one(code, &all, "✘ websocket    wss://shop.test:PORT/health  is refused with 200", 2);
    assert!(all.contains("✘ events       https://shop.test:PORT/health  answers 200 with text/plain, not with events"), "{all}");
    // What the application does wrong.
    stage.deploy("socket");
    let (code, all) = stage.verify(&[]);
    assert_one(code, &all, "✘ websocket    wss://shop.test:PORT/ws  is refused with 403", 1);
    stage.deploy("answer");
    let (code, all) = stage.verify(&[]);
    assert_one(code, &all, "✘ route        https://shop.test:PORT/  answers 500", 3);
    assert!(all.contains("`landfall logs web` shows what it wrote"), "{all}");
    assert!(all.contains("✘ load         https://shop.test:PORT/  24 requests, 8 at once: 24 × 500"), "{all}");
}

#[track_caller]
fn assert_one(code: i32, all: &str, wanted: &str, failed: usize) {
    assert!(all.contains(wanted), "{wanted}\n{all}");
    assert_eq!((code, all.matches("✘").count()), (1, failed + 1), "{all}");
}

#[test]
fn one_address_is_looked_at_without_a_file() {
    let stage = Stage::bare();
    let http = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let (code, all) = stage.run(&["verify", &format!("http://localhost:{http}/x"), "--requests", "3"]);
    assert!(code == 1 && all.contains("✔ route") && all.contains("✘ headers") && all.contains("3 × 200"), "{all}");
    for bad in ["ftp://localhost/", "http://", "http://-v/", "https://a b/", "https://$(id)/", "http://user@@/"] {
        let (code, all) = stage.run(&["verify", bad]);
        assert!(code == 2 && all.contains("[bad-url]"), "{bad}: {all}");
    }
    for args in [["--websocket", "ws"], ["--ca", "/dev/null"], ["--requests", "1000000"], ["--concurrency", "0"], ["--timeout", "0"]] {
        assert_eq!(stage.run(&["verify", "http://localhost:1/", args[0], args[1]]).0, 2, "{args:?}");
    }
}

/// Versions that no browser speaks any more, from a server that still does.
#[test]
fn a_server_that_still_speaks_tls_1_1_is_found_out() {
    let stage = Stage::bare();
    let (port, _server) = stage.old_tls_server();
    let (_, all) = stage.run(&["verify", &format!("https://localhost:{port}/"), "--ca", "root.pem", "--requests", "0", "--timeout", "5"]);
    assert!(all.contains("✔ certificate") && all.contains("TLS 1.1 is accepted") && all.contains("does not agree to h2"), "{all}");
}
