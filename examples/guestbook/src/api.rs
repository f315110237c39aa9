//! The REST API: `/api/entries` (GET newest first, POST), `/api/statistics`, `/api/version`, `/health`.

use crate::store::{Entry, PATH, Statistics, Store};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that GET answers with.
const NEWEST: u32 = 50;

/// Characters of a name and of a text.
const NAME_LIMIT: usize = 60;
const TEXT_LIMIT: usize = 500;

/// One connection is enough: SQLite has one writer, and a read takes microseconds.
#[derive(Clone)]
struct Book(Arc<Mutex<Store>>);

/// Something to tell the caller.
type Refusal = (StatusCode, String);

impl Book {
    /// Runs SQL where it may block.
    async fn with<T: Send + 'static>(&self, ask: impl FnOnce(&Store) -> rusqlite::Result<T> + Send + 'static) -> Result<T, Refusal> {
        let store = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || ask(&store.lock().unwrap_or_else(PoisonError::into_inner))).await;
        let failed = |e: &dyn std::error::Error| {
            crate::log(format_args!("guestbook: {e}"));
            (StatusCode::INTERNAL_SERVER_ERROR, "the book cannot be read".to_owned())
        };
        answer.map_err(|e| failed(&e))?.map_err(|e| failed(&e))
    }
}

/// Runs the API until it is asked to stop.
pub(crate) async fn run() -> crate::Ended {
    let book = Book(Arc::new(Mutex::new(Store::open(Path::new(PATH))?)));
    let version = crate::version();
    crate::serve::serve("api", |_| {
        Router::new()
            .route("/api/entries", get(entries).post(sign))
            .route("/api/statistics", get(statistics))
            .route("/api/version", get(async || version))
            .route("/health", get(health))
            .layer(DefaultBodyLimit::max(16 * 1024))
            .with_state(book)
    })
    .await
}

async fn entries(State(book): State<Book>) -> Result<Json<Vec<Entry>>, Refusal> {
    book.with(|store| store.newest(NEWEST)).await.map(Json)
}

async fn statistics(State(book): State<Book>) -> Result<Json<Option<Statistics>>, Refusal> {
    book.with(Store::statistics).await.map(Json)
}

/// Healthy means: the book can be read.
async fn health(State(book): State<Book>) -> Result<&'static str, Refusal> {
    book.with(|store| store.newest(1)).await.map(|_| "ok\n")
}

/// What POST takes.
#[derive(Deserialize)]
struct Signature {
    name: String,
    text: String,
}

async fn sign(State(book): State<Book>, Json(new): Json<Signature>) -> Result<(StatusCode, Json<Entry>), Refusal> {
    let (name, text) = (bounded(&new.name, "name", NAME_LIMIT)?, bounded(&new.text, "text", TEXT_LIMIT)?);
    let entry = book.with(move |store| store.add(&name, &text)).await?;
    crate::log(format_args!("entry {} added", entry.id));
    Ok((StatusCode::CREATED, Json(entry)))
}

fn bounded(value: &str, what: &str, limit: usize) -> Result<String, Refusal> {
    let value = value.trim();
    match value.chars().count() {
        0 => Err((StatusCode::UNPROCESSABLE_ENTITY, format!("{what} is empty"))),
        n if n > limit => Err((StatusCode::UNPROCESSABLE_ENTITY, format!("{what} is longer than {limit} characters"))),
        _ => Ok(value.to_owned()),
    }
}
