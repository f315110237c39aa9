//! Latencies in a bounded amount of memory: buckets that grow with the value, each at most 1/32 of its value wide.

/// Buckets per power of two.
const PER_OCTAVE: usize = 32;

/// Counts of microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        // 64-bit values: the first octaves are exact, the rest share a top bit each.
        Self { buckets: vec![0; PER_OCTAVE * 60], count: 0, max: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, micros: u64) {
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(micros);
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that `percent` of all values do not exceed, rounded up to its bucket's end; 0 when empty.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let rank = (percent / 100.0 * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (index, &n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank && n > 0 {
                return last_of(index).min(self.max);
            }
        }
        self.max
    }
}

/// Values below two octaves have a bucket each; above, the top six bits choose.
fn bucket(value: u64) -> usize {
    let width = 64 - value.leading_zeros() as usize;
    let shift = width.saturating_sub(6);
    shift * PER_OCTAVE + (value >> shift) as usize
}

/// The largest value of a bucket.
fn last_of(index: usize) -> u64 {
    let shift = (index / PER_OCTAVE).saturating_sub(1);
    let top = (index - shift * PER_OCTAVE) as u64;
    ((top + 1) << shift).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_close_to_its_end() {
        for value in (0..5_000).chain((0..64).map(|bit| 1u64 << bit)).chain([u64::MAX, u64::MAX - 1, 123_456_789]) {
            let last = last_of(bucket(value));
            assert!(last >= value, "{value} is beyond {last}");
            assert!(last - value <= value / 32, "{value} is far from {last}");
            assert_eq!(bucket(last), bucket(value), "{value}");
        }
    }

    #[test]
    fn percentiles_of_one_to_a_thousand() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50.0), 0);
        (1..=1000).for_each(|v| histogram.add(v));
        assert!((500..=516).contains(&histogram.percentile(50.0)), "{}", histogram.percentile(50.0));
        assert!((990..=1000).contains(&histogram.percentile(99.0)));
        assert_eq!(histogram.percentile(100.0), 1000);
        assert_eq!(histogram.max(), 1000);
    }
}
