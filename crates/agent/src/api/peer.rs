//! Who speaks on the sockets, and which sockets there are.
//!
//! One is in the home, for root and the agent's own user. On a server that has the group [`GROUP`] there is a second one that its members may use, at
//! [`SHARED_SOCKET`]: they deploy without being root, and without reaching into the home. The kernel decides who gets in (modes and groups at connect(2)) and who it
//! is (`SO_PEERCRED`).
//!
//! What `landfall agent-stdio` adds in its first line, the key and the address of the SSH client, is as trustworthy as the user it runs as: who has a shell
//! on the server can write that line too. A key that may only run `agent-stdio` (`restrict,command=` in authorized_keys) cannot: its first line is written
//! before a byte of the client's is carried. So is the scope in it, the apps a key is bound to ([`super::scope`]). Such keys are the user [`DEPLOYER`]'s,
//! who logs in for nothing else, cannot change its own authorized_keys, and is refused without a scope.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use landfall_model::hello::{Caller, MAX_CALLER};
use landfall_model::name::AppName;
use rustix::fs::{Gid, chown};
use rustix::net::{RecvFlags, recv};
use std::collections::{BTreeSet, HashMap};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

/// Members of this group may speak to the agent of a server.
pub const GROUP: &str = "landfall";

/// Whose keys are bound to apps.
pub const DEPLOYER: &str = "landfall-deployer";

/// Where they do.
pub const SHARED_SOCKET: &str = "/run/landfall/agent.sock";

/// Connections of one user that have not said their first word yet. Each user has places of its own: one who fills them keeps nobody else out.
const WAITING: usize = 32;

/// Connections of one user at the same time.
const OPEN: usize = 256;

/// Between two lines in the log about one user who has too many.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long they may take for it.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// The process at the other end, as the kernel knows it, and whom it speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    uid: u32,
    caller: Option<Caller>,
}

impl Peer {
    /// `root (uid 0)`, `deploy (uid 1001, SSH key SHA256:… from 203.0.113.7)`; only the number for a user without an entry.
    pub(crate) fn who(&self) -> String {
        let caller = self.caller.as_ref().map(|caller| format!(", {caller}")).unwrap_or_default();
        match self.user() {
            Some(name) => format!("{name} (uid {}{caller})", self.uid),
            None => format!("uid {}{caller}", self.uid),
        }
    }

    fn user(&self) -> Option<String> {
        let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
        let uid = self.uid.to_string();
        let entry = passwd.lines().find(|l| l.split(':').nth(2) == Some(uid.as_str()))?;
        entry.split(':').next().map(str::to_owned)
    }

    /// The only apps it may ask about; `None` for all of the server.
    pub(crate) fn scope(&self) -> Option<BTreeSet<AppName>> {
        let bound = self.caller.as_ref().and_then(|caller| caller.apps.clone());
        // Whoever speaks for this user without saying for which apps did not come by one of its keys.
        let unbound = || (self.uid != 0 && self.user().is_some_and(|name| name == DEPLOYER)).then(BTreeSet::new);
        bound.or_else(unbound)
    }

    /// Root, or the user the agent runs as.
    pub(crate) fn is_owner(&self) -> bool {
        self.scope().is_none() && (self.uid == 0 || self.uid == rustix::process::geteuid().as_raw())
    }

    /// Whether it may ask about this app.
    pub(crate) fn may(&self, app: &AppName) -> bool {
        self.scope().is_none_or(|apps| apps.contains(app))
    }
}

impl Peer {
    /// The user it runs as.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// From where it speaks.
    pub(crate) fn from(&self) -> String {
        self.caller.as_ref().map_or_else(|| "this machine".to_owned(), Caller::to_string)
    }
}

/// Who may, besides those the modes of a socket keep out.
#[derive(Debug, Clone, Copy)]
enum Admits {
    /// Root and this user.
    User(u32),
    /// Whoever the kernel let connect.
    Group,
}

/// The API's sockets. Connections of users who may not are closed at once.
pub(crate) struct Listener {
    own: u32,
    admitted: mpsc::Receiver<(Connection, Peer)>,
    admit: mpsc::Sender<(Connection, Peer)>,
    places: Arc<Places>,
}

/// A connection, which holds a place of its user for as long as it lives.
pub(crate) struct Connection {
    stream: UnixStream,
    _open: OwnedSemaphorePermit,
}

