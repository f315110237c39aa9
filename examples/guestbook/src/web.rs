//! The page, its live updates by WebSocket (`/ws`), an event stream (`/events/ticks`), `/version` and `/health`.
//!
//! `/ws` sends the whole state of the book (a JSON object) when it opens and whenever it changes, and answers every text with the
//! same text. `/events/ticks` sends `id: 0`, `id: 1`, … five times a second without a gap. Both are told to go elsewhere when the
//! program stops: the WebSocket by close code 1001, the stream by its end.

use crate::client;
use crate::serve::Stopping;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, Response};
use axum::routing::get;
use futures_util::Stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// The longest message a WebSocket may send, bytes.
const MESSAGE_LIMIT: usize = 16 * 1024;

/// How often the book is read while somebody watches.
const REFRESH: Duration = Duration::from_millis(300);

/// Between two ticks of the event stream.
const TICK: Duration = Duration::from_millis(200);

/// What every connection needs.
#[derive(Clone)]
struct Page {
    /// The book as JSON, newest state only: a slow reader skips states, never sees an old one after a new one.
    book: watch::Sender<Arc<str>>,
    version: Arc<str>,
    stopping: Stopping,
}

/// Runs the page until it is asked to stop.
pub(crate) async fn run() -> crate::Ended {
    let api = std::env::var("LANDFALL_URL_API").map_err(|_| "LANDFALL_URL_API is not set")?;
    let version: Arc<str> = crate::version().into();
    let (book, _) = watch::channel(state(&version, Value::Null).into());
    tokio::spawn(refresh(book.clone(), api, Arc::clone(&version)));
    crate::serve::serve("web", |stopping| {
        Router::new()
            .route("/", get(page))
            .route("/ws", get(live))
            .route("/events/ticks", get(ticks))
            .route("/version", get(async |State(page): State<Page>| page.version.to_string()))
            .route("/health", get(async || "ok\n"))
            .with_state(Page { book, version, stopping })
    })
    .await
}

async fn page(State(page): State<Page>) -> Html<String> {
    // VERSION is the operator's word, but a page escapes what it shows.
    let version = page.version.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    Html(include_str!("page.html").replace("{version}", &version))
}

/// Reads the book from the api while somebody watches, and passes on what changed.
async fn refresh(book: watch::Sender<Arc<str>>, api: String, version: Arc<str>) {
    let mut clock = tokio::time::interval(REFRESH);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if book.receiver_count() == 0 {
            continue;
        }
        match client::get(&api, "/api/entries").await {
            Ok(answer) => {
                let entries = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                let new = json!({ "version": &*version, "api": answer.version, "entries": entries }).to_string();
                book.send_if_modified(|old| {
                    let changed = **old != *new;
                    if changed {
                        *old = new.into();
                    }
                    changed
                });
            }
            Err(e) => crate::log(format_args!("guestbook: {e}")),
        }
    }
}

fn state(version: &str, entries: Value) -> String {
    json!({ "version": version, "api": null, "entries": entries }).to_string()
}

async fn live(State(page): State<Page>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE_LIMIT).on_upgrade(move |socket| watch_book(socket, page.book.subscribe(), page.stopping))
}

async fn watch_book(mut socket: WebSocket, mut book: watch::Receiver<Arc<str>>, mut stopping: Stopping) {
    book.mark_changed();
    loop {
        let sent = tokio::select! {
            () = stopping.begun() => return go_away(socket).await,
            changed = book.changed() => {
                if changed.is_err() {
                    return;
                }
                let state = Arc::clone(&book.borrow_and_update());
                socket.send(Message::text(&*state)).await
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

async fn ticks(State(page): State<Page>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let clock = tokio::time::interval(TICK);
    Sse::new(futures_util::stream::unfold((0u64, clock, page), async |(tick, mut clock, mut page)| {
        tokio::select! {
            () = page.stopping.begun() => None,
            _ = clock.tick() => {
                let event = Event::default().id(tick.to_string()).data(json!({ "tick": tick, "version": &*page.version }).to_string());
                Some((Ok(event), (tick + 1, clock, page)))
            }
        }
    }))
}
