//! Which life of the machine this is.
//!
//! Addresses of replicas hold for one life: after it, an engine gives them to others, a port on loopback belongs to whoever was first, and a
//! container's network may not be there yet, so that its addresses are those of strangers. What was written down in another life is told by this.

use std::fs;
use std::time::{Duration, SystemTime};

/// A text that is another one after every start of the machine. Absent where the kernel does not say.
///
/// A container that is started again keeps the kernel's word, so the start of its first process and its network count too, as far as they may
/// be seen.
pub fn id() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let first = fs::read_to_string("/proc/1/stat").ok().and_then(|stat| started(&stat).map(str::to_owned));
    let network = fs::read_link("/proc/self/ns/net").ok();
    let network = network.as_deref().and_then(|link| link.to_str());
    Some(format!("{} {} {}", boot.trim(), first.as_deref().unwrap_or("-"), network.unwrap_or("-")))
}

/// When the machine started, as far as its clock can tell.
pub(crate) fn began() -> Option<SystemTime> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// When a process started, in ticks since the kernel did: field 22 of proc(5), `/proc/[pid]/stat`.
fn started(stat: &str) -> Option<&str> {
    // The name is in brackets and may hold anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_the_same_while_the_machine_lives() {
        let first = id().expect("a kernel that says which boot it is");
        assert_eq!(id().as_deref(), Some(first.as_str()));
        assert_eq!(first.split(' ').count(), 3, "{first}");
        assert!(began().unwrap() < SystemTime::now());
    }

    #[test]
    fn a_name_with_brackets_hides_no_start() {
        let stat = "1 (a) b (c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 24 6";
        assert_eq!(started(stat), Some("4711"));
        assert_eq!(started("1 (a"), None);
    }
}
