//! `landfall releases`: the history, newest first.

use super::Context;
use crate::cli::Releases;
use crate::error::Outcome;
use std::process::ExitCode;

/// Prints it.
pub async fn run(context: &Context, args: Releases) -> Outcome<ExitCode> {
    let client = context.client();
    let app = context.app(&client, &args.app).await?;
    let releases = client.releases(&app).await?;
    if context.printer.is_json() {
        context.printer.json(&releases)?;
    } else if releases.is_empty() {
        context.printer.line(&format!("{app} has no release yet"))?;
    } else {
        context.printer.releases(&releases)?;
    }
    Ok(ExitCode::SUCCESS)
}
