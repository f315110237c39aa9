//! `Retry-After`: seconds, or a date as HTTP writes it, held against another reader of dates. A wait is never more than what was said.

#![no_main]

#[path = "../../crates/agent/src/certs/acme/retry_after.rs"]
mod retry_after;

use retry_after::wait_ms;

const NOW: u64 = 1_445_412_480_000;

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let waits = wait_ms(text, NOW);
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.trim_start_matches('0');
        let fits = if seconds.is_empty() { Some(0) } else { seconds.parse::<u64>().ok() };
        assert_eq!(waits, fits.map(|seconds| seconds.saturating_mul(1000)));
        return;
    }
    if let Ok(date) = httpdate::parse_http_date(text)
        && text.ends_with(" GMT")
        && text.get(3..5) == Some(", ")
    {
        let date = date.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        // A wrong day of the week is refused by one and passed over by the other.
        assert!(waits.is_none_or(|waits| waits == date.saturating_sub(NOW)), "{waits:?} for {date}");
    }
    if let Some(waits) = waits {
        assert!(text.starts_with('+') || waits <= 253_402_300_799_999, "later than there are years");
        assert!(wait_ms(text, NOW + 1000).is_some_and(|later| later <= waits));
    }
});
