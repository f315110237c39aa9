//! `landfall status`: what runs, and how it is.

use super::Context;
use crate::cli::{AppArgs, Status};
use crate::error::Outcome;
use crate::project::app_named;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// The app that is named, or the one of the file here when it is deployed, or all.
pub async fn run(context: &Context, args: Status) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let which = AppArgs { app: args.named.or(args.app.app), ..args.app };
    let named = app_named(&context.settings, &which)?;
    let mut apps = client.apps().await?;
    match named {
        // An explicit name that is not there is the agent's error to tell.
        Some(app) if which.app.is_some() => apps = vec![client.app(&app).await?],
        Some(app) if apps.iter().any(|status| status.app == app) => apps.retain(|status| status.app == app),
        _ => {}
    }
    if context.printer.is_json() {
        context.printer.json(&apps)?;
    } else {
        context.printer.status(&apps, now_ms())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Milliseconds since 1970 UTC.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or_default()
}
