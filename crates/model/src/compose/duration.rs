//! Durations as Compose writes them: `1h5m30s20ms`, `1.5s`, `90s`. Units are `us`, `ms`, `s`, `m`, `h`, `d` and `w`.

/// Longest duration accepted: 10 years. Nothing waits that long on purpose.
const MAX_MS: u64 = 10 * 365 * 86_400_000;

/// Milliseconds, or `None` if the text is no duration. Parts below a millisecond are rounded up, so that none becomes "no limit".
pub(crate) fn parse(text: &str) -> Option<u64> {
    let total = u64::try_from(nanoseconds(text)?).ok()?.div_ceil(1_000_000);
    (!text.starts_with(['-', '+']) && total <= MAX_MS).then_some(total)
}

/// As Go and therefore `docker compose config` prints it: `1h0m0s`, `1m30s`, `1.5s`, `20ms`.
pub(crate) fn print(ms: u64) -> String {
    show(i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX))
}

/// Nanoseconds exactly as Compose reads them: as Go's `time.ParseDuration` does, with a sign and down to `ns`, and with days and weeks. `None` if
/// the text is no duration.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() || total == 0 {
        let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = rest.get(whole..)?;
        let fraction = after.strip_prefix('.').map(|f| &f[..f.bytes().take_while(u8::is_ascii_digit).count()]);
        let number = whole + fraction.map_or(0, |f| 1 + f.len());
        if whole == 0 && fraction.is_none_or(str::is_empty) {
            return None;
        }
        let unit_length = rest.get(number..)?.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len() - number);
        let unit: u64 = match rest.get(number..number + unit_length)? {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        let mut part = if whole == 0 { 0 } else { rest[..whole].parse::<u64>().ok()?.checked_mul(unit)? };
        if let Some(digits) = fraction.filter(|f| !f.is_empty()) {
            // Digits beyond the 18th say nothing a nanosecond could show.
            let digits = &digits[..digits.len().min(18)];
            let scale = 10f64.powi(digits.len() as i32);
            part = part.checked_add((digits.parse::<u64>().ok()? as f64 * (unit as f64 / scale)) as u64)?;
        }
        total = total.checked_add(part).filter(|t| i64::try_from(*t).is_ok())?;
        rest = &rest[number + unit_length..];
        if rest.is_empty() {
            break;
        }
    }
    i64::try_from(total).ok().map(|n| if negative { -n } else { n })
}

/// Nanoseconds as Go prints a duration: `1h0m0s`, `1m30s`, `1.5s`, `20ms`, `1µs`.
pub(crate) fn show(nanoseconds: i64) -> String {
    let n = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let decimal = |n: u64, unit: u64| {
        let width = unit.ilog10() as usize;
        let fraction = format!("{:0width$}", n % unit);
        let fraction = if width == 0 { "" } else { fraction.trim_end_matches('0') };
        format!("{}{}{fraction}", n / unit, if fraction.is_empty() { "" } else { "." })
    };
    let (hours, minutes) = (n / 3_600_000_000_000, n / 60_000_000_000 % 60);
    let seconds = decimal(n % 60_000_000_000, 1_000_000_000);
    match n {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(n, 1_000_000)),
        _ if hours > 0 => format!("{sign}{hours}h{minutes}m{seconds}s"),
        _ if minutes > 0 => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{seconds}s"),
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

    #[test]
    fn durations_to_the_nanosecond_are_those_of_go() {
        for (text, printed) in [
            ("10s", "10s"),
            ("1h5m30s20ms", "1h5m30.02s"),
            ("1.5s", "1.5s"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("-1m", "-1m0s"),
            ("1500us", "1.5ms"),
            ("1µs2ns", "1.002µs"),
            ("0", "0s"),
            ("+0s", "0s"),
            ("0s5ms", "5ms"),
        ] {
            assert_eq!(nanoseconds(text).map(show).as_deref(), Some(printed), "{text}");
        }
        for bad in ["", "10", "s", "1x", "1 s", ".s", "1y", "9999999h", "1s ", "-", "1s2"] {
            assert_eq!(nanoseconds(bad), None, "{bad}");
        }
    }
}