/// Who has how many places left.
#[derive(Default)]
struct Places(Mutex<HashMap<u32, Share>>);

/// One user's.
struct Share {
    waiting: Arc<Semaphore>,
    open: Arc<Semaphore>,
    told: Option<Instant>,
}

impl Places {
    /// A place for a connection and one for its first word; `None` when the user has none left.
    fn take(&self, uid: u32) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Share { waiting: Arc::new(Semaphore::new(WAITING)), open: Arc::new(Semaphore::new(OPEN)), told: None };
        let share = shares.entry(uid).or_insert_with(new);
        let taken = Arc::clone(&share.open).try_acquire_owned().ok().zip(Arc::clone(&share.waiting).try_acquire_owned().ok());
        if taken.is_none() && share.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            share.told = Some(Instant::now());
            tracing::warn!(uid, open = OPEN, silent = WAITING, "a connection was closed: this user has as many as one user may have");
        }
        taken
    }
}

impl Listener {
    /// Binds the home's socket with mode 600. Must be called inside a runtime.
    pub(crate) fn bind(path: &Path) -> std::io::Result<Self> {
        let (admit, admitted) = mpsc::channel(1);
        let own = rustix::process::geteuid().as_raw();
        let listener = Self { own, admitted, admit, places: Arc::default() };
        listener.listen(socket(path, 0o600)?, Admits::User(own));
        Ok(listener)
    }

    /// Binds a second socket that a group may use too, in a directory of its own.
    pub(crate) fn share(&self, path: &Path, group: Gid) -> std::io::Result<()> {
        let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let shared = socket(path, 0o600)?;
        for (part, mode) in [(path, 0o660), (dir, 0o750)] {
            chown(part, None, Some(group))?;
            std::fs::set_permissions(part, Permissions::from_mode(mode))?;
        }
        self.listen(shared, Admits::Group);
        Ok(())
    }

    fn listen(&self, socket: UnixListener, admits: Admits) {
        let (admit, places) = (self.admit.clone(), Arc::clone(&self.places));
        tokio::spawn(async move {
            loop {
                let (stream, peer) = accept(&socket, admits).await;
                let Some((open, waiting)) = places.take(peer.uid) else { continue };
                let admit = admit.clone();
                tokio::spawn(async move {
                    // One that says nothing, or something broken, is closed: there is no request to answer.
                    let greeted = timeout(FIRST_WORD, greet(stream, peer)).await;
                    drop(waiting);
                    if let Ok(Ok((stream, peer))) = greeted {
                        let _ = admit.send((Connection { stream, _open: open }, peer)).await;
                    }
                });
            }
        });
    }
}

/// Binds a socket, replacing one that a dead agent left (the home's lock is held, so nobody else listens there).
fn socket(path: &Path, mode: u32) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let socket = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(socket)
}

/// The next connection of somebody who may.
async fn accept(socket: &UnixListener, admits: Admits) -> (UnixStream, Peer) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => match (stream.peer_cred().map(|cred| cred.uid()), admits) {
                (Ok(uid), Admits::Group) => return (stream, Peer { uid, caller: None }),
                (Ok(uid), Admits::User(own)) if uid == 0 || uid == own => return (stream, Peer { uid, caller: None }),
                (Ok(uid), Admits::User(_)) => tracing::warn!(uid, "a user who may not was turned away"),
                (Err(error), _) => tracing::warn!(%error, "a peer without credentials was turned away"),
            },
            // Out of descriptors: those that work now will end.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Takes the line of a caller off, when there is one.
async fn greet(mut stream: UnixStream, mut peer: Peer) -> std::io::Result<(UnixStream, Peer)> {
    let mut first = [0];
    stream.async_io(Interest::READABLE, || Ok(recv(&stream, &mut first, RecvFlags::PEEK)?)).await?;
    // Methods of HTTP are in capitals.
    if !first[0].is_ascii_lowercase() {
        return Ok((stream, peer));
    }
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => break,
            _ if line.len() > MAX_CALLER => return Err(ErrorKind::InvalidData.into()),
            byte => line.push(byte),
        }
    }
    let caller = std::str::from_utf8(&line).ok().and_then(Caller::parse);
    peer.caller = Some(caller.ok_or(ErrorKind::InvalidData)?);
    Ok((stream, peer))
}

