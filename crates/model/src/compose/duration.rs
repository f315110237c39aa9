//! Durations as Compose writes them: `1h5m30s20ms`, `1.5s`, `90s`. Units are `us`, `ms`, `s`, `m`, `h`, and, as a convenience, `d`.

/// Longest duration accepted: 10 years. Nothing waits that long on purpose.
const MAX_MS: f64 = 10.0 * 365.0 * 86_400_000.0;

/// Milliseconds, or `None` if the text is no duration. Parts below a millisecond are rounded up, so that none becomes "no limit".
pub(crate) fn parse(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0.0f64;
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let unit = rest[number..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let value: f64 = rest[..number].parse().ok()?;
        total += value * in_ms(&rest[number..number + unit])?;
        rest = &rest[number + unit..];
    }
    (!text.is_empty() && total.is_finite() && total <= MAX_MS).then_some(total.ceil() as u64)
}

fn in_ms(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    })
}

/// As Go and therefore `docker compose config` prints it: `1h0m0s`, `1m30s`, `1.5s`, `20ms`.
pub(crate) fn print(ms: u64) -> String {
    if ms == 0 {
        return "0s".into();
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let seconds = rest as f64 / 1000.0;
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_as_compose_does() {
        for (text, ms, printed) in [
            ("10s", 10_000, "10s"),
            ("1h5m30s20ms", 3_930_020, "1h5m30.02s"),
            ("1.5s", 1500, "1.5s"),
            ("1m30s", 90_000, "1m30s"),
            ("1h", 3_600_000, "1h0m0s"),
            ("20ms", 20, "20ms"),
            ("0", 0, "0s"),
            ("1us", 1, "1ms"),
            ("2d", 172_800_000, "48h0m0s"),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
            assert_eq!(print(ms), printed);
        }
        for bad in ["", "10", "s", "1x", "1 s", "-1s", "1..5s", ".", "99999999999h", "é", "1s "] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
