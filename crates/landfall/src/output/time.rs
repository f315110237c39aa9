//! Times for people: the clock of this machine's zone, and spans in the two units that matter.

use jiff::Timestamp;
use jiff::tz::TimeZone;

fn at(ms: u64, format: &str) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "?".to_owned(), |at| at.to_zoned(TimeZone::system()).strftime(format).to_string())
}

/// `12:00:01`
pub fn clock(ms: u64) -> String {
    at(ms, "%H:%M:%S")
}

/// `2026-03-01 12:00:01`
pub fn date_clock(ms: u64) -> String {
    at(ms, "%Y-%m-%d %H:%M:%S")
}

/// How long something took: `0.8 s`, `1 m 12 s`.
pub fn took(ms: u64) -> String {
    if ms < 60_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { span(ms) }
}

/// How long ago, in the two largest units: `42 s`, `3 m 20 s`, `5 h 1 m`, `12 d 3 h`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} m {} s", seconds % 60),
        3600..86400 => format!("{hours} h {} m", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_at_a_glance() {
        assert_eq!(took(0), "0.0 s");
        assert_eq!(took(3_260), "3.2 s");
        assert_eq!(took(72_000), "1 m 12 s");
        assert_eq!(span(59_999), "59 s");
        assert_eq!(span(18_060_000), "5 h 1 m");
        assert_eq!(span(1_047_600_000), "12 d 3 h");
        assert_eq!(clock(u64::MAX), "?");
    }
}
