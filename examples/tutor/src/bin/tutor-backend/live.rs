//! What stays open: a WebSocket (`/ws`) that answers every text with the same text and ticks once a second, and an event stream
//! (`/api/stream`) that sends `id: 0`, `id: 1`, … five times a second without a gap.
//!
//! When the program stops, the WebSocket is closed with 1001 and the stream ends; until then a release does not touch them.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::Stream;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tutor::serve::Stopping;

/// The longest message a WebSocket may send, bytes.
const MESSAGE_LIMIT: usize = 16 * 1024;

/// What every stream needs.
#[derive(Clone)]
struct Live {
    version: Arc<str>,
    stopping: Stopping,
}

/// `/ws` and `/api/stream`.
pub(crate) fn routes(stopping: Stopping) -> Router {
    let live = Live { version: tutor::version().into(), stopping };
    Router::new().route("/ws", get(open)).route("/api/stream", get(stream)).with_state(live)
}

async fn open(State(live): State<Live>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE_LIMIT).on_upgrade(move |socket| echo(socket, live))
}

async fn echo(mut socket: WebSocket, mut live: Live) {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let mut tick = 0u64;
    loop {
        let sent = tokio::select! {
            () = live.stopping.begun() => return go_away(socket).await,
            _ = clock.tick() => {
                let state = json!({ "tick": tick, "version": &*live.version }).to_string();
                tick += 1;
                socket.send(Message::text(state)).await
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => socket.send(Message::Text(text)).await,
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) | None => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Closes with 1001 and reads until the other side has agreed: a socket closed with unread bytes resets the connection, and the
/// close code would be lost.
async fn go_away(mut socket: WebSocket) {
    let goodbye = CloseFrame { code: close_code::AWAY, reason: "a new release serves".into() };
    if socket.send(Message::Close(Some(goodbye))).await.is_ok() {
        let _ = tokio::time::timeout(Duration::from_secs(2), async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}

async fn stream(State(live): State<Live>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let clock = tokio::time::interval(Duration::from_millis(200));
    Sse::new(futures_util::stream::unfold((0u64, clock, live), async |(tick, mut clock, mut live)| {
        tokio::select! {
            () = live.stopping.begun() => None,
            _ = clock.tick() => {
                let event = Event::default().id(tick.to_string()).data(json!({ "tick": tick, "version": &*live.version }).to_string());
                Some((Ok(event), (tick + 1, clock, live)))
            }
        }
    }))
}
