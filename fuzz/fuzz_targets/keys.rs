//! Public keys, as a key set or PEM. Whatever they are, a token that is signed with the text itself as a shared secret, or with nothing, never passes.

#![no_main]

use http::Request;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use landfall_model::filter::{Filters, Jwt};
use landfall_proxy::fuzzing::Guarded;
use serde_json::json;

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let asked = json!({
        "keys": {"public": {"from": "/keys", "text": text}}, "algorithms": ["HS256", "RS256", "ES256", "ES384"], "header": "authorization",
        "cookie": null, "query": null, "issuers": [], "audiences": [], "leeway_s": 0, "claims": {},
    });
    let asked: Jwt = serde_json::from_value(asked).expect("it is asked for so");
    let guard = Guarded::by(&Filters { jwt: Some(asked), ..Filters::default() });
    if guard.has_keys() {
        assert!(!text.contains("PRIVATE KEY") || !text.trim_start().starts_with("-----BEGIN"), "a private key is taken");
    }
    let claims = json!({"exp": 99_999_999_999_u64});
    for secret in [text, text.trim(), ""] {
        let token = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token");
        let unsigned = format!("{}.", token.rsplit_once('.').expect("three parts").0);
        for token in [token, unsigned] {
            let request = Request::builder().uri("/").header("authorization", format!("Bearer {token}")).body(()).expect("a request");
            assert!(guard.told(&request).is_none(), "a public key is a secret");
        }
    }
});
