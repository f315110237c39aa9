//! `landfall releases`: the history, newest first.

use super::Context;
use crate::cli::{AppArgs, Releases};
use crate::error::Outcome;
use std::process::ExitCode;

/// Prints it.
pub async fn run(context: &Context, args: Releases) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let which = AppArgs { app: args.named.or(args.app.app), ..args.app };
    let app = context.app(&client, &which).await?;
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
