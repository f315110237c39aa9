//! What one input may take: a second of the processor, and 64 MiB of memory at any time. Measured here and not by libFuzzer, whose second is one of the
//! clock on the wall, and whose memory is that of the whole process.

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MOST_MICROSECONDS: u64 = 1_000_000;
const MOST_KIB: u64 = 64 * 1024;

static SLOWEST: AtomicU64 = AtomicU64::new(0);
static LARGEST: AtomicU64 = AtomicU64::new(0);

fn microseconds() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Runs `work`, and fails when it took too much. `fuzz/run` reads what the most was until now from the log.
pub fn within(work: impl FnOnce()) {
    let (before, start) = (MEMORY.current_usage(), microseconds());
    MEMORY.reset_peak_usage();
    work();
    let took = microseconds() - start;
    let kib = MEMORY.peak_usage().saturating_sub(before) as u64 / 1024;
    for (what, value, most) in [("microseconds", took, &SLOWEST), ("KiB", kib, &LARGEST)] {
        // Not each time by a little.
        let known = most.load(Relaxed);
        if value > known + known / 8 {
            most.store(value, Relaxed);
            eprintln!("most until now: {value} {what}");
        }
    }
    assert!(took <= MOST_MICROSECONDS, "an input took {took} microseconds");
    assert!(kib <= MOST_KIB, "an input took {kib} KiB");
}

/// A fuzz target whose inputs are bounded.
#[macro_export]
macro_rules! fuzz {
    (|$data:ident: $type:ty| $body:expr) => {
        libfuzzer_sys::fuzz_target!(|$data: $type| $crate::bounds::within(|| $body));
    };
}
