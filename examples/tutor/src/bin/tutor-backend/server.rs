//! `serve`: REST over PostgreSQL (`/api/messages`, `/api/migrations`), `/api/version`, `/health`, and what `live` streams.

use crate::database::{Database, DatabaseError, Message};
use crate::live;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::error::Error as _;

/// Characters of an author and of a text.
const AUTHOR_LIMIT: usize = 60;
const TEXT_LIMIT: usize = 2000;

/// What a request can end in, besides an answer.
enum Refusal {
    /// The message is not acceptable, for this reason.
    Message(String),
    /// The database said no; the log has the details, the client does not.
    Database(DatabaseError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Message(why) => (StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
            Self::Database(e) => {
                let cause = e.source().map(|e| format!(": {e}")).unwrap_or_default();
                tutor::log(format_args!("{e}{cause}"));
                (StatusCode::SERVICE_UNAVAILABLE, e.to_string()).into_response()
            }
        }
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// Runs the backend until it is asked to stop.
pub(crate) async fn run() -> tutor::Ended {
    let fail = crate::fail();
    if fail == "exit" {
        return Err("FAIL=exit: ends at once, as it was told".into());
    }
    let database = Database::from_environment()?;
    let port = if fail == "port" { 3000 } else { crate::PORT };
    let version = tutor::version();
    tutor::serve::serve("backend", port, |stopping| {
        Router::new()
            .route("/api/messages", get(messages).post(add))
            .route("/api/migrations", get(migrations))
            .route("/api/version", get(async || version))
            .route("/health", get(async move |database| if fail == "health" { Err(unhealthy()) } else { health(database).await }))
            .layer(DefaultBodyLimit::max(16 * 1024))
            .with_state(database)
            .merge(live::routes(stopping))
    })
    .await
}

async fn messages(State(database): State<Database>) -> Result<Json<Vec<Message>>, Refusal> {
    Ok(Json(database.messages().await?))
}

async fn migrations(State(database): State<Database>) -> Result<Json<Vec<String>>, Refusal> {
    Ok(Json(database.migrations().await?))
}

/// Healthy means: the database answers and has our tables.
async fn health(State(database): State<Database>) -> Result<&'static str, Response> {
    database.messages().await.map(|_| "ok\n").map_err(|e| Refusal::from(e).into_response())
}

fn unhealthy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "FAIL=health: never healthy, as it was told").into_response()
}

async fn add(State(database): State<Database>, Json(new): Json<Message>) -> Result<(StatusCode, Json<Message>), Refusal> {
    let author = bounded(&new.author, "author", AUTHOR_LIMIT)?;
    let text = bounded(&new.text, "text", TEXT_LIMIT)?;
    Ok((StatusCode::CREATED, Json(database.add(Message { id: 0, author, text }).await?)))
}

fn bounded(value: &str, what: &str, limit: usize) -> Result<String, Refusal> {
    let value = value.trim();
    match value.chars().count() {
        0 => Err(Refusal::Message(format!("{what} is empty"))),
        n if n > limit => Err(Refusal::Message(format!("{what} is longer than {limit} characters"))),
        _ => Ok(value.to_owned()),
    }
}
