//! What happens when descriptors or kernel memory run out: it is told once in a while, not fifty times a second.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

/// Between two lines about the same.
const PERIOD: Duration = Duration::from_secs(10);

/// Whether the process or the machine has no more descriptors or memory for a socket. Everything else that accept(2) says concerns one client.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno))
}

/// Whether no connection can be made for want of something here: what [`is_exhausted`] says, or the ports from which one address can be reached.
pub(crate) fn lacks_means(error: &io::Error) -> bool {
    is_exhausted(error) || rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::ADDRNOTAVAIL)
}

/// How often something happened that is worth a line, and when there was one.
#[derive(Debug, Default)]
pub(crate) struct Rarely {
    times: Cell<u64>,
    said: Cell<Option<Instant>>,
}

impl Rarely {
    /// It happened once more. Answers how often since the last line if it is time for one.
    pub(crate) fn again(&self) -> Option<u64> {
        self.more(1)
    }

    /// It happened so many times more. Likewise.
    pub(crate) fn more(&self, times: u64) -> Option<u64> {
        self.times.set(self.times.get().saturating_add(times));
        if times == 0 || self.said.get().is_some_and(|said| said.elapsed() < PERIOD) {
            return None;
        }
        self.said.set(Some(Instant::now()));
        Some(self.times.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_happens_often_is_told_once() {
        let rarely = Rarely::default();
        assert_eq!(rarely.again(), Some(1));
        assert!((0..1000).all(|_| rarely.again().is_none()));
        rarely.said.set(None);
        assert_eq!(rarely.again(), Some(1001));
        rarely.said.set(None);
        assert_eq!((rarely.more(0), rarely.more(7)), (None, Some(7)));
    }

    #[test]
    fn a_client_that_left_is_no_exhaustion() {
        assert!(is_exhausted(&rustix::io::Errno::MFILE.into()));
        assert!(!is_exhausted(&io::ErrorKind::ConnectionAborted.into()));
        for (errno, here) in [(Errno::MFILE, true), (Errno::NFILE, true), (Errno::ADDRNOTAVAIL, true), (Errno::CONNREFUSED, false)] {
            assert_eq!(lacks_means(&errno.into()), here, "{errno}");
        }
    }
}
