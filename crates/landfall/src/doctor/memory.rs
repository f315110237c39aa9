//! Memory: what is left, what there is when it ends, and whether it has ended already.

use super::look::{Seen, text};
use super::report::{Area, Check, Finding, Remedy, Severity};

const MEMORY: Check = Check {
    id: "memory",
    area: Area::Machine,
    why: "when it ends the kernel kills a process of its choice, and that is often the database",
};
const SWAP: Check = Check {
    id: "swap",
    area: Area::Machine,
    why: "a small machine without swap has nothing to bridge the moment in which two releases run",
};
const KILLS: Check =
    Check { id: "oom-kills", area: Area::Machine, why: "something was killed in the middle of its work, and will be again" };

/// Machines with less want swap, kB.
const SMALL: u64 = 4 * 1024 * 1024;
/// Shares that are left, in percent: a warning, critical.
const LEFT: (u64, u64) = (10, 5);

/// What the kernel says; sizes in kB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    total: u64,
    available: u64,
    swap: u64,
    swap_free: u64,
    /// Processes it killed since the machine started.
    kills: Option<u64>,
}

/// Looks.
pub(super) fn observe() -> Seen<Memory> {
    let table = text("/proc/meminfo")?;
    let kilobytes = |key: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).ok_or_else(|| format!("/proc/meminfo does not tell {key}"))
    };
    let vmstat = text("/proc/vmstat")?;
    let kills = vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
    Ok(Memory {
        total: kilobytes("MemTotal")?,
        available: kilobytes("MemAvailable")?,
        swap: kilobytes("SwapTotal")?,
        swap_free: kilobytes("SwapFree")?,
        kills,
    })
}

/// Judges.
pub(super) fn judge(seen: &Seen<Memory>) -> Vec<Finding> {
    let memory = match seen {
        Ok(memory) => memory,
        Err(why) => return [MEMORY, SWAP, KILLS].map(|check| check.unchecked(why)).into(),
    };
    let share = |part: u64, whole: u64| part.saturating_mul(100).checked_div(whole).unwrap_or(100);
    let size = |kilobytes: u64| crate::output::bytes(kilobytes.saturating_mul(1024));
    let who =
        || vec![Remedy::say("see who has it, and give services a limit: `mem_limit`").run(&["ps", "axo", "rss,pid,comm", "--sort=-rss"])];
    let left = share(memory.available, memory.total);
    let told = format!("{} of {} are left", size(memory.available), size(memory.total));
    let free = if left < LEFT.1 {
        MEMORY.found(Severity::Critical, told, who())
    } else if left < LEFT.0 {
        MEMORY.found(Severity::Warning, told, who())
    } else {
        MEMORY.ok(told)
    };
    let swap = if memory.swap == 0 && memory.total < SMALL {
        let make = Remedy::say("make a file for it")
            .run(&["fallocate", "-l", "2G", "/swapfile"])
            .run(&["chmod", "600", "/swapfile"])
            .run(&["mkswap", "/swapfile"])
            .run(&["swapon", "/swapfile"]);
        SWAP.found(Severity::Note, format!("there is none, and only {} of memory", size(memory.total)), vec![make])
    } else if memory.swap > 0 && share(memory.swap_free, memory.swap) < LEFT.0 {
        SWAP.found(Severity::Warning, format!("{} of {} are left", size(memory.swap_free), size(memory.swap)), who())
    } else {
        SWAP.ok(if memory.swap == 0 {
            "there is none; the memory is large".to_owned()
        } else {
            format!("{} of {} are left", size(memory.swap_free), size(memory.swap))
        })
    };
    let kills = match memory.kills {
        None => KILLS.unchecked("this kernel does not count them"),
        Some(0) => KILLS.ok("nothing was killed for want of memory since the machine started"),
        Some(count) => KILLS.found(
            Severity::Warning,
            format!("{count} processes were killed for want of memory since the machine started, in containers or beside them"),
            vec![Remedy::say("see which").run(&["journalctl", "--dmesg", "--grep=out of memory|oom-kill"])],
        ),
    };
    vec![free, swap, kills]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Memory = Memory { total: 8_000_000, available: 5_000_000, swap: 0, swap_free: 0, kills: Some(0) };

    fn severities(memory: Memory) -> Vec<Severity> {
        judge(&Ok(memory)).iter().map(|f| f.severity).collect()
    }

    #[test]
    fn memory_is_judged_by_what_is_left() {
        assert_eq!(severities(GOOD), [Severity::Ok; 3]);
        assert_eq!(severities(Memory { available: 700_000, ..GOOD })[0], Severity::Warning);
        assert_eq!(severities(Memory { available: 300_000, ..GOOD })[0], Severity::Critical);
        assert_eq!(severities(Memory { total: 1_000_000, available: 900_000, ..GOOD })[1], Severity::Note);
        assert_eq!(severities(Memory { swap: 1000, swap_free: 50, ..GOOD })[1], Severity::Warning);
        assert_eq!(severities(Memory { kills: Some(3), ..GOOD })[2], Severity::Warning);
        assert_eq!(severities(Memory { kills: None, ..GOOD })[2], Severity::Unchecked);
    }

    #[test]
    fn this_machine_tells() {
        let memory = observe().unwrap();
        assert!(memory.total > 0 && memory.available <= memory.total, "{memory:?}");
    }
}
