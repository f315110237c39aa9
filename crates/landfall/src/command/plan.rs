//! `landfall plan`: what a deploy would do, step by step. Builds nothing and changes nothing.

use super::Context;
use super::deploy::Ready;
use crate::cli::Plan;
use crate::error::Outcome;
use crate::project::Project;
use crate::rollout::fresh_id;
use landfall_model::api::RolloutRequest;
use std::process::ExitCode;

/// Changes pending (`--exit-code`).
const PENDING: u8 = 4;

/// Prints the plan.
pub async fn run(context: &Context, args: Plan) -> Outcome<ExitCode> {
    let project = Project::locate(&context.settings, args.path.as_deref(), &args.project)?.with_rules();
    let mut ready = Ready::check(context, project)?;
    ready.force(&args.force)?;
    let (app, client) = (ready.app().clone(), ready.client(context)?);
    let (want, unbuilt) = ready.unbuilt(context, &client).await?;
    for service in unbuilt {
        context.printer.warning(&format!("what `{service}` runs is not built yet; the plan takes it for new"));
    }
    let request = RolloutRequest { id: fresh_id()?, want };
    let planned = client.plan(&app, &request).await?;
    if context.printer.is_json() {
        context.printer.json(&planned)?;
    } else {
        context.printer.plan(&planned)?;
    }
    Ok(ExitCode::from(if args.exit_code && !planned.plan.is_empty() { PENDING } else { 0 }))
}
