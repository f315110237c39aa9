//! `landfall events`: what happened, as it was stored.

use super::Context;
use crate::cli::Events;
use crate::error::Outcome;
use crate::project::app_named;
use crate::rollout::interrupts;
use std::process::ExitCode;

/// Prints them; with `--follow` until Ctrl-C, which is then a good end.
pub async fn run(context: &Context, args: Events) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let app = app_named(&context.settings, &args.app)?;
    let mut events = client.events(app.as_ref(), (args.limit, args.audit), args.follow);
    let mut interrupt = interrupts()?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            event = events.next() => match event? {
                Some(event) => context.printer.event(&event)?,
                None => break,
            },
        }
    }
    Ok(ExitCode::SUCCESS)
}
