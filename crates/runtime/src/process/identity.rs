//! Which process a number means.
//!
//! A process id alone says nothing after a crash: the kernel gives it to somebody else. Together with the process's start time and the
//! boot it belongs to, it is unique, so a signal is only ever sent through a file descriptor of a process (`pidfd_open(2)`) that was
//! compared after it was opened. A zombie counts as dead: it runs nothing and its parent may never collect it.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs;

/// One process, for all time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pid: u32,
    /// Clock ticks from boot to its start.
    start: u64,
    /// Which boot.
    boot: String,
}

/// What `/proc/<pid>/stat` tells.
struct Stat {
    zombie: bool,
    session: u32,
    start: u64,
}

impl Identity {
    /// The process that has this number now, if any.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid)?;
        Some(Self { pid, start: stat.start, boot: boot()? })
    }

    /// This very process.
    pub(crate) fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// It runs, and is not another process that got its number.
    pub(crate) fn alive(&self) -> bool {
        stat(self.pid).is_some_and(|s| s.start == self.start && !s.zombie) && boot().as_ref() == Some(&self.boot)
    }

    /// Sends it a signal; false when it is gone or may not be signalled.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        // The descriptor pins whoever has the number now; comparing afterwards tells whether that is the one that is meant.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        self.alive() && pidfd_send_signal(&handle, signal).is_ok()
    }

    /// The other processes of the session it leads or led: its children and theirs, as long as they made no session of their own.
    pub(crate) fn session(&self) -> Vec<Identity> {
        if boot().as_ref() != Some(&self.boot) {
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let numbers = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
        numbers
            .filter(|pid| *pid != self.pid)
            .filter_map(|pid| stat(pid).map(|s| (pid, s)))
            // Nobody in the session is older than its leader; an older one means that the number was given away again.
            .filter(|(_, s)| s.session == self.pid && s.start >= self.start && !s.zombie)
            .map(|(pid, s)| Identity { pid, start: s.start, boot: self.boot.clone() })
            .collect()
    }

    /// Inode numbers of the sockets it holds open.
    pub(crate) fn sockets(&self) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|e| fs::read_link(e.path()).ok())
            .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
            .collect()
    }
}

fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields as `proc_pid_stat(5)` numbers them; the second is the program's name and may itself hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat { zombie: matches!(field(3)?, "Z" | "X"), session: field(6)?.parse().ok()?, start: field(22)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_cannot_forge_its_own_state() {
        let text = "7 (a) Z 1 (b c) S 1 7 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let stat = parse_stat(text).unwrap();
        assert!(!stat.zombie);
        assert_eq!((stat.session, stat.start), (9, 4242));
    }

    #[test]
    fn one_knows_oneself_and_nobody_with_the_same_number_and_another_start() {
        let me = Identity::own().unwrap();
        assert!(me.alive());
        let before = Identity { start: me.start.wrapping_sub(1), ..me.clone() };
        assert!(!before.alive() && !before.signal(Signal::KILL));
        let other_boot = Identity { boot: "another".into(), ..me };
        assert!(!other_boot.alive() && !other_boot.signal(Signal::KILL));
    }

    #[test]
    fn a_collected_child_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = Identity::of(child.id());
        child.wait().unwrap();
        assert!(!identity.is_some_and(|i| i.alive()));
    }
}
