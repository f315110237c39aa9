//! Failed logins. Whoever tries passwords or keys one after the other is soon asked to wait, and until then nothing they send is looked at.
//!
//! Only failures count, so nobody who knows the password notices. They count for each app by itself: a guesser behind an address that many share
//! keeps the others out of that app's login, and of nothing else. An IPv6 client commands a /64, and a customer often a /48 with 65,536 of them, so a /48
//! has a bucket of its own. Memory is bounded like a rate limit's.

use crate::edge::filter::Limiter;
use crate::edge::quota::{network, wide_network};
use landfall_model::filter::RateLimit;
use std::net::IpAddr;

/// Ten at once, then one every ten seconds.
const NEAR: RateLimit = RateLimit { requests: 6, per_ms: 60_000, burst: 9 };
/// Sixty at once from a whole /48, then one every two seconds.
const WIDE: RateLimit = RateLimit { requests: 30, per_ms: 60_000, burst: 59 };
/// Room for 4,096 clients that failed lately.
const SETS: usize = 512;

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Guessed {
    /// A name and a password of a route.
    Password,
    /// The key of an app in maintenance.
    Key,
}

/// Who asks, and what is known of failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) client: IpAddr,
    pub(crate) guesses: &'a Guesses,
}

impl<'a> Caller<'a> {
    /// Tries to get into `app`.
    pub(crate) fn attempt(self, app: &'a str, what: Guessed) -> Attempt<'a> {
        Attempt { caller: self, app, what }
    }
}

/// One try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    caller: Caller<'a>,
    app: &'a str,
    what: Guessed,
}

impl<'a> Attempt<'a> {
    /// Seconds to wait for who has failed too often. What they send must not be looked at before.
    pub(crate) fn wait(self) -> Option<u32> {
        self.wait_at(self.caller.guesses.near.now())
    }

    /// It failed.
    pub(crate) fn failed(self) {
        self.failed_at(self.caller.guesses.near.now());
    }

    fn wait_at(self, now: u64) -> Option<u32> {
        let Guesses { near, wide } = self.caller.guesses;
        let here = near.spent_at(self.whose(network(self.caller.client)), now);
        here.max(wide_network(self.caller.client).and_then(|network| wide.spent_at(self.whose(network), now)))
    }

    fn failed_at(self, now: u64) {
        let Guesses { near, wide } = self.caller.guesses;
        // Another worker may have taken the last one just now; then it is spent all the same.
        let _ = near.take_at(self.whose(network(self.caller.client)), now);
        if let Some(network) = wide_network(self.caller.client) {
            let _ = wide.take_at(self.whose(network), now);
        }
    }

    fn whose(self, network: IpAddr) -> (IpAddr, &'a str, Guessed) {
        (network, self.app, self.what)
    }
}

/// The failures of all workers.
#[derive(Debug)]
pub(crate) struct Guesses {
    near: Limiter,
    wide: Limiter,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { near: Limiter::with_sets(NEAR, SETS), wide: Limiter::with_sets(WIDE, SETS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn by<'a>(guesses: &'a Guesses, client: &str) -> Attempt<'a> {
        Caller { client: client.parse().unwrap(), guesses }.attempt("shop", Guessed::Password)
    }

    /// How many of these were looked at.
    fn tried<'a>(tries: impl Iterator<Item = Attempt<'a>>, now: u64) -> usize {
        tries.filter(|attempt| attempt.wait_at(now).is_none()).inspect(|attempt| attempt.failed_at(now)).count()
    }

    #[test]
    fn who_failed_ten_times_waits_and_nobody_else_does() {
        let guesses = Guesses::default();
        let one = by(&guesses, "192.0.2.1");
        assert_eq!(tried(std::iter::repeat_n(one, 100), 0), 10);
        assert_eq!(one.wait_at(0), Some(10));
        assert_eq!(tried(std::iter::repeat_n(one, 100), 60 * SECOND), 6);
        assert_eq!(by(&guesses, "192.0.2.2").wait_at(0), None);
        assert_eq!(one.caller.attempt("blog", Guessed::Password).wait_at(0), None);
        assert_eq!(one.caller.attempt("shop", Guessed::Key).wait_at(0), None);
    }

    #[test]
    fn a_customers_whole_network_is_one_that_guesses() {
        let guesses = Guesses::default();
        let all = || (0..5_000).map(|i| by(&guesses, &format!("2001:db8:7:{i:x}::1")));
        assert_eq!(tried(all(), 0), 60);
        assert!(by(&guesses, "2001:db8:7:ffff::1").wait_at(0).is_some());
        assert!(by(&guesses, "2001:db8:8::1").wait_at(0).is_none());
        assert_eq!(tried(all(), 60 * SECOND), 30);
    }

    #[test]
    fn who_only_asks_leaves_nothing_behind() {
        let guesses = Guesses::default();
        assert!((0..1_000).all(|_| by(&guesses, "192.0.2.1").wait_at(0).is_none()));
    }
}
