//! Dates as plain scalars. Compose reads `2001-12-14` as a time, and prints it as RFC 3339 where it keeps it (below `x-`) and in Go's own
//! words where it wants text (a label).

/// A date, or a date and time, as RFC 3339; `None` for what is neither. Without a zone it is UTC.
pub(crate) fn rfc3339(text: &str) -> Option<String> {
    let (year, rest) = text.split_once('-').filter(|(year, _)| year.len() == 4)?;
    let (month, rest) = rest.split_once('-')?;
    let day_length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (day, rest) = rest.split_at(day_length);
    let (year, month, day) = (number(year, 9999)?, number(month, 12)?, number(day, 31)?);
    if month == 0 || day == 0 || day > days(year, month) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(separator) = rest.chars().next() else { return Some(format!("{date}T00:00:00Z")) };
    let (clock, zone) = match separator {
        'T' | 't' => {
            let at = rest.find(['Z', '+']).or_else(|| rest.rfind('-'))?;
            (rest.get(1..at)?, rest.get(at..)?)
        }
        ' ' => (rest.get(1..)?, "Z"),
        _ => return None,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (number(parts.next()?, 23)?, number(parts.next()?, 59)?, number(parts.next()?, 59)?);
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{}", offset(zone)?))
}

fn number(text: &str, most: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n <= most)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `Z`, or `+05:00` and the like.
fn offset(zone: &str) -> Option<&str> {
    if matches!(zone, "Z" | "+00:00" | "-00:00") {
        return Some("Z");
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    (hours.len() == 2 && minutes.len() == 2 && number(hours, 23).is_some() && number(minutes, 59).is_some()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_text_that_looks_like_them() {
        for (text, want) in [
            ("2001-1-2", Some("2001-01-02T00:00:00Z")),
            ("2001-12-14t21:59:43.10-05:00", Some("2001-12-14T21:59:43.1-05:00")),
            ("2001-12-14T21:59:43Z", Some("2001-12-14T21:59:43Z")),
            ("2001-12-14 21:59:43.5", Some("2001-12-14T21:59:43.5Z")),
            ("2001-02-29", None),
            ("2001-13-01", None),
            ("01-02-03", None),
            ("2001-01-01-rc1", None),
            ("2001-01-01T10:00:00", None),
            ("2001-01", None),
        ] {
            assert_eq!(rfc3339(text).as_deref(), want, "{text}");
        }
    }
}
