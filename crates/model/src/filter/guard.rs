//! What of a route keeps somebody or something out, and whether another route keeps out as much.
//!
//! A path may be spelled so that one server takes it for another path. Where the two have different routes, who asks by the odd spelling must not
//! get past what the plain one asks for.

use super::{Answer, Filters};

/// From this status on, what a route answers by itself hides what the application has there.
const HIDES: u16 = 400;

impl Filters {
    /// It keeps something out.
    pub fn is_guard(&self) -> bool {
        let Self { max_body, rate_limit, allow, deny, basic_auth, jwt, .. } = self;
        let limits = max_body.is_some() || rate_limit.is_some();
        limits || !allow.is_empty() || !deny.is_empty() || !basic_auth.is_empty() || jwt.is_some() || self.hides()
    }

    /// It lets through to an application what `guard` would not.
    pub fn lets_more_pass_than(&self, guard: &Self) -> bool {
        if self.answer.is_some() {
            return false;
        }
        let allows_more = !guard.allow.is_empty() && (self.allow.is_empty() || !self.allow.is_subset(&guard.allow));
        let denies_less = !guard.deny.is_subset(&self.deny);
        let knows = |(user, digest)| guard.basic_auth.get(user) == Some(digest);
        let more_users = !guard.basic_auth.is_empty() && (self.basic_auth.is_empty() || !self.basic_auth.iter().all(knows));
        let other_tokens = guard.jwt.is_some() && self.jwt != guard.jwt;
        // Two limits are two allowances, unless they count together.
        let counts_apart =
            guard.rate_limit.is_some() && (self.rate_limit != guard.rate_limit || self.bucket.is_none() || self.bucket != guard.bucket);
        let larger = guard.max_body.is_some_and(|most| self.max_body.is_none_or(|own| own > most));
        let asks_less = self.preflight && !guard.preflight && (!guard.basic_auth.is_empty() || guard.jwt.is_some());
        allows_more || asks_less || denies_less || more_users || other_tokens || counts_apart || larger || guard.hides()
    }

    fn hides(&self) -> bool {
        matches!(&self.answer, Some(Answer::Respond(respond)) if respond.status >= HIDES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{PasswordDigest, RateLimit};

    #[test]
    fn who_asks_for_as_much_is_as_good_a_guard() {
        let allow = |networks: &[&str]| Filters { allow: networks.iter().map(|n| n.parse().unwrap()).collect(), ..Filters::default() };
        let deny = |networks: &[&str]| Filters { deny: networks.iter().map(|n| n.parse().unwrap()).collect(), ..Filters::default() };
        let users = |users: &[(&str, &str)]| {
            let users = users.iter().map(|(user, password)| ((*user).to_owned(), PasswordDigest::of(user, password))).collect();
            Filters { basic_auth: users, ..Filters::default() }
        };
        let body = |max_body| Filters { max_body: Some(max_body), ..Filters::default() };
        let rate = |bucket: Option<&str>| {
            let limit = RateLimit { requests: 1, per_ms: 1, burst: 1 };
            Filters { rate_limit: Some(limit), bucket: bucket.map(str::to_owned), ..Filters::default() }
        };
        for (own, guard, more) in [
            (Filters::default(), Filters::default(), false),
            (Filters { preflight: true, ..users(&[("a", "x")]) }, users(&[("a", "x")]), true),
            (users(&[("a", "x")]), Filters { preflight: true, ..users(&[("a", "x")]) }, false),
            (allow(&["10.0.0.0/8"]), allow(&["10.0.0.0/8", "192.0.2.1"]), false),
            (allow(&["10.0.0.0/8", "192.0.2.1"]), allow(&["10.0.0.0/8"]), true),
            (Filters::default(), allow(&["10.0.0.0/8"]), true),
            (deny(&["192.0.2.1", "192.0.2.2"]), deny(&["192.0.2.1"]), false),
            (deny(&["192.0.2.1"]), deny(&["192.0.2.1", "192.0.2.2"]), true),
            (users(&[("ada", "a")]), users(&[("ada", "a"), ("bob", "b")]), false),
            (users(&[("ada", "other")]), users(&[("ada", "a")]), true),
            (body(1), body(2), false),
            (body(3), body(2), true),
            (Filters::default(), body(2), true),
            (rate(None), rate(None), true),
            (rate(Some("a")), rate(Some("a")), false),
            (rate(Some("b")), rate(Some("a")), true),
        ] {
            assert_eq!(own.lets_more_pass_than(&guard), more, "{own:?} for {guard:?}");
            assert_eq!(guard.is_guard(), guard != Filters::default());
        }
    }
}
