//! How often one client may ask: a token bucket for each, kept as one number, the time at which the bucket would be full again (GCRA).
//!
//! The limit is of the whole proxy, not of a worker, so that it is what the file says; workers meet in plain atomics and wait for nobody. Memory
//! is bounded by construction: a fixed table, in which the client that asked least recently makes room. A crowd can thus only make the proxy
//! forget a limit, never refuse a stranger. An IPv6 client commands a whole /64, so that counts as one.

use crate::edge::quota::network;
use crate::edge::refusal::Refusal;
use landfall_model::filter::RateLimit;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Places of one table, 16 bytes each.
const SETS: usize = 2048;
const WAYS: usize = 8;

/// The buckets of one route, or of one kind of guessing.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Between two requests at the rate, nanoseconds.
    interval: u64,
    /// How far ahead of the rate a client may be, nanoseconds.
    tolerance: u64,
    start: Instant,
    /// Keyed, so that nobody can choose addresses that share a set.
    hash: RandomState,
    sets: Box<[[Slot; WAYS]]>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Hash of the client; 0 if free.
    client: AtomicU64,
    /// When its bucket is full again, nanoseconds since the start.
    full_at: AtomicU64,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self::with_sets(limit, SETS)
    }

    /// With room for eight times as many clients.
    pub(crate) fn with_sets(limit: RateLimit, sets: usize) -> Self {
        let interval = (limit.per_ms.saturating_mul(1_000_000) / u64::from(limit.requests.max(1))).max(1);
        Self {
            interval,
            tolerance: interval.saturating_mul(u64::from(limit.burst)),
            start: Instant::now(),
            hash: RandomState::new(),
            sets: std::iter::repeat_with(Default::default).take(sets.max(1)).collect(),
        }
    }

    /// Takes a token of `client`'s.
    pub(crate) fn admit(&self, client: IpAddr) -> Result<(), Refusal> {
        self.admit_at(client, self.now())
    }

    fn admit_at(&self, client: IpAddr, now: u64) -> Result<(), Refusal> {
        self.take_at(network(client), now).map_err(|retry_after| Refusal::TooMany { retry_after })
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes a token out of the bucket of `whose`, or tells in how many seconds there will be one.
    pub(crate) fn take_at(&self, whose: impl Hash, now: u64) -> Result<(), u32> {
        let slot = self.slot(self.key(whose));
        let taken = slot.full_at.fetch_update(Relaxed, Relaxed, |full_at| {
            let full_at = full_at.max(now);
            (full_at - now <= self.tolerance).then(|| full_at.saturating_add(self.interval))
        });
        taken.map(drop).map_err(|full_at| self.wait(full_at, now))
    }

    /// In how many seconds there will be a token in the bucket of `whose`, if there is none now.
    pub(crate) fn spent_at(&self, whose: impl Hash, now: u64) -> Option<u32> {
        let key = self.key(whose);
        let slot = self.set(key).iter().find(|slot| slot.client.load(Relaxed) == key)?;
        let full_at = slot.full_at.load(Relaxed);
        (full_at.saturating_sub(now) > self.tolerance).then(|| self.wait(full_at, now))
    }

    fn wait(&self, full_at: u64, now: u64) -> u32 {
        let wait = full_at.saturating_sub(now).saturating_sub(self.tolerance);
        u32::try_from(wait.div_ceil(1_000_000_000).max(1)).unwrap_or(u32::MAX)
    }

    fn key(&self, whose: impl Hash) -> u64 {
        self.hash.hash_one(whose).max(1)
    }

    fn set(&self, key: u64) -> &[Slot; WAYS] {
        &self.sets[key as usize % self.sets.len()]
    }

    /// The client's place, made if need be. Two workers that make it at once may make two; the first is found from then on.
    fn slot(&self, client: u64) -> &Slot {
        let set = self.set(client);
        let mut oldest = &set[0];
        for slot in set {
            let known = slot.client.load(Relaxed);
            if known == client {
                return slot;
            }
            if known == 0 && slot.client.compare_exchange(0, client, Relaxed, Relaxed).is_ok() {
                return slot;
            }
            if slot.full_at.load(Relaxed) < oldest.full_at.load(Relaxed) {
                oldest = slot;
            }
        }
        // The one who left has its tokens back; the one who comes starts with a full bucket.
        oldest.full_at.store(0, Relaxed);
        oldest.client.store(client, Relaxed);
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    const SECOND: u64 = 1_000_000_000;

    fn limiter(requests: u32, burst: u32) -> Limiter {
        Limiter::new(RateLimit { requests, per_ms: 1000, burst })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_burst_is_had_at_once_and_the_rate_for_ever() {
        let limiter = limiter(10, 20);
        let client = ip("192.0.2.1");
        let at = |now| (0..100).filter(|_| limiter.admit_at(client, now).is_ok()).count();
        assert_eq!(at(0), 21);
        assert_eq!(limiter.admit_at(client, 0), Err(Refusal::TooMany { retry_after: 1 }));
        assert_eq!(at(SECOND), 10);
        assert_eq!(at(SECOND + SECOND / 10), 1);
        assert_eq!(at(100 * SECOND), 21);
        assert_eq!((0..100).filter(|_| limiter.admit_at(ip("192.0.2.2"), 0).is_ok()).count(), 21, "another has its own");
    }

    #[test]
    fn the_wait_is_said_in_whole_seconds() {
        let limiter = Limiter::new(RateLimit { requests: 1, per_ms: 60_000, burst: 0 });
        let client = ip("2001:db8::1");
        assert!(limiter.admit_at(client, 0).is_ok());
        assert_eq!(limiter.admit_at(ip("2001:db8::2"), SECOND / 2), Err(Refusal::TooMany { retry_after: 60 }), "one /64 is one client");
        assert_eq!(limiter.admit_at(client, 59 * SECOND), Err(Refusal::TooMany { retry_after: 1 }));
        assert!(limiter.admit_at(client, 60 * SECOND).is_ok());
    }

    #[test]
    fn a_crowd_takes_no_more_room_and_keeps_no_stranger_out() {
        let limiter = limiter(1, 0);
        for i in 0..1_000_000u32 {
            assert!(limiter.admit_at(IpAddr::from(i.to_be_bytes()), u64::from(i)).is_ok());
        }
    }

    #[test]
    fn workers_together_give_out_no_more_than_one_would() {
        let limiter = limiter(1, 99);
        let admitted = AtomicU32::new(0);
        assert!(limiter.admit_at(ip("192.0.2.1"), 0).is_ok(), "the place is there");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        admitted.fetch_add(u32::from(limiter.admit_at(ip("192.0.2.1"), 0).is_ok()), Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 99);
    }
}
