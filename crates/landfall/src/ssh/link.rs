//! One connection to a server, shared by everybody who speaks to its agent, and made again when it is cut.
//!
//! The first attempt fails at once, so that a wrong address is told at once. A link that worked and was cut is tried again with growing pauses, because what it was used for
//! goes on at the server meanwhile. An `ssh` that is no longer needed dies with its link.

use super::command::{REMOTE, SshProgram};
use super::error::{SshError, Why};
use super::key::HostKey;
use super::{CONNECTION_WINDOW, MAX_STREAMS, PING, STREAM_WINDOW};
use crate::client::ClientError;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use landfall_model::api::{Failure, VERSION};
use landfall_model::hello::{Hello, MAX_HELLO, PROTOCOL};
use landfall_model::server::ServerAddress;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long a link that was cut is tried again.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Pauses between attempts grow from this
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a server may take to its hello when `ssh` can ask nobody anything,
const HELLO_LIMIT: Duration = Duration::from_secs(30);
/// and when somebody may be typing a passphrase.
const TYPING_LIMIT: Duration = Duration::from_secs(180);
/// How long an `ssh` that has closed its output may take to end. A multiplexing master keeps standard error open for longer.
const END_LIMIT: Duration = Duration::from_millis(500);
/// What is kept of what `ssh` writes.
const MAX_SAID: usize = 16 * 1024;
/// Longest reason for refusing a stream.
const MAX_REASON: usize = 64 * 1024;

/// How the user hears that a link is being made again.
#[derive(Clone)]
pub struct Notice(Arc<dyn Fn(&str) + Send + Sync>);

impl Notice {
    /// Told by this.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice")
    }
}

/// The way to one server.
#[derive(Debug)]
pub struct Link {
    ssh: SshProgram,
    server: ServerAddress,
    notice: Notice,
    /// Held while connecting, so that there is one `ssh` however many wait.
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: Option<Live>,
    /// It worked once: what is wrong now may pass.
    reached: bool,
}

#[derive(Debug)]
struct Live {
    sender: SendRequest<Empty<Bytes>>,
    _child: Child,
}

