//! `landfall rollback`: a rollout to the spec of an earlier release.

use super::{Context, approve};
use crate::cli::Rollback;
use crate::error::Outcome;
use crate::rollout::{detachable, roll_out, tell_serving};
use landfall_model::api::Want;
use landfall_model::name::ReleaseNumber;
use std::process::ExitCode;

/// Goes back.
pub async fn run(context: &Context, args: Rollback) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let app = context.app(&client, &args.app).await?;
    approve::named(context, &args.app, &app, ("Roll back", args.approve))?;
    let want = Want::Rollback { release: args.release.map(ReleaseNumber) };
    let ended = detachable(&client, &app, roll_out(&client, &context.printer, &app, want)).await?;
    tell_serving(&client, &context.printer, &app, &ended).await?;
    Ok(ExitCode::SUCCESS)
}
