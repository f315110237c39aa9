//! What is remembered of one name that an ACME authority signs, and when it is asked for again. Pure: time comes in as a number.

use landfall_model::api::Failure;
use landfall_model::digest::digest;
use landfall_model::name::CertificateName;
use serde::{Deserialize, Serialize};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Failed validations of one name within [`HOUR`]; the best-known authority refuses a sixth.
const MAX_FAILED: usize = 5;
/// Waits after failures that follow each other. The last one is for all that come after.
const WAITS: [u64; 8] = [MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR];
/// No authority is believed that wants to be left alone for longer.
const MAX_RETRY_AFTER: u64 = 7 * DAY;
/// Days before the end at which somebody is told, when nothing has come to replace it.
const WARN_DAYS: [u32; 4] = [21, 14, 7, 3];

/// One name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Which.
    pub(crate) name: CertificateName,
    /// The certificate there is.
    pub(crate) issued: Option<Issued>,
    /// An order under way. It outlives the agent, so that what was paid for with a validation is not asked for twice.
    pub(crate) pending: Option<Pending>,
    /// The newest generation of files, of a certificate or of an order.
    pub(crate) generation: u32,
    /// When validations failed, within the last hour.
    pub(crate) failed_ms: Vec<u64>,
    /// Failures since the last success.
    pub(crate) in_vain: u32,
    /// The last failure, if no success came since, and when it was.
    pub(crate) failure: Option<(u64, Failure)>,
    /// Not before then, because of failures.
    pub(crate) wait_until_ms: u64,
    /// Not before then, because the authority said so. Holds for those who force it too.
    pub(crate) held_until_ms: u64,
    /// Asked for by a person.
    pub(crate) forced: bool,
    /// Which kind of challenge is next, where there is a choice.
    pub(crate) turn: u32,
    /// When the last attempt ended, well or badly.
    pub(crate) asked_ms: u64,
}

/// A certificate on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Issued {
    /// Its files: `<generation>.pem` and `<generation>.key`.
    pub(crate) generation: u32,
    /// Directory of the authority.
    pub(crate) ca: String,
    /// As the authority calls itself.
    pub(crate) issuer: String,
    /// Good from, milliseconds since 1970 UTC.
    pub(crate) from_ms: u64,
    /// Good until.
    pub(crate) until_ms: u64,
    /// Digest of the chain.
    pub(crate) fingerprint: String,
    /// When the authority suggests to renew (ARI, RFC 9773), if it does.
    pub(crate) window: Option<Window>,
    /// When to ask it for that (again).
    pub(crate) ask_window_ms: u64,
    /// The last of [`WARN_DAYS`] that was told of.
    pub(crate) told_days: Option<u32>,
}

/// The authority's suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// From.
    pub(crate) start_ms: u64,
    /// To.
    pub(crate) end_ms: u64,
}

/// An order at the authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Directory of the authority.
    pub(crate) ca: String,
    /// Its address.
    pub(crate) order: String,
    /// Its key is in `<generation>.key`.
    pub(crate) generation: u32,
}

impl Record {
    /// Of a name that was never asked for.
    pub(crate) fn new(name: CertificateName) -> Self {
        Self {
            name,
            issued: None,
            pending: None,
            generation: 0,
            failed_ms: Vec::new(),
            in_vain: 0,
            failure: None,
            wait_until_ms: 0,
            held_until_ms: 0,
            forced: false,
            turn: 0,
            asked_ms: 0,
        }
    }

    /// When this authority is asked next.
    pub(crate) fn due_ms(&self, ca: &str, now_ms: u64) -> u64 {
        let wanted = match &self.issued {
            Some(issued) if issued.ca == ca && !self.forced => issued.renew_ms(&self.name),
            _ => 0,
        };
        let waiting = if self.forced { 0 } else { self.wait_until_ms };
        wanted.max(waiting).max(self.held_until_ms).max(self.limit_ms(now_ms))
    }

