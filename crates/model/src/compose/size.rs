//! Byte sizes as Compose writes them: `64m`, `2gb`, `1.5G`, `1024`, `10MiB`. Units count in 1024, whatever their spelling, as docker/go-units does
//! for memory.

/// Bytes as Compose reads them; `None` if the text is no size. What exceeds 63 bits becomes the smallest number, as it does in Go.
pub(crate) fn bytes(text: &str) -> Option<i64> {
    bytes_in(text, 1024.0)
}

/// Bytes, or `None` if the text is no size a machine can have.
pub(crate) fn parse(text: &str) -> Option<u64> {
    bytes_in(text.trim(), 1024.0).and_then(|n| u64::try_from(n).ok())
}

/// Likewise in units of 1000, which is how the engine reads `max-size` of a log (`10m` is 10 000 000 bytes).
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    bytes_in(text.trim(), 1000.0).and_then(|n| u64::try_from(n).ok())
}

fn bytes_in(text: &str, thousand: f64) -> Option<i64> {
    let length = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, unit) = text.split_at(length);
    let groups = number.split('.').all(|group| !group.is_empty());
    let size = super::typed::number::go_float(number).filter(|_| groups)?;
    // One blank may stand before the unit.
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let bare = unit.strip_suffix('b').unwrap_or(&unit);
    let power = match bare.strip_suffix('i').unwrap_or(bare).as_bytes() {
        [] => 0,
        [prefix] => 1 + b"kmgtp".iter().position(|p| p == prefix)? as i32,
        _ => return None,
    };
    Some(super::typed::number::truncated(size * thousand.powi(power)))
}

/// Thousandths of a core from `0.5`, `2`, `1.25`; `None` if the text is no number of cores from 0 to 1024.
pub(crate) fn cpu_millis(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let cores: f64 = text.parse().ok().filter(|_| plain)?;
    (cores <= 1024.0).then_some((cores * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("10m", 10 << 20),
            ("2gb", 2 << 30),
            ("1.5G", 3 << 29),
            ("1024", 1024),
            ("10MiB", 10 << 20),
            ("512 k", 512 << 10),
            ("1b", 1),
            ("0", 0),
            ("10ib", 10),
            ("1p", 1 << 50),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "-1m", "1x", "1 0m", "1  m", "9e30", "1..0", "é", "1mib2", "1bb", "1e3", ".5m", "5.m", "1.5.2", "1bi"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_decimal("10m"), Some(10_000_000));
        assert_eq!(cpu_millis("0.5"), Some(500));
        assert_eq!(cpu_millis("inf"), None);
        assert_eq!(cpu_millis("1e3"), None);
    }
}
