//! `landfall metrics`: what the proxy has counted, as Prometheus reads it.

use super::Context;
use crate::error::Outcome;
use std::process::ExitCode;

/// Prints it.
pub async fn run(context: &Context) -> Outcome<ExitCode> {
    let metrics = context.client().metrics().await?;
    if context.printer.is_json() {
        context.printer.json(&metrics)?;
    } else {
        context.printer.shown(&metrics.to_prometheus())?;
    }
    Ok(ExitCode::SUCCESS)
}
