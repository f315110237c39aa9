//! Sizes as people read them.

/// `0 B`, `999 B`, `1.5 MB`, in powers of 1000 as disks are sold.
pub fn bytes(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if size < 1000.0 {
            break;
        }
        (size, unit) = (size / 1000.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 999, 1_000, 1_550_000, 3_000_000_000].map(bytes), ["0 B", "999 B", "1.0 kB", "1.6 MB", "3.0 GB"]);
    }
}
