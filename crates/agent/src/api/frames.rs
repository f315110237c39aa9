//! Frames that a client of `exec` sends. Nothing of this crate is used here: the fuzz target `exec_frames` reads this file too.

use landfall_model::api::ExecFrame;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Largest frame.
const MAX_FRAME: usize = 64 * 1024;

/// Standard input and terminal sizes from the client.
pub(super) async fn read_frames(
    mut reader: impl AsyncRead + Unpin,
    stdin: Box<dyn AsyncWrite + Send + Unpin>,
    resize: mpsc::Sender<(u16, u16)>,
) {
    let mut stdin = Some(stdin);
    while let Ok(kind) = reader.read_u8().await {
        let Ok(length) = reader.read_u32().await.map(|l| l as usize) else { return };
        if length > MAX_FRAME {
            return;
        }
        let mut bytes = vec![0; length];
        if reader.read_exact(&mut bytes).await.is_err() {
            return;
        }
        match (ExecFrame::try_from(kind), &mut stdin) {
            (Ok(ExecFrame::Stdin), open) if bytes.is_empty() => {
                if let Some(mut stdin) = open.take() {
                    let _ = stdin.shutdown().await;
                }
            }
            (Ok(ExecFrame::Stdin), Some(stdin)) => {
                let _ = stdin.write_all(&bytes).await;
                let _ = stdin.flush().await;
            }
            (Ok(ExecFrame::Resize), _) if bytes.len() == 4 => {
                let _ = resize.send((u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]))).await;
            }
            _ => {}
        }
    }
}
