//! A command in a replica: the connection is upgraded and carries [`ExecFrame`]s both ways.

use super::{Client, ClientError, accept, body, request};
use bytes::{Buf as _, BytesMut};
use http::{Method, header};
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use landfall_model::api::{ExecFrame, ExecRequest, Failure};
use landfall_model::name::AppName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// Longest payload of a frame either side may send.
const MAX_FRAME: usize = 1024 * 1024;

/// Bytes before the payload of a frame: its kind and its length.
const HEAD: usize = 5;

/// What the agent says.
#[derive(Debug)]
pub enum SessionOutput {
    /// Bytes of standard output.
    Stdout(Vec<u8>),
    /// Bytes of standard error.
    Stderr(Vec<u8>),
    /// The end.
    Exit(i32),
}

/// From the command.
pub struct Session {
    reader: ReadHalf<TokioIo<Upgraded>>,
    /// What came and is not handed on yet: whoever waits for the next piece may stop waiting in the middle of one.
    buffer: BytesMut,
}

/// To the command.
pub struct SessionInput {
    writer: WriteHalf<TokioIo<Upgraded>>,
}

impl Client {
    /// Begins a command: `verb` is `exec` (in a running replica) or `run` (in a new one). Never asked twice.
    pub async fn session(&self, app: &AppName, verb: &str, asked: &ExecRequest) -> Result<(Session, SessionInput), ClientError> {
        let path = format!("/v1/apps/{app}/{verb}");
        let mut sender = self.connect().await?;
        let request = request(Method::POST, &path)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "landfall-exec")
            .body(Full::new(body(asked)?))
            .map_err(ClientError::cut)?;
        let response = accept(sender.send_request(request).await.map_err(ClientError::cut)?, &path).await?;
        let upgraded = hyper::upgrade::on(response).await.map_err(ClientError::cut)?;
        let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
        Ok((Session { reader, buffer: BytesMut::new() }, SessionInput { writer }))
    }
}

impl Session {
    /// The next piece. The end is always an `Exit`; a connection that ends without is an error. Nothing is lost when it is not waited for to the end.
    pub async fn next(&mut self) -> Result<SessionOutput, ClientError> {
        loop {
            let Some((kind, payload)) = self.frame()? else {
                if self.reader.read_buf(&mut self.buffer).await.map_err(ClientError::cut)? == 0 {
                    return Err(ClientError::cut("the session ended inside a frame"));
                }
                continue;
            };
            match ExecFrame::try_from(kind) {
                Ok(ExecFrame::Stdout) => return Ok(SessionOutput::Stdout(payload)),
                Ok(ExecFrame::Stderr) => return Ok(SessionOutput::Stderr(payload)),
                Ok(ExecFrame::Exit) => {
                    let code = payload.first_chunk::<4>().ok_or_else(|| ClientError::cut("a frame of the session is too short"))?;
                    return Ok(SessionOutput::Exit(i32::from_be_bytes(*code)));
                }
                Ok(ExecFrame::Failed) => return Err(failed(&payload)),
                // Frames this version does not know are for a later one.
                Ok(ExecFrame::Stdin | ExecFrame::Resize) | Err(_) => {}
            }
        }
    }
}

impl Session {
    /// Takes a frame off the buffer when it is there wholly.
    fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, ClientError> {
        let Some((&[kind, a, b, c, d], rest)) = self.buffer.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MAX_FRAME {
            return Err(ClientError::cut("a frame of the session is too long"));
        }
        let Some(payload) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.buffer.advance(HEAD + length);
        Ok(Some((kind, payload)))
    }
}

fn failed(payload: &[u8]) -> ClientError {
    match serde_json::from_slice::<Failure>(payload) {
        Ok(failure) => ClientError::Refused(Box::new(failure)),
        Err(source) => ClientError::Answer { path: "exec".to_owned(), source },
    }
}

impl SessionInput {
    /// Bytes for its standard input; none are its end.
    pub async fn stdin(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.frame(ExecFrame::Stdin, bytes).await
    }

    /// The size of the terminal.
    pub async fn resize(&mut self, columns: u16, rows: u16) -> std::io::Result<()> {
        let [c, d] = columns.to_be_bytes();
        let [r, s] = rows.to_be_bytes();
        self.frame(ExecFrame::Resize, &[c, d, r, s]).await
    }

    async fn frame(&mut self, kind: ExecFrame, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(std::io::Error::other)?;
        let mut frame = Vec::with_capacity(5 + payload.len());
        frame.push(kind as u8);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(payload);
        self.writer.write_all(&frame).await?;
        self.writer.flush().await
    }
}
