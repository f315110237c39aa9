//! Commands inside a container.
//!
//! The connection that carries one is taken out of HTTP after the engine's answer (its "attach" protocol), which is done here by hand, over
//! the socket: what comes from a terminal is handed on byte by byte, closing the input alone is possible, and nothing waits for a whole
//! frame. Without a terminal the engine sends frames of an eight-byte header (stream, three zeroes, big-endian length) and bytes.

use crate::docker::engine::{CALL, Engine};
use crate::{Exit, RuntimeError, Session, SessionControl};
use async_trait::async_trait;
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use landfall_model::name::ReplicaId;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::UnixStream;

/// Longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes held between the engine and a slow reader.
const PIPE: usize = 64 * 1024;
/// How often a command is asked for its end: first, and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

struct Control {
    engine: Arc<Engine>,
    exec: String,
    tty: bool,
}

/// Starts a command in the container `name`.
pub(crate) async fn start(engine: &Arc<Engine>, name: &str, id: &ReplicaId, argv: &[String], tty: bool) -> Result<Session, RuntimeError> {
    let client = engine.client().await?;
    let doing = format!("run a command in `{id}`");
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(tty),
        cmd: Some(argv.to_vec()),
        ..ExecConfig::default()
    };
    let made = engine.look(&doing, client.create_exec(name, config)).await?;
    let exec = made.ok_or_else(|| RuntimeError::NoReplica(id.clone()))?.id;
    let version = client.client_version();
    let path = format!("/v{}.{}/exec/{exec}/start", version.major_version, version.minor_version);
    let attached = tokio::time::timeout(CALL, attach(engine, &path, tty)).await;
    let (head, stream) = attached
        .map_err(|_| RuntimeError::TimedOut { doing: doing.clone(), seconds: CALL.as_secs() })?
        .map_err(|e| RuntimeError::failed(&doing, e))?;
    let (read, write) = stream.into_split();
    let read = io::Cursor::new(head).chain(read);
    let control = Box::new(Control { engine: Arc::clone(engine), exec, tty });
    if tty {
        return Ok(Session { stdin: Box::new(write), stdout: Box::new(read), stderr: Box::new(tokio::io::empty()), control });
    }
    let (to_out, stdout) = tokio::io::duplex(PIPE);
    let (to_err, stderr) = tokio::io::duplex(PIPE);
    tokio::spawn(async move {
        // Its end is the end of both streams, whatever the reason; the command's own end is asked for separately.
        let _ = separate(read, to_out, to_err).await;
    });
    Ok(Session { stdin: Box::new(write), stdout: Box::new(stdout), stderr: Box::new(stderr), control })
}

/// Asks the engine to hand over the connection. Answers what it sent beyond its head.
async fn attach(engine: &Engine, path: &str, tty: bool) -> io::Result<(Vec<u8>, UnixStream)> {
    let mut stream = UnixStream::connect(engine.socket()).await?;
    let body = format!(r#"{{"Detach":false,"Tty":{tty}}}"#);
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = answer.split_off(end + 4);
            return match code(&answer) {
                Some(101 | 200) => Ok((rest, stream)),
                _ => Err(io::Error::other(refusal(&rest))),
            };
        }
        if answer.len() > MAX_HEAD || stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the engine's answer has no head"));
        }
    }
}

fn code(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The message of an error's body, as far as it came with the head.
fn refusal(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json = text
        .find('{')
        .and_then(|i| text.get(i..))
        .and_then(|t| serde_json::Deserializer::from_str(t).into_iter::<serde_json::Value>().next()?.ok());
    json.and_then(|v| Some(v.get("message")?.as_str()?.to_owned())).unwrap_or_else(|| "the engine refuses".to_owned())
}

/// Carries frames to the two streams until either side ends. A stream that nobody reads any more is read to its end and thrown away.
async fn separate(mut from: impl AsyncRead + Unpin, mut out: DuplexStream, mut err: DuplexStream) -> io::Result<()> {
    let mut block = vec![0; 32 * 1024];
    loop {
        let mut header = [0; 8];
        from.read_exact(&mut header).await?;
        let [stream, _, _, _, length @ ..] = header;
        let mut left = u64::from(u32::from_be_bytes(length));
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            let n = from.read(block.get_mut(..room).unwrap_or_default()).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= n as u64;
            let to = if stream == 2 { &mut err } else { &mut out };
            let _ = to.write_all(block.get(..n).unwrap_or_default()).await;
        }
    }
}

#[async_trait]
impl SessionControl for Control {
    async fn resize(&self, columns: u16, rows: u16) -> Result<(), RuntimeError> {
        if !self.tty {
            return Ok(());
        }
        let size = ResizeExecOptionsBuilder::new().h(i32::from(rows)).w(i32::from(columns)).build();
        let client = self.engine.client().await?;
        self.engine.ask("tell a terminal its size", CALL, client.resize_exec(&self.exec, size)).await
    }

    async fn wait(&self) -> Result<Exit, RuntimeError> {
        let client = self.engine.client().await?;
        let (mut pause, longest) = LOOKS;
        loop {
            let found = self.engine.look("look at a command", client.inspect_exec(&self.exec)).await?;
            // The engine forgets commands of a container that is gone; they were killed with it.
            let Some(found) = found else { return Ok(Exit { code: 128 + 9, out_of_memory: false }) };
            if found.running == Some(false)
                && let Some(code) = found.exit_code
            {
                return Ok(Exit { code: i32::try_from(code).unwrap_or(1), out_of_memory: false });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn kill(&self) {
        let Ok(client) = self.engine.client().await else { return };
        let (mut pause, longest) = LOOKS;
        let until = Instant::now() + CALL;
        // The engine answers before the command runs; until then it has neither a process nor a code.
        while Instant::now() < until {
            let Ok(Some(found)) = self.engine.look("look at a command", client.inspect_exec(&self.exec)).await else { return };
            if found.exit_code.is_some() {
                return;
            }
            let pid = found
                .pid
                .filter(|_| found.running == Some(true))
                .and_then(|p| i32::try_from(p).ok())
                .and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // The engine has no call for this. It works where the agent sees the engine's processes, as root on the same machine.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text);
        bytes
    }

    #[tokio::test]
    async fn frames_are_separated_wherever_they_are_cut() {
        let bytes = [frame(1, b"out"), frame(2, b"err"), frame(1, b""), frame(1, b"more")].concat();
        let (mut out, to_out) = tokio::io::duplex(64);
        let (mut err, to_err) = tokio::io::duplex(64);
        let _ = separate(bytes.as_slice(), to_out, to_err).await;
        let (mut seen_out, mut seen_err) = (String::new(), String::new());
        out.read_to_string(&mut seen_out).await.unwrap();
        err.read_to_string(&mut seen_err).await.unwrap();
        assert_eq!((seen_out.as_str(), seen_err.as_str()), ("outmore", "err"));
    }

    #[test]
    fn a_refusal_is_told_in_the_engines_words() {
        assert_eq!(code(b"HTTP/1.1 409 Conflict\r\n\r\n"), Some(409));
        assert_eq!(refusal(b"2a\r\n{\"message\":\"Container is paused\"}\r\n0\r\n"), "Container is paused");
        assert_eq!(refusal(b""), "the engine refuses");
    }
}