/// Standard error of `ssh`, as far as it is kept.
struct Heard {
    text: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Link {
    /// Does not connect yet.
    pub fn new(ssh: SshProgram, server: ServerAddress, notice: Notice) -> Self {
        Self { ssh, server, notice, state: tokio::sync::Mutex::default() }
    }

    /// Where it leads.
    pub fn server(&self) -> &ServerAddress {
        &self.server
    }

    /// A new connection to the agent.
    pub async fn open(&self) -> Result<TokioIo<Upgraded>, ClientError> {
        let since = Instant::now();
        loop {
            match self.stream().await {
                Err(ClientError::Cut(_)) if since.elapsed() < PATIENCE => sleep(FIRST_PAUSE).await,
                done => return done,
            }
        }
    }

    async fn stream(&self) -> Result<TokioIo<Upgraded>, ClientError> {
        let mut sender = self.sender().await?;
        let request = Request::connect("agent:1").body(Empty::new()).map_err(ClientError::cut)?;
        sender.ready().await.map_err(ClientError::cut)?;
        let response = sender.send_request(request).await.map_err(ClientError::cut)?;
        if response.status() == StatusCode::OK {
            return hyper::upgrade::on(response).await.map(TokioIo::new).map_err(ClientError::cut);
        }
        let status = response.status();
        let bytes = Limited::new(response.into_body(), MAX_REASON).collect().await.map_err(ClientError::cut)?.to_bytes();
        match serde_json::from_slice::<Failure>(&bytes) {
            // The agent went away between its socket and its first byte: it is about to come back.
            Ok(failure) if failure.code == "agent-cut-off" => Err(ClientError::cut(failure.message)),
            // It says "here" of a machine that is not this one.
            Ok(failure) => {
                Err(ClientError::Refused(Box::new(Failure { message: format!("on {}: {}", self.server, failure.message), ..failure })))
            }
            Err(_) => Err(ClientError::Status { path: "its own socket".to_owned(), status }),
        }
    }

    /// The link that is there, or a new one.
    async fn sender(&self) -> Result<SendRequest<Empty<Bytes>>, ClientError> {
        let mut state = self.state.lock().await;
        if let Some(live) = state.live.as_ref().filter(|live| !live.sender.is_closed()) {
            return Ok(live.sender.clone());
        }
        state.live = None;
        let (since, mut pause) = (Instant::now(), FIRST_PAUSE);
        if state.reached {
            (self.notice.0)(&format!("the connection to {} was cut; connecting again, what was begun there goes on", self.server));
        }
        loop {
            match self.connect().await {
                Ok(live) => {
                    if state.reached {
                        (self.notice.0)(&format!("connected to {} again", self.server));
                    }
                    let sender = live.sender.clone();
                    *state = State { live: Some(live), reached: true };
                    return Ok(sender);
                }
                Err(error) if state.reached && error.is_passing() && since.elapsed() < PATIENCE => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) if error.wants_key() => {
                    return Err(error.with_key(HostKey::ask(&self.ssh, &self.server).await).into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Runs `ssh` and waits for the hello.
    async fn connect(&self) -> Result<Live, SshError> {
        let failed = |why| SshError::new(&self.server, why);
        let mut child = self.ssh.command(&self.server, &REMOTE).spawn().map_err(|e| failed(Why::NoProgram(e)))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(failed(Why::NoProgram(std::io::ErrorKind::BrokenPipe.into())));
        };
        let heard = hear(stderr);
        let mut stdout = BufReader::new(stdout);
        let limit = if self.ssh.is_interactive() { TYPING_LIMIT } else { HELLO_LIMIT };
        let hello = match timeout(limit, hello(&mut stdout)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(Unheard::End)) => {
                let status = timeout(END_LIMIT, child.wait()).await.ok().and_then(Result::ok);
                return Err(SshError::ended(&self.server, status, &heard.text().await));
            }
            Ok(Err(Unheard::Noise(bytes))) => return Err(SshError::noise(&self.server, &bytes)),
            Err(_) => return Err(failed(Why::Slow(limit.as_secs()))),
        };
        if (hello.protocol, hello.versions.api) != (PROTOCOL, VERSION) {
            return Err(failed(Why::Version(hello)));
        }
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(MAX_STREAMS as usize)
            .handshake(TokioIo::new(tokio::io::join(stdout, stdin)));
        let (sender, connection) = match handshake.await {
            Ok(made) => made,
            Err(_) => return Err(SshError::ended(&self.server, None, &heard.text().await)),
        };
        // Its error shows in the streams it carried.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Live { sender, _child: child })
    }
}

/// No hello came.
enum Unheard {
    End,
    Noise(Vec<u8>),
}

/// Reads a hello and nothing after it.
async fn hello(from: &mut (impl AsyncRead + Unpin)) -> Result<Hello, Unheard> {
    let mut bytes = Vec::with_capacity(MAX_HELLO);
    loop {
        match from.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return Err(Unheard::End),
        }
        match Hello::decode(&bytes) {
            Ok(Some((hello, _))) => return Ok(hello),
            Ok(None) => {}
            Err(_) => {
                // The rest of the line tells more than its first letter.
                let mut line = [0; 200];
                let more = timeout(END_LIMIT, from.read(&mut line)).await.ok().and_then(Result::ok).unwrap_or_default();
                bytes.extend(line.iter().take(more));
                return Err(Unheard::Noise(bytes));
            }
        }
    }
}

/// Keeps the end of what `ssh` writes: it has nobody else to tell.
fn hear(mut stderr: ChildStderr) -> Heard {
    let text = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&text);
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(buffer.iter().take(read));
            let surplus = kept.len().saturating_sub(MAX_SAID);
            kept.drain(..surplus);
        }
    });
    Heard { text, reading }
}

impl Heard {
    /// All of it, once `ssh` has ended.
    async fn text(self) -> String {
        let _ = timeout(END_LIMIT, self.reading).await;
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
