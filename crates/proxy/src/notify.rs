//! What the proxy tells its supervisor: that it is ready, that it lives, and which sockets to keep for it (sd_notify(3), `FDSTORE`).
//!
//! Best effort: without a supervisor there is nobody to tell, and a proxy that cannot tell still carries requests.

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the supervisor.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// To the socket at `address`: a path, or an abstract name that starts with `@`. Nowhere if absent or unusable.
    pub(crate) fn new(address: Option<OsString>) -> Self {
        let Some(address) = address.filter(|address| !address.is_empty()) else { return Self::default() };
        match connect(&address) {
            Ok(socket) => Self { socket: Some(socket) },
            Err(error) => {
                tracing::warn!(%error, ?address, "the supervisor cannot be told anything");
                Self::default()
            }
        }
    }

    /// The table is loaded and every worker accepts.
    pub(crate) fn ready(&self) {
        self.send("READY=1", &[]);
    }

    /// Every thread still runs (`WatchdogSec=` of systemd.service(5)).
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1", &[]);
    }

    /// Requests are finished, no new ones are accepted.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1", &[]);
    }

    /// Keep this socket for the next proxy.
    pub(crate) fn store(&self, name: &str, socket: impl AsFd) {
        self.send(&format!("FDSTORE=1\nFDNAME={name}"), &[socket.as_fd()]);
    }

    /// Keep it no longer.
    pub(crate) fn forget(&self, name: &str) {
        self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]);
    }

    fn send(&self, text: &str, fds: &[BorrowedFd<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds));
        debug_assert!(fits, "room for one descriptor");
        if let Err(error) = sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL) {
            tracing::warn!(%error, text, "the supervisor could not be told");
        }
    }
}

/// How long the supervisor lets this process be silent, if it watches (sd_watchdog_enabled(3)).
pub(crate) fn watchdog(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    if variable("WATCHDOG_PID").is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let limit = Duration::from_micros(variable("WATCHDOG_USEC")?.parse().ok()?);
    (!limit.is_zero()).then_some(limit)
}

fn connect(address: &OsString) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    use std::net::TcpListener;

    #[test]
    fn a_stored_socket_arrives_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify.sock");
        let supervisor = UnixDatagram::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Notifier::new(Some(path.into())).store("internal-x", &listener);

        let mut text = [0; 100];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(&supervisor, &mut [io::IoSliceMut::new(&mut text)], &mut control, RecvFlags::empty()).unwrap();
        assert_eq!(&text[..got.bytes], b"FDSTORE=1\nFDNAME=internal-x");
        let mut fds = control.drain().filter_map(|m| match m {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let copy = TcpListener::from(fds.next().unwrap().next().unwrap());
        assert_eq!(copy.local_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[test]
    fn a_watchdog_is_believed_when_it_is_meant_for_this_process() {
        let own = std::process::id().to_string();
        let of = |usec: Option<&str>, pid: Option<&str>| {
            let pair = (usec.map(str::to_owned), pid.map(str::to_owned));
            watchdog(move |name| if name == "WATCHDOG_USEC" { pair.0.clone() } else { pair.1.clone() })
        };
        assert_eq!(of(Some("4000000"), None), Some(Duration::from_secs(4)));
        assert_eq!(of(Some("4000000"), Some(&own)), Some(Duration::from_secs(4)));
        for (usec, pid) in [(None, None), (Some("0"), None), (Some("-1"), None), (Some("soon"), None), (Some("4000000"), Some("1"))] {
            assert_eq!(of(usec, pid), None, "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn without_a_supervisor_nothing_happens() {
        Notifier::new(None).ready();
        Notifier::new(Some("/nonexistent/notify.sock".into())).ready();
    }
}
