//! One connection to PostgreSQL, made when it is needed and made again when it was lost.
//!
//! Queries of many requests share it: the protocol pipelines them. No transaction is open across two of them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

/// How long connecting may take, and a query.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why the database gave no answer.
#[derive(Debug)]
pub(crate) enum DatabaseError {
    /// `DATABASE_URL` is missing or no PostgreSQL address.
    Url,
    /// It did not answer in time.
    Timeout,
    /// It, or the way to it, says no.
    Postgres(tokio_postgres::Error),
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "DATABASE_URL is missing or malformed",
            Self::Timeout => "the database did not answer in time",
            Self::Postgres(_) => "the database failed",
        })
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Postgres(e) => Some(e),
            Self::Url | Self::Timeout => None,
        }
    }
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// One message of the class.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Counted from 1.
    #[serde(default)]
    pub(crate) id: i64,
    /// Who wrote it.
    pub(crate) author: String,
    /// What.
    pub(crate) text: String,
}

/// The way to the database; cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    config: Arc<Config>,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Database {
    /// Reads `DATABASE_URL`; connects later.
    pub(crate) fn from_environment() -> Result<Self, DatabaseError> {
        let url = std::env::var("DATABASE_URL").map_err(|_| DatabaseError::Url)?;
        // The parser's own error could repeat the password.
        let mut config: Config = url.parse().map_err(|_| DatabaseError::Url)?;
        config.connect_timeout(DEADLINE);
        Ok(Self { config: Arc::new(config), client: Arc::default() })
    }

    /// A connection of the caller's own.
    pub(crate) async fn connect(&self) -> Result<Client, DatabaseError> {
        let (client, connection) = in_time(self.config.connect(NoTls)).await?;
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tutor::log(format_args!("database connection lost: {e}"));
            }
        });
        Ok(client)
    }

    /// The newest messages, newest first.
    pub(crate) async fn messages(&self) -> Result<Vec<Message>, DatabaseError> {
        let client = self.shared().await?;
        let rows = in_time(client.query("SELECT id, author, text FROM message ORDER BY id DESC LIMIT 50", &[])).await?;
        Ok(rows.iter().map(|row| Message { id: row.get(0), author: row.get(1), text: row.get(2) }).collect())
    }

    /// Adds one and gives it its number.
    pub(crate) async fn add(&self, mut message: Message) -> Result<Message, DatabaseError> {
        let client = self.shared().await?;
        let sql = "INSERT INTO message (author, text) VALUES ($1, $2) RETURNING id";
        message.id = in_time(client.query_one(sql, &[&message.author, &message.text])).await?.get(0);
        Ok(message)
    }

    /// The versions whose migration ran to its end, oldest first, one for each run.
    pub(crate) async fn migrations(&self) -> Result<Vec<String>, DatabaseError> {
        let client = self.shared().await?;
        let rows = in_time(client.query("SELECT version FROM migration_run ORDER BY id", &[])).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn shared(&self) -> Result<Arc<Client>, DatabaseError> {
        let mut shared = self.client.lock().await;
        match shared.as_ref() {
            Some(client) if !client.is_closed() => Ok(Arc::clone(client)),
            _ => Ok(Arc::clone(shared.insert(Arc::new(self.connect().await?)))),
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, DatabaseError> {
    Ok(tokio::time::timeout(DEADLINE, answer).await.map_err(|_| DatabaseError::Timeout)??)
}
