//! Who speaks on the socket.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// The process at the other end, as the kernel knows it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    uid: u32,
}

impl Peer {
    /// `root (uid 0)`; only the number for a user without an entry.
    pub(crate) fn who(&self) -> String {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let uid = self.uid.to_string();
        let entry = passwd.lines().find(|l| l.split(':').nth(2) == Some(uid.as_str()));
        match entry.and_then(|l| l.split(':').next()) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        }
    }
}

impl Peer {
    /// From where it speaks.
    pub(crate) fn from(&self) -> String {
        "this machine".to_owned()
    }
}

/// The API's socket. Connections of users who may not are closed at once.
pub(crate) struct Listener {
    socket: UnixListener,
    own: u32,
}

impl Listener {
    /// Binds the socket with mode 600, replacing one that a dead agent left (the home's lock is held, so nobody else listens there).
    pub(crate) fn bind(path: &Path) -> std::io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { socket, own: rustix::process::geteuid().as_raw() })
    }
}

impl axum::serve::Listener for Listener {
    type Io = UnixStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (UnixStream, Peer) {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(cred) if cred.uid() == 0 || cred.uid() == self.own => return (stream, Peer { uid: cred.uid() }),
                    Ok(cred) => tracing::warn!(uid = cred.uid(), "a user who may not was turned away"),
                    Err(e) => tracing::warn!(error = %e, "a peer without credentials was turned away"),
                },
                // Out of descriptors: those that work now will end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        Ok(Peer { uid: self.own })
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}
