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
    // What follows the last digit is the unit, and one blank may stand before it.
    let length = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))? + 1;
    let (number, unit) = text.split_at(length);
    let size = super::typed::number::go_float(number.strip_suffix(' ').unwrap_or(number)).filter(|n| *n >= 0.0 || n.is_nan())?;
    let unit = unit.to_ascii_lowercase();
    let power = match unit.as_bytes() {
        [] | [b'b'] => 0,
        [prefix] | [prefix, b'b'] | [prefix, b'i', b'b'] => 1 + b"kmgtp".iter().position(|p| p == prefix)? as i32,
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
            ("1p", 1 << 50),
            ("1e3", 1000),
            (".5k", 512),
            ("5.m", 5 << 20),
            ("0x1p3k", 8 << 10),
            ("1_0", 10),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for bad in
            ["", "m", "-1m", "1x", "1 0m", "1  m", "9e30", "1..0", "é", "1mib2", "1bb", "1e", "1mi", "1.5.2", "1bi", "10ib", "0x10", "inf "]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_decimal("10m"), Some(10_000_000));
        assert_eq!(cpu_millis("0.5"), Some(500));
        assert_eq!(cpu_millis("inf"), None);
        assert_eq!(cpu_millis("1e3"), None);
    }
}
