//! `landfall logs`: what services wrote.

use super::Context;
use crate::cli::Logs;
use crate::error::Outcome;
use crate::output::LogView;
use crate::rollout::interrupts;
use std::process::ExitCode;

/// Prints it; with `--follow` until Ctrl-C, which is then a good end.
pub async fn run(context: &Context, args: Logs) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let app = context.app(&client, &args.app).await?;
    let mut view = LogView::new(context.printer, args.timestamps);
    let mut lines = client.logs(&app, &args.services, args.tail, args.follow);
    let mut interrupt = interrupts()?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            line = lines.next() => match line? {
                Some(line) => view.line(&line)?,
                None => break,
            },
        }
    }
    Ok(ExitCode::SUCCESS)
}
