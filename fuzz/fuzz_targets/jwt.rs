//! Tokens. A text that begins with `{` is a header and, on the second line, claims, which are signed with the right key; anything else is a token as it is.
//! Nobody passes whose token another reader refuses, and the application is told what its claims say and nothing else.

#![no_main]

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use landfall_model::filter::{Filters, Jwt};
use landfall_proxy::fuzzing::Guarded;
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
static KEY: LazyLock<hmac::Key> = LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));
static GUARD: LazyLock<Guarded> = LazyLock::new(|| {
    let asked = json!({
        "keys": {"secret": SECRET}, "algorithms": ["HS256"], "header": "authorization", "cookie": "t", "query": "token",
        "issuers": ["us"], "audiences": [], "leeway_s": 5, "claims": {"sub": "x-user-id", "n": "x-n"},
    });
    let asked: Jwt = serde_json::from_value(asked).expect("it is asked for so");
    Guarded::by(&Filters { jwt: Some(asked), ..Filters::default() })
});

/// The claims, if everything about the token is as it must be.
fn slowly(token: &str) -> Option<Value> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    hmac::verify(&KEY, format!("{header}.{claims}").as_bytes(), &decode(signature)?).ok()?;
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let issued = match claims.get("iss")? {
        Value::Array(all) => all.iter().any(|iss| iss == "us"),
        iss => iss == "us",
    };
    let holds = header["alg"] == "HS256" && header.get("crit").is_none_or(Value::is_null) && issued;
    let timely = number("exp")? >= now - 10.0 && number("nbf").is_none_or(|nbf| nbf <= now + 10.0);
    (holds && timely).then_some(claims)
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let token = match text.starts_with('{').then(|| text.split_once('\n')).flatten() {
        Some((header, claims)) => {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&KEY, signed.as_bytes())))
        }
        None => text.to_owned(),
    };
    let requests = [
        Request::builder().uri("/").header("authorization", format!("Bearer {token}")),
        Request::builder().uri("/").header("cookie", format!("a=b; t={token}")),
        Request::builder().uri(format!("/?token={token}")),
    ];
    for request in requests {
        let Some(told) = request.body(()).ok().and_then(|request| GUARD.told(&request)) else { continue };
        let claims =
            slowly(token.trim().trim_matches('"').split([';', '&', '#']).next().unwrap_or_default()).expect("nobody else lets it pass");
        for (name, value) in &told {
            let claim = if name == "x-user-id" { &claims["sub"] } else { &claims["n"] };
            let said = claim.as_str().map_or_else(|| claim.to_string(), str::to_owned);
            assert_eq!(value.as_bytes(), said.as_bytes(), "{name}");
        }
        assert_eq!(told.len(), ["sub", "n"].iter().filter(|claim| claims.get(**claim).is_some()).count());
    }
});
