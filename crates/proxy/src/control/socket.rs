//! The Unix socket the agent asks at: frames of JSON, answered once and in order.
//!
//! One descriptor is set aside for it: when clients have taken all others, the agent can still ask what is going on, and say what is to change.

use crate::control::Control;
use crate::error::ProxyError;
use crate::exhausted::{Rarely, is_exhausted};
use landfall_model::control::{Answer, Ask, MAX_FRAME};
use std::cell::Cell;
use std::fs;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::spawn_local;

/// For a frame to arrive once it has begun.
const FRAME_LIMIT: Duration = Duration::from_secs(10);
/// Between two attempts when there are no descriptors.
const LOOK: Duration = Duration::from_millis(20);
/// Read at once, so that a length alone allocates nothing.
const PIECE: u64 = 64 * 1024;

/// The listening socket.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file we made.
    file: (u64, u64),
    /// Given up when there is no other descriptor for a conversation, and taken again after it.
    spare: Cell<Option<OwnedFd>>,
    refused: Rarely,
}

impl ControlSocket {
    /// Binds `path`, replacing what an earlier proxy left there.
    pub(crate) fn bind(path: &Path) -> Result<Self, ProxyError> {
        let failed = |source| ProxyError::ControlSocket { path: path.display().to_string(), source };
        let (listener, file) = bind(path).map_err(failed)?;
        let spare = Cell::new(Some(listener.as_fd().try_clone_to_owned().map_err(failed)?));
        Ok(Self { listener, path: path.to_owned(), file, spare, refused: Rarely::default() })
    }

    /// True if another proxy answers at this path by now.
    pub(crate) fn is_replaced(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) != self.file)
    }

    /// Answers for ever.
    pub(crate) async fn serve(self: Rc<Self>, control: Rc<Control>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (socket, control) = (Rc::clone(&self), Rc::clone(&control));
                    spawn_local(async move {
                        if let Err(error) = socket.converse(&control, stream).await {
                            tracing::debug!(%error, "a conversation with the agent ended");
                        }
                    });
                }
                Err(error) if is_exhausted(&error) => self.serve_one(&control, &error).await,
                Err(error) => {
                    tracing::debug!(%error, "accept");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Answers one question with the descriptor that was set aside. Workers want it too: it may take several attempts.
    async fn serve_one(&self, control: &Control, error: &io::Error) {
        if let Some(times) = self.refused.again() {
            tracing::error!(%error, times, "there is no descriptor for the agent but the one set aside");
        }
        drop(self.spare.take());
        let accepted = poll_fn(|cx| Poll::Ready(self.listener.poll_accept(cx))).await;
        if let Poll::Ready(Ok((stream, _))) = accepted {
            // Others wait meanwhile, so it may not last.
            let _ = tokio::time::timeout(FRAME_LIMIT, self.converse(control, stream)).await;
        }
        self.spare.set(self.listener.as_fd().try_clone_to_owned().ok());
        tokio::time::sleep(LOOK).await;
    }

    async fn converse(&self, control: &Control, mut stream: UnixStream) -> io::Result<()> {
        let peer = stream.peer_cred()?.uid();
        if peer != 0 && peer != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {peer} may not ask")));
        }
        while let Some(frame) = read_frame(&mut stream).await? {
            let answer = match serde_json::from_slice::<Ask>(&frame) {
                Ok(ask) => control.answer(ask).await,
                Err(error) => Answer::Refused { code: "not-understood".to_owned(), message: error.to_string(), taken: None },
            };
            // The next proxy reads the table from disk after it has taken this path over. One that was written later it does not know: the
            // agent hears nothing from here, and asks there.
            if matches!(answer, Answer::Swapped { .. }) && self.is_replaced() {
                return Err(io::Error::other("another proxy answers by now"));
            }
            let text = serde_json::to_vec(&answer)?;
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            stream.write_all(&length.to_be_bytes()).await?;
            stream.write_all(&text).await?;
        }
        Ok(())
    }
}

/// Binds under another name and renames: nobody can connect before the mode is right, and an old socket is replaced in one step.
fn bind(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&temporary)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
    let file = fs::metadata(&temporary)?;
    fs::rename(&temporary, path)?;
    Ok((listener, (file.dev(), file.ino())))
}

/// The next frame; nothing at a clean end.
async fn read_frame(stream: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u32().await {
        Ok(length) => u64::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MAX_FRAME as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let read = async {
        let mut frame = Vec::with_capacity(length.min(PIECE) as usize);
        stream.take(length).read_to_end(&mut frame).await?;
        if frame.len() as u64 == length { Ok(Some(frame)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    };
    tokio::time::timeout(FRAME_LIMIT, read).await?
}
