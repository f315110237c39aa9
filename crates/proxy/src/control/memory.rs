//! Keeps the proxy within the memory there is for it. Whoever goes beyond is killed by the kernel, and everybody's connection with it; so before that,
//! some give way.
//!
//! What counts is the memory of this process: that of its neighbours is not its to give back. Above three quarters of the limit there are fewer places for
//! connections and idle ones are closed; if it still grows near the limit, those that have been at the same thing for longest are cut, which are slow
//! or stalled ones before busy ones. Memory that was freed may stay with the allocator, so places come back while nothing grows, whatever the measure says.

use super::Control;
use crate::exhausted::Rarely;
use crate::worker::{Relief, WorkerAsk};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Thousandths of the limit: from here there are fewer places, below that there are enough, and here some are cut.
const SHORT: u64 = 750;
const ENOUGH: u64 = 700;
const CRITICAL: u64 = 850;
/// Less than that is no growth: what an allocator keeps goes up and down a little.
const GROWTH: u64 = 20;
/// How often it is looked at: seldom when so many bytes are free that no second could fill them.
const MUCH: u64 = 1 << 30;
const CALM: Duration = Duration::from_secs(1);
const WATCHFUL: Duration = Duration::from_millis(100);
/// And often, from half of the limit on.
const ALERT: (u64, Duration) = (500, Duration::from_millis(20));
/// Places there are in any case.
const LEAST_PLACES: u32 = 32;

impl Control {
    /// Looks at the memory in use for ever.
    pub(crate) async fn watch_memory(&self) {
        let Some(limit) = limit() else { return std::future::pending().await };
        tracing::info!(mib = limit >> 20, "memory limit");
        let (mut squeeze, cuts) = (Squeeze::default(), Rarely::default());
        loop {
            let resident = resident().unwrap_or_default();
            let used = resident.saturating_mul(1000) / limit.max(1);
            let connections = self.shared.counters.iter().map(|counters| counters.connections.load(Relaxed)).sum();
            let was_short = squeeze.places.is_some();
            let relief = squeeze.advance(used, connections);
            match (was_short, squeeze.places) {
                (false, Some(places)) => {
                    tracing::warn!(permille = used, connections, places, "memory is short: connections wait, idle ones are closed")
                }
                (true, None) => tracing::info!(permille = used, connections, "there is enough memory again"),
                _ => {}
            }
            if relief == Relief::Slow
                && let Some(times) = cuts.again()
            {
                tracing::warn!(permille = used, connections, times, "memory still grows: connections that take long are cut");
            }
            if was_short || squeeze.places.is_some() {
                let each = self.workers.len().max(1) as u32;
                for worker in &self.workers {
                    let _ = worker.send(WorkerAsk::Squeeze { places: squeeze.places.map(|places| places.div_ceil(each)), relief });
                }
            }
            let pause = match used {
                _ if resident.saturating_add(MUCH) < limit => CALM,
                used if used < ALERT.0 => WATCHFUL,
                _ => ALERT.1,
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// How many connections there may be. Pure.
#[derive(Debug, Default)]
struct Squeeze {
    /// In all; as many as otherwise, if absent.
    places: Option<u32>,
    /// Thousandths that growth is measured from.
    mark: u64,
}

impl Squeeze {
    /// Takes note of how much is used; answers who is to give way.
    fn advance(&mut self, used: u64, connections: u32) -> Relief {
        let grows = used > self.mark + GROWTH;
        if grows || used < self.mark {
            self.mark = used;
        }
        match self.places {
            None if used >= SHORT => self.places = Some((connections / 2).max(LEAST_PLACES)),
            None => return Relief::Nobody,
            Some(_) if used < ENOUGH => {
                *self = Self::default();
                return Relief::Nobody;
            }
            Some(_) if used >= SHORT && grows => self.places = Some((connections / 2).max(LEAST_PLACES)),
            Some(places) => self.places = Some(places.saturating_add(places / 100 + 1)),
        }
        match grows {
            true if used >= CRITICAL => Relief::Slow,
            true => Relief::Idle,
            false => Relief::Nobody,
        }
    }
}

/// Bytes this process may use: what its control groups and the machine allow.
fn limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(limit_files).filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain(kilobytes("/proc/meminfo", "MemTotal:")).min()
}

/// Files that may hold a limit of one of our control groups or of one above it: a line of cgroups(7), `/proc/[pid]/cgroup`.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (root, file) = match parts.next() {
        Some("") => ("/sys/fs/cgroup", "memory.max"),
        Some("memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let group = Path::new(parts.next().unwrap_or_default().trim_start_matches('/'));
    group.ancestors().map(|group| Path::new(root).join(group).join(file)).collect()
}

/// Bytes of memory this process has that the kernel cannot take back by itself.
fn resident() -> Option<u64> {
    kilobytes("/proc/self/status", "RssAnon:")
}

/// A line of a file of proc(5), in bytes.
fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix("kB"))?;
    value.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_shrink_while_memory_grows_and_come_back_when_it_does_not() {
        let mut squeeze = Squeeze::default();
        assert_eq!(squeeze.advance(700, 1000), Relief::Nobody);
        assert_eq!(squeeze.places, None);
        assert_eq!(squeeze.advance(760, 1000), Relief::Idle);
        assert_eq!(squeeze.places, Some(500));
        assert_eq!(squeeze.advance(800, 900), Relief::Idle);
        assert_eq!(squeeze.places, Some(450));
        assert_eq!(squeeze.advance(900, 800), Relief::Slow);
        assert_eq!(squeeze.advance(905, 400), Relief::Nobody, "it grows no more");
        assert_eq!(squeeze.places, Some(405));
        // What was freed stays with the allocator: places come back all the same.
        assert!((0..1000).all(|_| squeeze.advance(890, 400) == Relief::Nobody));
        assert!(squeeze.places > Some(100_000), "{squeeze:?}");
        assert!((891..=910).all(|used| squeeze.advance(used, 400) == Relief::Nobody));
        assert_eq!(squeeze.advance(911, 400), Relief::Slow, "slow growth is growth");
        assert_eq!(squeeze.advance(690, 400), Relief::Nobody);
        assert_eq!(squeeze.places, None);
        squeeze.advance(999, 3);
        assert_eq!(squeeze.places, Some(LEAST_PLACES));
    }

    #[test]
    fn limits_are_looked_for_in_every_group_above() {
        let files = |line| limit_files(line).into_iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            files("0::/system.slice/landfall.service"),
            [
                "/sys/fs/cgroup/system.slice/landfall.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(files("4:memory:/a").first().unwrap(), "/sys/fs/cgroup/memory/a/memory.limit_in_bytes");
        assert!(files("8:pids:/").is_empty() && files("").is_empty());
    }

    #[test]
    fn this_process_is_within_its_limit() {
        assert!(resident().unwrap() < limit().unwrap());
    }
}