    /// When one more validation may fail.
    fn limit_ms(&self, now_ms: u64) -> u64 {
        let recent: Vec<u64> = self.failed_ms.iter().copied().filter(|at| at + HOUR > now_ms).collect();
        recent.len().checked_sub(MAX_FAILED).and_then(|index| recent.get(index)).map_or(0, |oldest| oldest + HOUR)
    }

    /// It was asked for in vain.
    pub(crate) fn failed(&mut self, failure: Failure, validation: bool, retry_after_ms: Option<u64>, now_ms: u64) {
        if validation {
            self.failed_ms.retain(|at| at + HOUR > now_ms);
            self.failed_ms.push(now_ms);
            self.turn = self.turn.wrapping_add(1);
        }
        let wait = WAITS.get(self.in_vain as usize).or(WAITS.last()).copied().unwrap_or(HOUR);
        self.in_vain = self.in_vain.saturating_add(1);
        // Names that failed together are spread, so that they do not come back together.
        self.wait_until_ms = now_ms + wait + spread(&format!("{}{}", self.name, self.in_vain), wait / 4);
        self.held_until_ms = self.held_until_ms.max(now_ms + retry_after_ms.unwrap_or(0).min(MAX_RETRY_AFTER));
        self.failure = Some((now_ms, failure));
        self.asked_ms = now_ms;
        self.forced = false;
    }

    /// It was issued.
    pub(crate) fn succeeded(&mut self, issued: Issued) {
        self.issued = Some(issued);
        self.pending = None;
        self.failure = None;
        self.in_vain = 0;
        self.wait_until_ms = 0;
        self.held_until_ms = 0;
        self.forced = false;
    }
}

impl Issued {
    /// When it is to be replaced: when the authority suggests, otherwise when a third of its life is left. Spread, so that what was issued together
    /// is not renewed together.
    pub(crate) fn renew_ms(&self, name: &CertificateName) -> u64 {
        let life = self.until_ms.saturating_sub(self.from_ms);
        let key = format!("{name}{}", self.until_ms);
        let usual = self.until_ms.saturating_sub(life / 3 + spread(&key, life / 20));
        match self.window {
            // A suggestion to wait until there is no time left for a second try is not followed.
            Some(window) => {
                let length = window.end_ms.saturating_sub(window.start_ms);
                (window.start_ms + spread(&key, length)).min(self.until_ms.saturating_sub(life / 10))
            }
            None => usual,
        }
    }

    /// The threshold to be told of now. A certificate that is not overdue is left in peace: one that lives for six days is
    /// always within the last three weeks.
    pub(crate) fn warning(&self, name: &CertificateName, now_ms: u64) -> Option<u32> {
        if now_ms < self.renew_ms(name) {
            return None;
        }
        warning(self.until_ms, self.told_days, now_ms)
    }
}

/// The threshold of [`WARN_DAYS`] that was passed last, 0 for the end itself, when it was not told of.
pub(crate) fn warning(until_ms: u64, told: Option<u32>, now_ms: u64) -> Option<u32> {
    let left = until_ms.saturating_sub(now_ms);
    let threshold = if left == 0 { 0 } else { WARN_DAYS.into_iter().filter(|days| left <= u64::from(*days) * DAY).min()? };
    told.is_none_or(|told| threshold < told).then_some(threshold)
}

/// Whole days that are left.
pub(crate) fn days_left(until_ms: u64, now_ms: u64) -> u32 {
    u32::try_from(until_ms.saturating_sub(now_ms) / DAY).unwrap_or(u32::MAX)
}

