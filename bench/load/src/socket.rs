//! WebSockets kept open: a text a second, the same text back, and what the close says.

use crate::dial::{Connection, Protocol};
use crate::fault::{Fault, FaultKind, Stage};
use crate::load::Run;
use crate::record::{Part, add_version, version_of};
use crate::release::Lifetime;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The longest message that is read, bytes.
const MESSAGE_LIMIT: usize = 1 << 20;

/// Between two attempts to open one.
const PAUSE: Duration = Duration::from_millis(100);

/// "No status": a close frame without a code (RFC 6455, 7.4.1).
const NO_STATUS: u16 = 1005;

/// "Abnormal": no close frame.
const ABNORMAL: u16 = 1006;

/// A socket under way.
struct Session<'a> {
    run: &'a Run,
    socket: WebSocketStream<Connection>,
    version: String,
    opened: Instant,
    /// Sent and not back yet, oldest first.
    awaited: VecDeque<(String, Instant)>,
    name: String,
    sent: u64,
}

/// How a session ended.
enum End {
    /// The load stops.
    Stopped,
    /// The server closed with a close frame.
    Closed(u16),
    /// It broke.
    Broken(Fault),
}

/// Keeps socket `index` open until the load stops.
pub(crate) async fn keep_open(run: Rc<Run>, index: u32) {
    for attempt in 0u64.. {
        if run.is_stopped() {
            return;
        }
        let opened = tokio::select! {
            () = run.stopped() => return,
            opened = tokio::time::timeout(run.target.deadline, open(&run)) => opened,
        };
        match opened.unwrap_or_else(|_| Err(Fault::timeout("opened WebSocket"))) {
            Ok((socket, version)) => {
                run.record.count(|r| {
                    r.sockets.opened += 1;
                    r.sockets.open += 1;
                    add_version(&mut r.sockets.versions, &version);
                });
                let name = format!("load {index}.{attempt}");
                let awaited = VecDeque::new();
                let session = Session { run: &run, socket, version, opened: Instant::now(), awaited, name, sent: 0 };
                if session.live().await {
                    return;
                }
            }
            Err(fault) => run.record.failed(Part::Sockets, fault),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(run: &Run) -> Result<(WebSocketStream<Connection>, String), Fault> {
    let path = &run.target.sockets.path;
    let scheme = if run.dial.scheme() == "https" { "wss" } else { "ws" };
    let url = format!("{scheme}://{}{path}", run.target.host);
    let request = url.into_client_request().map_err(|e| Fault::new(FaultKind::Protocol, e))?;
    let connection = run.dial.connect(Protocol::H1).await?;
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_LIMIT));
    match tokio_tungstenite::client_async_with_config(request, connection, Some(config)).await {
        Ok((socket, answer)) => Ok((socket, version_of(answer.headers()))),
        Err(Error::Http(answer)) => Err(Fault::status(answer.status(), path)),
        Err(e) => Err(of_open(&e)),
    }
}

fn of_open(error: &Error) -> Fault {
    match error {
        Error::Protocol(ProtocolError::HandshakeIncomplete) => Fault::new(FaultKind::Closed, error),
        _ => Fault::of(Stage::Head, error),
    }
}

impl Session<'_> {
    /// Lives until the socket ends or the load stops; true for the latter.
    async fn live(mut self) -> bool {
        let end = self.converse().await;
        let closed = Instant::now();
        let record = &self.run.record;
        let (code, fault) = match end {
            End::Stopped => {
                self.say_goodbye().await;
                return true;
            }
            End::Closed(code) => (Some(code), polite(code)),
            End::Broken(fault) => ((fault.kind == FaultKind::WsAbnormalClose).then_some(ABNORMAL), Some(fault)),
        };
        record.count(|r| {
            r.sockets.open -= 1;
            if let Some(code) = code {
                *r.sockets.closes.entry(code).or_default() += 1;
            }
        });
        match fault {
            Some(fault) => record.failed(Part::Sockets, fault),
            None => {
                let life = Lifetime { version: &self.version, opened: self.opened, closed };
                record.judge_end(Part::Sockets, FaultKind::WsEarlyClose, life);
            }
        }
        false
    }

    async fn converse(&mut self) -> End {
        let mut clock = tokio::time::interval(self.run.target.sockets.every);
        loop {
            let progress = tokio::select! {
                () = self.run.stopped() => return End::Stopped,
                _ = clock.tick() => self.send().await,
                message = self.socket.next() => self.receive(message),
            };
            if let Err(end) = progress {
                return end;
            }
        }
    }

    async fn send(&mut self) -> Result<(), End> {
        let deadline = self.run.target.deadline;
        if self.awaited.front().is_some_and(|(_, since)| since.elapsed() > deadline) {
            return Err(End::Broken(Fault::new(FaultKind::WsNoEcho, format_args!("no echo on version {}", self.version))));
        }
        let text = format!("{}.{}", self.name, self.sent);
        self.sent += 1;
        self.awaited.push_back((text.clone(), Instant::now()));
        match tokio::time::timeout(deadline, self.socket.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            // The close that explains this is still to be read.
            Ok(Err(Error::Protocol(_) | Error::ConnectionClosed | Error::AlreadyClosed)) => Ok(()),
            Ok(Err(e)) => Err(End::Broken(broken(&e))),
            Err(_) => Err(End::Broken(Fault::timeout("room to send on a WebSocket"))),
        }
    }

    fn receive(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(text))) if text.starts_with("load ") => self.echo(&text),
            Some(Ok(Message::Close(frame))) => Err(End::Closed(frame.map_or(NO_STATUS, |f| f.code.into()))),
            Some(Ok(_)) => Ok(()),
            Some(Err(e)) => Err(End::Broken(broken(&e))),
            None => Err(End::Broken(Fault::new(FaultKind::WsAbnormalClose, "ended without a close frame"))),
        }
    }

    fn echo(&mut self, text: &str) -> Result<(), End> {
        match self.awaited.pop_front() {
            Some((expected, _)) if expected == text => {
                self.run.record.count(|r| r.sockets.echoes += 1);
                Ok(())
            }
            other => {
                let expected = other.map_or("nothing".into(), |(expected, _)| expected);
                Err(End::Broken(Fault::new(FaultKind::WsWrongEcho, format_args!("{text:?} instead of {expected:?}"))))
            }
        }
    }

    /// Closes as a browser does that leaves the page.
    async fn say_goodbye(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "the load stops".into() };
        let goodbye = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // Nothing is measured any more.
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}

/// No fault for the codes that say "gone on purpose".
fn polite(code: u16) -> Option<Fault> {
    (!matches!(code, 1000 | 1001)).then(|| Fault::new(FaultKind::WsAbnormalClose, format_args!("closed with code {code}")))
}

fn broken(error: &Error) -> Fault {
    Fault::new(FaultKind::WsAbnormalClose, format_args!("broke: {error}"))
}
