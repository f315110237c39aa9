//! Basic authentication (RFC 7617), for what is not meant for everybody yet.
//!
//! The password ends here: the application gets the user's name as `X-Forwarded-User` and no `Authorization`. Guessing is slowed by the route's
//! rate limit, which comes first.

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
    users: BTreeMap<String, PasswordDigest>,
}

impl BasicAuth {
    /// Nothing if the route is for everybody.
    pub(crate) fn new(asked: &Filters) -> Option<Self> {
        (!asked.basic_auth.is_empty()).then(|| Self { users: asked.basic_auth.clone() })
    }

    /// Who asks.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
        headers.get(AUTHORIZATION).and_then(|value| self.user(value.as_bytes())).ok_or(Refusal::Unauthorized)
    }

    fn user(&self, value: &[u8]) -> Option<HeaderValue> {
        let (scheme, pair) = value.split_at_checked(6)?;
        let pair = pair.trim_ascii();
        if !scheme.eq_ignore_ascii_case(b"basic ") || pair.len() > MAX_PAIR * 4 / 3 + 4 {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        let given = PasswordDigest::of(user, password);
        let known = self.users.get(user)?;
        if known.is(&given) { HeaderValue::from_bytes(user.as_bytes()).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_pair_opens() {
        let users = [("ada".to_owned(), PasswordDigest::of("ada", "open: sesame"))];
        let auth = BasicAuth::new(&Filters { basic_auth: users.into(), ..Filters::default() }).unwrap();
        let user = |text: &str| auth.user(text.as_bytes()).map(|user| user.to_str().unwrap().to_owned());
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(user(&basic("ada:open: sesame")).as_deref(), Some("ada"));
        assert_eq!(user(&basic("ada:open: sesame").replace("Basic", "bASIC")).as_deref(), Some("ada"));
        for bad in ["ada:", "ada", "Ada:open: sesame", ":open: sesame", "ada:open: sesam", ""] {
            assert_eq!(user(&basic(bad)), None, "{bad}");
        }
        for bad in ["", "Basic", "Basic ", "Basic ***", "Bearer YWRhOm9wZW46IHNlc2FtZQ=="] {
            assert_eq!(user(bad), None, "{bad}");
        }
        assert!(BasicAuth::new(&Filters::default()).is_none());
    }
}
