//! `landfall reset --volumes --confirm RESET_ALL_VOLUMES`: an app back to nothing, its data too.
//!
//! What would be lost is shown first, with its size. Without the exact words nothing happens.

use super::Context;
use super::down::{agree, confirm, which};
use crate::cli::Reset;
use crate::error::Outcome;
use crate::output::{bytes, took};
use crate::project::count;
use crate::rollout::{Ended, detachable, roll_out};
use landfall_model::api::{VolumeStatus, Want};
use std::process::ExitCode;

/// Deletes it, or says what would have been deleted.
pub async fn run(context: &Context, args: Reset) -> Outcome<ExitCode> {
    let (app, client) = which(context, args.app.as_deref(), &args.project)?;
    agree(context, args.app.as_deref(), &args.project, (&app, "Reset", args.approve))?;
    let volumes = client.volumes(&app).await?;
    for volume in &volumes {
        context.printer.warning(&format!("volume {}: {}", volume.external_name, size(volume)));
    }
    confirm(context, (&client, &app), args.confirm.as_deref(), "reset")?;
    let ended = detachable(&client, &app, roll_out(&client, &context.printer, &app, Want::Down { volumes: true })).await?;
    let took_ms = if let Ended::Done { took_ms, .. } = ended { took_ms } else { 0 };
    if context.printer.is_json() {
        context.printer.json_line(&serde_json::json!({ "app": app, "reset": true, "volumes": volumes, "took_ms": took_ms }))?;
    } else {
        let gone = count(volumes.len(), "volume");
        context.printer.done(&format!("{app} is down and {gone} deleted ({}); `landfall deploy` begins anew", took(took_ms)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn size(volume: &VolumeStatus) -> String {
    volume.bytes.map_or_else(|| "of unknown size".to_owned(), bytes)
}
