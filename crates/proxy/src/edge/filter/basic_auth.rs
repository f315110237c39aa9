//! Basic authentication (RFC 7617), for what is not meant for everybody yet.
//!
//! The password ends here: the application gets the user's name as `X-Forwarded-User` and no `Authorization`. Whoever fails too often has to wait.

use crate::edge::guess::{Caller, Guessed};
use crate::edge::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use landfall_model::filter::{Filters, PasswordDigest};
use std::collections::BTreeMap;

pub(crate) const X_FORWARDED_USER: HeaderName = HeaderName::from_static("x-forwarded-user");
/// Of the decoded pair; longer ones are nobody's.
const MAX_PAIR: usize = 1000;

#[derive(Debug)]
pub(crate) struct BasicAuth {
    app: String,
    users: BTreeMap<String, PasswordDigest>,
}

impl BasicAuth {
    /// Nothing if the route is for everybody.
    pub(crate) fn new(app: &str, asked: &Filters) -> Option<Self> {
        (!asked.basic_auth.is_empty()).then(|| Self { app: app.to_owned(), users: asked.basic_auth.clone() })
    }

    /// Who asks.
    pub(crate) fn admit(&self, caller: Caller<'_>, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
        // A browser asks without a password first, which is no guess.
        let pair = headers.get(AUTHORIZATION).and_then(|value| basic(value.as_bytes())).ok_or(Refusal::Unauthorized)?;
        let attempt = caller.attempt(&self.app, Guessed::Password);
        if let Some(retry_after) = attempt.wait() {
            return Err(Refusal::Guessing { retry_after });
        }
        self.user(pair).ok_or_else(|| {
            attempt.failed();
            Refusal::Unauthorized
        })
    }

    fn user(&self, pair: &[u8]) -> Option<HeaderValue> {
        if pair.len() > MAX_PAIR * 4 / 3 + 4 {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        let given = PasswordDigest::of(user, password);
        let known = self.users.get(user)?;
        if known.is(&given) { HeaderValue::from_bytes(user.as_bytes()).ok() } else { None }
    }
}

/// What follows the scheme, if it is the basic one.
fn basic(value: &[u8]) -> Option<&[u8]> {
    let (scheme, pair) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| pair.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_pair_opens() {
        let users = [("ada".to_owned(), PasswordDigest::of("ada", "open: sesame"))];
        let auth = BasicAuth::new("shop", &Filters { basic_auth: users.into(), ..Filters::default() }).unwrap();
        let user = |text: &str| basic(text.as_bytes()).and_then(|pair| auth.user(pair)).map(|user| user.to_str().unwrap().to_owned());
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(user(&basic("ada:open: sesame")).as_deref(), Some("ada"));
        assert_eq!(user(&basic("ada:open: sesame").replace("Basic", "bASIC")).as_deref(), Some("ada"));
        for bad in ["ada:", "ada", "Ada:open: sesame", ":open: sesame", "ada:open: sesam", ""] {
            assert_eq!(user(&basic(bad)), None, "{bad}");
        }
        for bad in ["", "Basic", "Basic ", "Basic ***", "Bearer YWRhOm9wZW46IHNlc2FtZQ=="] {
            assert_eq!(user(bad), None, "{bad}");
        }
        assert!(BasicAuth::new("shop", &Filters::default()).is_none());
    }
}
