//! What children tell their supervisor: sd_notify(3) datagrams, with the sender's process id vouched for by the kernel.

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// Longest message (systemd's own bound is a page).
const MAX_MESSAGE: usize = 4096;
/// Most descriptors in one message (SCM_MAX_FD of the kernel).
const MAX_FDS: usize = 253;

/// One message.
#[derive(Debug)]
pub(super) struct Notice {
    /// Who sent it.
    pub pid: i32,
    /// What it says, in order.
    pub said: Vec<Said>,
}

/// One thing a child says.
#[derive(Debug)]
pub(super) enum Said {
    /// `READY=1`
    Ready,
    /// `WATCHDOG=1`
    Alive,
    /// `STATUS=…`
    Status(String),
    /// `FDSTORE=1` with `FDNAME=…`
    Keep {
        /// `stored` unless given, as systemd has it.
        name: String,
        /// Its sockets.
        fds: Vec<OwnedFd>,
    },
    /// `FDSTOREREMOVE=1` with `FDNAME=…`
    Forget {
        /// Whose sockets.
        name: String,
    },
}

/// The socket they send to.
#[derive(Debug)]
pub(super) struct NotifySocket(UnixDatagram);

impl NotifySocket {
    /// Binds it, replacing what a supervisor before left. Its directory is for its owner alone.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        set_socket_passcred(&socket, true)?;
        Ok(Self(socket))
    }

    /// The next message.
    pub(super) async fn receive(&self) -> io::Result<Notice> {
        self.0.async_io(Interest::READABLE, || receive(&self.0)).await
    }
}

fn receive(socket: &UnixDatagram) -> io::Result<Notice> {
    let mut text = [0; MAX_MESSAGE];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)?;
    let (mut pid, mut fds) = (0, Vec::new());
    for message in ancillary.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(rights) => fds.extend(rights),
            RecvAncillaryMessage::ScmCredentials(credentials) => pid = credentials.pid.as_raw_nonzero().get(),
            _ => {}
        }
    }
    let text = text.get(..got.bytes.min(MAX_MESSAGE)).unwrap_or_default();
    Ok(Notice { pid, said: parse(&String::from_utf8_lossy(text), fds) })
}

/// Lines of `KEY=value`; unknown ones are for other supervisors.
fn parse(text: &str, fds: Vec<OwnedFd>) -> Vec<Said> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let name = || value("FDNAME").unwrap_or("stored").to_owned();
    let mut said = Vec::new();
    if value("FDSTORE") == Some("1") {
        said.push(Said::Keep { name: name(), fds });
    }
    if value("FDSTOREREMOVE") == Some("1") {
        said.push(Said::Forget { name: name() });
    }
    if value("WATCHDOG") == Some("1") {
        said.push(Said::Alive);
    }
    if let Some(status) = value("STATUS") {
        said.push(Said::Status(status.to_owned()));
    }
    // Last, so that what comes with it is in place when somebody acts on it.
    if value("READY") == Some("1") {
        said.push(Said::Ready);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsFd as _;

    #[tokio::test]
    async fn a_socket_travels_with_its_name_and_its_sender() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify.sock");
        let socket = NotifySocket::bind(&path).unwrap();
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let kept = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let fds = [kept.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&sender, &[IoSlice::new(b"FDSTORE=1\nFDNAME=internal-127.0.0.1-4000\n")], &mut ancillary, SendFlags::empty()).unwrap();
        sender.send(b"STATUS=fine\nREADY=1").unwrap();

        let notice = socket.receive().await.unwrap();
        assert_eq!(notice.pid, i32::try_from(std::process::id()).unwrap());
        let [Said::Keep { name, fds }] = notice.said.as_slice() else { panic!("{notice:?}") };
        assert_eq!(name, "internal-127.0.0.1-4000");
        let back = std::net::TcpListener::from(fds[0].try_clone().unwrap());
        assert_eq!(back.local_addr().unwrap(), kept.local_addr().unwrap());
        let notice = socket.receive().await.unwrap();
        assert!(matches!(notice.said.as_slice(), [Said::Status(_), Said::Ready]), "{notice:?}");
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        assert!(parse("WATCHDOG=trigger\nREADY=0\nnonsense\n\u{0}", Vec::new()).is_empty());
        assert!(matches!(parse("WATCHDOG=1", Vec::new()).as_slice(), [Said::Alive]));
        assert!(matches!(parse("FDSTOREREMOVE=1\nFDNAME=x", Vec::new()).as_slice(), [Said::Forget { name }] if name == "x"));
    }
}
