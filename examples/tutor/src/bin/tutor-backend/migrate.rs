//! `migrate up`: brings the schema to what this version needs, in one transaction, and records the run.
//!
//! Old and new release use the schema side by side, so it is only added to. Two runs at once wait for each other.

use crate::database::{Database, DatabaseError};
use tokio_postgres::Client;

/// Statements that may be run again, oldest first.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS migration_run (id bigserial PRIMARY KEY, version text NOT NULL, at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE IF NOT EXISTS message (id bigserial PRIMARY KEY, author text NOT NULL, text text NOT NULL);
    ALTER TABLE message ADD COLUMN IF NOT EXISTS at timestamptz NOT NULL DEFAULT now();
";

/// Any number that nothing else in this database locks by.
const LOCK: i64 = 0x7475_746f;

/// Runs the migration of this version.
pub(crate) async fn up() -> tutor::Ended {
    let version = tutor::version();
    tutor::log(format_args!("migration of version {version} begins"));
    let mut client = Database::from_environment()?.connect().await?;
    apply(&mut client, &version).await?;
    tutor::log(format_args!("migration of version {version} done"));
    Ok(())
}

async fn apply(client: &mut Client, version: &str) -> Result<(), DatabaseError> {
    let seconds: f64 = std::env::var("MIGRATE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or_default();
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction.batch_execute(SCHEMA).await?;
    if seconds > 0.0 {
        transaction.execute("SELECT pg_sleep($1)", &[&seconds]).await?;
    }
    if crate::fail() == "migrate" {
        // A real mistake, so that the transaction really has something to take back.
        transaction.batch_execute("ALTER TABLE message ADD COLUMN lesson bigint REFERENCES lesson (id)").await?;
    }
    transaction.execute("INSERT INTO migration_run (version) VALUES ($1)", &[&version]).await?;
    Ok(transaction.commit().await?)
}