/// The group that may use the shared socket, if this server has it. The agent of a user who is not root shares nothing.
pub(crate) fn group() -> Option<Gid> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let mut entries = groups.lines().map(|line| line.split(':'));
    entries.find_map(|mut entry| entry.next().filter(|name| *name == GROUP).and_then(|_| entry.nth(1)?.parse().ok())).map(Gid::from_raw)
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        match self.admitted.recv().await {
            Some(admitted) => admitted,
            // Cannot be: we hold a sender.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        Ok(Peer { uid: self.own, caller: None })
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::serve::Listener as _;
    use std::os::unix::process::CommandExt as _;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn who_asks_is_the_kernels_word_and_then_the_callers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut listener = Listener::bind(&path).unwrap();
        let mut said = Vec::new();
        for words in [
            "GET / HTTP/1.1\r\n",
            "landfall-caller {\"key\":\"SHA256:k\",\"from\":\"203.0.113.7\"}\nGET / HTTP/1.1\r\n",
            "landfall-caller {}\nG",
        ] {
            let mut client = UnixStream::connect(&path).await.unwrap();
            client.write_all(words.as_bytes()).await.unwrap();
            let (mut stream, peer) = listener.accept().await;
            said.push(peer.who());
            assert_eq!(stream.read_u8().await.unwrap(), b'G');
        }
        assert!(!said[0].contains("SSH"), "{said:?}");
        assert!(said[1].contains("SSH key SHA256:k from 203.0.113.7"), "{said:?}");
        assert!(said[2].contains("SSH)"), "{said:?}");
    }

    #[tokio::test]
    async fn broken_words_and_none_keep_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut listener = Listener::bind(&path).unwrap();
        let silent = UnixStream::connect(&path).await.unwrap();
        for words in [b"landfall-caller nonsense\n".to_vec(), vec![b'x'; MAX_CALLER + 2], b"landfall-caller \xff\n".to_vec()] {
            let mut client = UnixStream::connect(&path).await.unwrap();
            client.write_all(&words).await.unwrap();
            assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)), "it is closed");
        }
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"GET").await.unwrap();
        listener.accept().await;
        drop(silent);
    }

    #[test]
    fn one_user_takes_no_places_of_another() {
        let places = Places::default();
        let silent: Vec<_> = (0..WAITING).map(|_| places.take(1001).unwrap()).collect();
        assert!(places.take(1001).is_none(), "as many as one may have");
        let root = places.take(0);
        assert!(root.is_some(), "root does not wait for them");
        // Those that have spoken keep only their place among the open ones.
        let open: Vec<_> = silent.into_iter().map(|(open, _)| open).collect();
        let more: Vec<_> = (open.len()..OPEN).map(|_| places.take(1001).unwrap().0).collect();
        assert!(places.take(1001).is_none());
        drop((open, more));
        assert!(places.take(1001).is_some(), "what has ended is given back");
    }

    #[tokio::test]
    async fn more_silent_connections_than_a_user_may_have_are_closed_and_spoken_ones_are_served() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut listener = Listener::bind(&path).unwrap();
        let mut silent = Vec::new();
        for _ in 0..WAITING {
            silent.push(UnixStream::connect(&path).await.unwrap());
        }
        let mut over = UnixStream::connect(&path).await.unwrap();
        assert!(matches!(over.read(&mut [0]).await, Ok(0) | Err(_)), "it is closed");
        silent.pop().unwrap().write_all(b"GET").await.unwrap();
        listener.accept().await;
    }

    /// Needs root: it becomes somebody else.
    #[tokio::test]
    async fn a_group_gets_in_by_the_shared_socket_and_nobody_else_does() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root: it becomes somebody else");
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let (own, shared) = (dir.path().join("s"), dir.path().join("shared/s"));
        let mut listener = Listener::bind(&own).unwrap();
        listener.share(&shared, Gid::from_raw(12_345)).unwrap();
        let connect = |path: &Path, gid: u32| {
            let script = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.send(b'GET')";
            let mut python = std::process::Command::new("python3");
            python.args(["-c", script]).arg(path).uid(23_456).gid(gid).stderr(std::process::Stdio::null());
            tokio::task::spawn_blocking(move || python.status().unwrap().success())
        };
        assert!(!connect(&own, 12_345).await.unwrap() && !connect(&shared, 54_321).await.unwrap());
        let connected = connect(&shared, 12_345);
        assert_eq!(listener.accept().await.1.who(), "uid 23456");
        assert!(connected.await.unwrap());
    }
}
