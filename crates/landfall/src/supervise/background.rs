//! A supervisor in the background: begun, and heard out about how its start went.

use super::record::{Record, Started};
use crate::error::{Outcome, Plain, Remote};
use crate::settings::Home;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Longest wait for it to say how its start went.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Starts `landfall supervise` as the command has it. It outlives us.
pub async fn start_in_background(home: &Home, mut command: Command) -> Outcome<Record> {
    home.create()?;
    let failed = |e: std::io::Error| Plain::failed("no-supervisor", "cannot start the supervisor").because(e);
    let log = super::open_log(&home.log("supervisor")).map_err(failed)?;
    let mut child = command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let read = tokio::time::timeout(START_LIMIT, reader.read_line(&mut line)).await;
        read.map_err(|_| Plain::failed("no-supervisor", "the supervisor does not say how its start went"))?.map_err(failed)?;
    }
    match serde_json::from_str(&line) {
        Ok(Started::Ready { supervisor }) => Ok(supervisor),
        Ok(Started::Failed { failure }) => Err(Remote::failed(*failure).into()),
        Err(_) => Err(Plain::failed("no-supervisor", "the supervisor ended at once")
            .hint(format!("see {}", home.log("supervisor").display()))
            .into()),
    }
}