/// Evenly over `0..=range`, and the same for the same key: no randomness that a restart would throw anew.
fn spread(key: &str, range: u64) -> u64 {
    let digest = digest(&key);
    let number = u64::from_str_radix(digest.short().get(..8).unwrap_or("0"), 16).unwrap_or(0);
    number.saturating_mul(range / 1000) / u64::from(u32::MAX) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = "https://ca/";

    fn record() -> Record {
        Record::new("a.example.org".parse().unwrap())
    }

    fn issued(from_ms: u64, until_ms: u64) -> Issued {
        Issued {
            generation: 1,
            ca: CA.into(),
            issuer: "Test".into(),
            from_ms,
            until_ms,
            fingerprint: "f".into(),
            window: None,
            ask_window_ms: 0,
            told_days: None,
        }
    }

    fn failure() -> Failure {
        Failure { code: "x".into(), message: "x".into(), causes: vec![], hints: vec![], log: vec![] }
    }

    #[test]
    fn it_is_renewed_when_a_third_is_left_or_a_little_earlier_and_not_all_at_once() {
        let times: std::collections::BTreeSet<u64> = (0..50)
            .map(|n| issued(0, 90 * DAY).renew_ms(&format!("n{n}.example.org").parse().unwrap()))
            .inspect(|at| assert!((55 * DAY..=60 * DAY).contains(at), "{at}"))
            .collect();
        assert!(times.len() > 40, "{times:?}");
        assert!(times.last().unwrap() - times.first().unwrap() > 3 * DAY, "{times:?}");
    }

    #[test]
    fn the_authoritys_suggestion_is_followed_within_reason() {
        let name = "a.example.org".parse().unwrap();
        let with = |start_ms, end_ms| Issued { window: Some(Window { start_ms, end_ms }), ..issued(0, 90 * DAY) }.renew_ms(&name);
        assert!((10 * DAY..=11 * DAY).contains(&with(10 * DAY, 11 * DAY)));
        assert_eq!(with(0, 0), 0);
        assert_eq!(with(89 * DAY, 90 * DAY), 81 * DAY);
    }

    #[test]
    fn another_authority_and_a_person_are_reasons_too() {
        let mut record = record();
        assert_eq!(record.due_ms(CA, 5), 0);
        record.succeeded(issued(0, 90 * DAY));
        assert!(record.due_ms(CA, 5) > 50 * DAY);
        assert_eq!(record.due_ms("https://other/", 5), 0);
        record.forced = true;
        assert_eq!(record.due_ms(CA, 5), 0);
    }

    #[test]
    fn never_more_than_five_failed_validations_an_hour_even_when_forced() {
        let (mut record, mut now, mut failed) = (record(), 1_000_000_000, Vec::new());
        for _ in 0..5000 {
            record.forced = true;
            if record.due_ms(CA, now) <= now {
                record.failed(failure(), true, None, now);
                failed.push(now);
            }
            now += 7 * SECOND;
        }
        assert!(failed.len() > 20);
        for window in failed.windows(6) {
            assert!(window[5] - window[0] >= HOUR, "{window:?}");
        }
    }

    #[test]
    fn waits_grow_and_a_word_of_the_authority_holds_for_all() {
        let (mut record, mut now) = (record(), DAY);
        let mut waits = Vec::new();
        for _ in 0..10 {
            record.failed(failure(), false, None, now);
            waits.push(record.due_ms(CA, now) - now);
            now = record.due_ms(CA, now);
        }
        assert!(waits[0] >= MINUTE && waits[0] <= 2 * MINUTE && waits[9] >= 6 * HOUR && waits[9] <= 8 * HOUR, "{waits:?}");
        record.failed(failure(), false, Some(3 * DAY), now);
        record.forced = true;
        assert_eq!(record.due_ms(CA, now), now + 3 * DAY);
        record.failed(failure(), false, Some(u64::MAX / 2), now);
        assert_eq!(record.due_ms(CA, now), now + MAX_RETRY_AFTER);
    }

    #[test]
    fn each_threshold_is_told_once() {
        let mut certificate = issued(0, 90 * DAY);
        let name = "a.example.org".parse().unwrap();
        let mut told = Vec::new();
        for hour in 0..95 * 24 {
            if let Some(days) = certificate.warning(&name, hour * HOUR) {
                certificate.told_days = Some(days);
                told.push(days);
            }
        }
        assert_eq!(told, [21, 14, 7, 3, 0]);
        let short = issued(0, 6 * DAY);
        assert_eq!(short.warning(&name, 3 * DAY), None);
    }
}
