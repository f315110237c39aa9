//! Signal names as Compose files write them.
//!
//! `SIGTERM`, `TERM`, `sigterm` and `15` are one signal. Real-time signals are refused by the process runtime: their numbers belong to
//! the C library, and a program that wants one of them as its stop signal is an init system, which belongs into a container.

use rustix::process::Signal;

/// Linux's named signals (`signal(7)`), by the number every supported architecture gives them.
const NAMES: [(&str, i32); 22] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("URG", 23),
    ("XCPU", 24),
    ("WINCH", 28),
    ("PWR", 30),
];

/// The number of a signal's name; `None` for what is none.
pub(crate) fn number(name: &str) -> Option<i32> {
    let upper = name.trim().to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == short) {
        return Some(*number);
    }
    upper.parse().ok().filter(|n| NAMES.iter().any(|(_, known)| known == n))
}

/// The signal of that name, to be sent.
pub(crate) fn parse(name: &str) -> Option<Signal> {
    number(name).and_then(Signal::from_named_raw)
}

/// True when two names mean one signal.
pub(crate) fn same(a: &str, b: &str) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_signal_is_the_same_signal() {
        for name in ["SIGTERM", "TERM", "sigterm", " 15 "] {
            assert_eq!(number(name), Some(15), "{name}");
        }
        assert!(same("SIGINT", "2") && !same("SIGINT", "SIGTERM") && same("SIGRTMIN+3", "sigrtmin+3"));
    }

    #[test]
    fn every_named_signal_can_be_sent_and_nonsense_is_refused() {
        for (name, number) in NAMES {
            assert_eq!(parse(name).map(Signal::as_raw), Some(number), "{name}");
        }
        for bad in ["", "SIG", "0", "64", "SIGRTMIN+3", "$(kill)", "-9"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
