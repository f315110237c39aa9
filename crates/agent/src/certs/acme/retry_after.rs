//! `Retry-After` (RFC 9110 §10.2.3). Nothing of this crate is used here: the fuzz target `retry_after` reads this file too.

/// How long to wait: seconds, or a date, of which the distance from now counts.
pub(super) fn wait_ms(text: &str, now_ms: u64) -> Option<u64> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_millisecond();
    u64::try_from(at).ok().map(|at| at.saturating_sub(now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 1_445_412_480_000;
        assert_eq!(wait_ms("120", now), Some(120_000));
        assert_eq!(wait_ms("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(0));
        assert_eq!(wait_ms("Wed, 21 Oct 2015 07:28:01 GMT", now), Some(1000));
        assert_eq!(wait_ms("soon", now), None);
    }
}
