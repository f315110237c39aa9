//! Routes that want a token, with tokens made by another program (PyJWT), good and forged.

use crate::filters::{filtered, status, values};
use crate::harness::{Running, application, start, talk};
use http::Response;
use http_body_util::Full;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use landfall_model::filter::{Filters, Jwt, JwtAlgorithm, JwtKeys, JwtSecret};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn wants(keys: JwtKeys, algorithms: &[&str]) -> Jwt {
    Jwt {
        keys,
        algorithms: algorithms.iter().map(|name| JwtAlgorithm::parse(name).unwrap()).collect(),
        header: "authorization".parse().unwrap(),
        cookie: Some("session".into()),
        query: Some("token".into()),
        issuers: ["me".to_owned()].into(),
        audiences: ["shop".to_owned(), "till".to_owned()].into(),
        leeway_s: 30,
        claims: [("sub", "x-user-id"), ("roles", "x-roles")].map(|(c, h)| (c.to_owned(), h.parse().unwrap())).into(),
    }
}

fn secret() -> JwtKeys {
    JwtKeys::Secret(JwtSecret::new(SECRET).unwrap())
}

fn public(text: impl Into<Option<String>>) -> JwtKeys {
    JwtKeys::Public { from: "https://id.example/jwks".into(), text: text.into() }
}

/// An app that says what it was asked for and told.
async fn app(proxy: &Running, jwt: Jwt) -> landfall_model::route::RouteTable {
    let address = application(|request| async move {
        let named = |name: &str| request.headers().get(name).map_or("-", |v| v.to_str().unwrap()).to_owned();
        Response::new(Full::from(format!("{} {} {}", request.uri(), named("x-user-id"), named("x-roles"))))
    })
    .await;
    filtered(proxy, address, Filters { jwt: Some(jwt), ..Filters::default() }).await
}

