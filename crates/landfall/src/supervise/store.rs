//! File descriptors kept for the proxy between its lives (systemd's FDSTORE): sockets it opened itself, such as the stable loopback address of
//! a service, so that the next proxy continues with the very same sockets.

use rustix::fs::fstat;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Most descriptors kept: two for each network and one for each service, of every app of one machine.
const MAX_STORED: usize = 512;
/// Longest name (systemd's own bound).
const MAX_NAME: usize = 255;

/// Kept descriptors by name; several may share one.
#[derive(Debug, Default)]
pub(super) struct FdStore {
    kept: BTreeMap<String, Vec<Arc<OwnedFd>>>,
}

/// Why a descriptor is not kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreRefusal {
    /// It would break the list of names, which is separated by `:`.
    #[error("a name of a stored socket must be 1 to 255 printable ASCII characters without `:`")]
    Name,
    /// Too many.
    #[error("{MAX_STORED} sockets are stored already")]
    Full,
}

impl FdStore {
    /// Keeps a descriptor, and answers whether it is a new one. The same socket under the same name is kept once: a proxy that took it over tells it
    /// again.
    pub(super) fn keep(&mut self, name: &str, fd: OwnedFd) -> Result<bool, StoreRefusal> {
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            return Err(StoreRefusal::Name);
        }
        let same = |other: &Arc<OwnedFd>| match (fstat(other), fstat(&fd)) {
            (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        };
        if self.kept.get(name).is_some_and(|fds| fds.iter().any(same)) {
            return Ok(false);
        }
        if self.kept.values().map(Vec::len).sum::<usize>() >= MAX_STORED {
            return Err(StoreRefusal::Full);
        }
        self.kept.entry(name.to_owned()).or_default().push(Arc::new(fd));
        Ok(true)
    }

    /// Forgets everything of that name.
    pub(super) fn forget(&mut self, name: &str) {
        self.kept.remove(name);
    }

    /// Everything, for the next proxy.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, Arc<OwnedFd>)> + '_ {
        self.kept.iter().flat_map(|(name, fds)| fds.iter().map(|fd| (name.clone(), Arc::clone(fd))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_socket_is_kept_once_and_forgotten_by_name() {
        let mut store = FdStore::default();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(store.keep("a", socket.try_clone().unwrap().into()), Ok(true));
        assert_eq!(store.keep("a", socket.try_clone().unwrap().into()), Ok(false));
        store.keep("a", UdpSocket::bind("127.0.0.1:0").unwrap().into()).unwrap();
        store.keep("b", socket.into()).unwrap();
        assert_eq!(store.all().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "a", "b"]);
        store.forget("a");
        assert_eq!(store.all().count(), 1);
        for bad in ["", "a:b", "a b", "é", "a\n"] {
            assert_eq!(store.keep(bad, UdpSocket::bind("127.0.0.1:0").unwrap().into()), Err(StoreRefusal::Name), "{bad:?}");
        }
    }
}