async fn ask(proxy: &Running, path: &str, headers: &str) -> String {
    talk(proxy.http, &format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}Connection: close\r\n\r\n")).await
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn claims() -> Value {
    json!({ "sub": "ada", "roles": ["admin"], "iss": "me", "aud": "shop", "exp": now() + 600 })
}

fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    signed(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

/// A token made by PyJWT.
fn python(algorithm: &str, key: &str, claims: &Value) -> String {
    let program = "import sys, json, jwt\nt = jwt.encode(json.loads(sys.argv[3]), sys.argv[2], algorithm=sys.argv[1])\n\
        print(t if isinstance(t, str) else t.decode())";
    let output = Command::new("/usr/bin/python3").args(["-c", program, algorithm, key, &claims.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn who_shows_a_good_token_passes_and_the_application_is_told_what_it_says() {
    let proxy = start();
    app(&proxy, wants(secret(), &["HS256", "HS384", "HS512"])).await;
    for algorithm in ["HS256", "HS384", "HS512"] {
        let token = python(algorithm, SECRET, &claims());
        let answer = ask(&proxy, "/a?b=1", &format!("{}X-User-Id: eve\r\nX-Roles: root\r\n", bearer(&token))).await;
        assert!(answer.ends_with("/a?b=1 ada [\"admin\"]"), "{answer}");
    }
    let token = hs256(&claims());
    let answer = ask(&proxy, "/", &format!("Cookie: a=b; session={token}\r\n")).await;
    assert!(answer.ends_with("/ ada [\"admin\"]"), "{answer}");
    let answer = ask(&proxy, &format!("/ws?a=1&token={token}&b=2"), "").await;
    assert!(answer.ends_with("/ws?a=1&b=2 ada [\"admin\"]"), "the application never sees it: {answer}");

    let mut without = claims();
    without.as_object_mut().unwrap().remove("roles");
    let answer = ask(&proxy, "/", &format!("{}X-Roles: root\r\n", bearer(&hs256(&without)))).await;
    assert!(answer.ends_with("/ ada -"), "what the token does not say nobody says: {answer}");
}

#[tokio::test]
async fn everybody_else_is_refused_and_told_how_to_ask() {
    let proxy = start();
    app(&proxy, wants(secret(), &["HS256"])).await;
    let answer = ask(&proxy, "/", "X-User-Id: eve\r\n").await;
    assert_eq!((status(&answer), values(&answer, "www-authenticate")), (401, vec!["Bearer".to_owned()]));
    assert_eq!(values(&ask(&proxy, "/", "Authorization: Basic YTpi\r\n").await, "www-authenticate"), ["Bearer"], "no token either");
    let with = |key: &str, value: Value| {
        let mut claims = claims();
        claims[key] = value;
        hs256(&claims)
    };
    let without = |key: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(key);
        hs256(&claims)
    };
    let good = hs256(&claims());
    let (head, tail) = good.rsplit_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let payload = good.split('.').nth(1).unwrap();
    let crit = Header { crit: Some(vec!["x".into()]), ..Header::default() };
    let bad = [
        ("expired", with("exp", json!(now() - 60))),
        ("without an end", without("exp")),
        ("an end that is a text", with("exp", json!("9999999999"))),
        ("not yet", with("nbf", json!(now() + 60))),
        ("another's", with("iss", json!("you"))),
        ("nobody's", without("iss")),
        ("nobody's that can be read", with("iss", json!(7))),
        ("for another", with("aud", json!(["web"]))),
        ("for nobody", without("aud")),
        ("unsigned", format!("{none}.{payload}.")),
        ("unsigned, with a signature", format!("{none}.{payload}.{tail}")),
        ("cut", head.to_owned()),
        (
            "signed for something else",
            format!("{}.{}.{tail}", good.split('.').next().unwrap(), without("roles").split('.').nth(1).unwrap()),
        ),
        ("another algorithm", signed(&Header::new(Algorithm::HS384), &claims(), &EncodingKey::from_secret(SECRET.as_bytes()))),
        ("another secret", signed(&Header::default(), &claims(), &EncodingKey::from_secret(b"another"))),
        ("an extension", signed(&crit, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()))),
        ("a line break told", with("sub", json!("ada\r\nX-Roles: root"))),
        ("long", format!("{good}{}", "a".repeat(10_000))),
        ("dots", "..".to_owned()),
    ];
    for (what, token) in bad {
        let answer = ask(&proxy, "/", &bearer(&token)).await;
        assert_eq!(status(&answer), 401, "{what}: {answer}");
        assert_eq!(values(&answer, "www-authenticate"), ["Bearer error=\"invalid_token\""], "{what}");
    }
    let twice = format!("{}{}", bearer(&good), bearer(&good));
    assert_eq!(status(&ask(&proxy, "/", &twice).await), 401, "two of them are two readings");
    assert_eq!(status(&ask(&proxy, "/", &bearer(&with("exp", json!(now() - 10)))).await), 200, "clocks may differ a little");
    assert_eq!(status(&ask(&proxy, "/", &bearer(&with("aud", json!(["web", "till"])))).await), 200);
}

#[tokio::test]
async fn public_keys_check_what_their_private_halves_signed_and_are_no_secrets() {
    let rsa = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let p256 = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let p384 = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let jwk = |key: EncodingKey, algorithm, id: &str| {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        jwk
    };
    let rsa_key = || EncodingKey::from_rsa_pem(rsa.as_bytes()).unwrap();
    let ec_key = |pem: &str| EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let oct = json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "oct" });
    let keys = vec![
        jwk(rsa_key(), Algorithm::RS256, "r"),
        jwk(ec_key(&p256), Algorithm::ES256, "e"),
        jwk(ec_key(&p384), Algorithm::ES384, "f"),
        serde_json::from_value(oct).unwrap(),
    ];
    let set = serde_json::to_string(&JwkSet { keys }).unwrap();
    let proxy = start();
    let all = ["RS256", "RS384", "RS512", "ES256", "ES384"];
    let mut table = app(&proxy, wants(public(set.clone()), &all)).await;
    for (algorithm, key) in [("RS256", &rsa), ("ES256", &p256), ("ES384", &p384)] {
        let answer = ask(&proxy, "/", &bearer(&python(algorithm, key, &claims()))).await;
        assert!(answer.ends_with("/ ada [\"admin\"]"), "{algorithm}: {answer}");
    }
    let named = |algorithm, id: &str| Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
    assert_eq!(status(&ask(&proxy, "/", &bearer(&signed(&named(Algorithm::RS256, "r"), &claims(), &rsa_key()))).await), 200);
    assert_eq!(
        status(&ask(&proxy, "/", &bearer(&signed(&named(Algorithm::RS256, "e"), &claims(), &rsa_key()))).await),
        401,
        "another's key"
    );
    assert_eq!(
        status(&ask(&proxy, "/", &bearer(&signed(&named(Algorithm::RS512, "r"), &claims(), &rsa_key()))).await),
        401,
        "the key says RS256"
    );
    let by_secret = signed(&named(Algorithm::HS256, "oct"), &claims(), &EncodingKey::from_secret(SECRET.as_bytes()));
    assert_eq!(status(&ask(&proxy, "/", &bearer(&by_secret)).await), 401, "a published secret signs nothing");

    // The public half, taken for a shared secret, is what a forger has.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &rsa).unwrap();
    let public_pem = openssl(&["pkey", "-pubout", "-in", file.path().to_str().unwrap()]);
    table.generation += 1;
    table.sites[0].routes[0].filters.jwt = Some(wants(public(public_pem.clone()), &all));
    proxy.swap(&table).await;
    assert_eq!(status(&ask(&proxy, "/", &bearer(&python("RS512", &rsa, &claims()))).await), 200);
    let forged = signed(&Header::default(), &claims(), &EncodingKey::from_secret(public_pem.as_bytes()));
    assert_eq!(status(&ask(&proxy, "/", &bearer(&forged)).await), 401);

    // A set that cannot be used changes nothing.
    table.generation += 1;
    table.sites[0].routes[0].filters.jwt = Some(wants(public("{\"keys\":[]}".to_owned()), &all));
    proxy.swap(&table).await;
    assert_eq!(status(&ask(&proxy, "/", &bearer(&python("RS512", &rsa, &claims()))).await), 200);
}

#[tokio::test]
async fn without_keys_nobody_passes() {
    let proxy = start();
    app(&proxy, wants(public(None), &["RS256"])).await;
    let answer = ask(&proxy, "/", &bearer(&hs256(&claims()))).await;
    assert_eq!((status(&answer), values(&answer, "retry-after")), (503, vec!["1".to_owned()]));
}
