//! What goes on in an app, as it goes on: log lines on standard output, events worth a line beside them.

use crate::client::Client;
use crate::command::Context;
use crate::error::{Outcome, Problem};
use crate::output::LogView;
use landfall_model::api::{Event, LogLine, What};
use landfall_model::name::AppName;
use tokio::sync::mpsc;

/// Lines that may wait for a slow terminal; then the streams wait.
const WAITING: usize = 256;

enum Seen {
    Line(LogLine),
    Event(Box<Event>),
    Broken(Problem),
}

/// Shows it until an error. Each stream is read by a task of its own, so that neither interrupts the other's reconnecting.
pub async fn follow(context: &Context, client: &Client, app: &AppName, quiet: bool) -> Outcome {
    let (seen, mut see) = mpsc::channel(WAITING);
    let mut tasks = tokio::task::JoinSet::new();
    if !quiet {
        tasks.spawn(lines(client.clone(), app.clone(), seen.clone()));
    }
    tasks.spawn(events(client.clone(), app.clone(), seen));
    let mut view = LogView::new(context.printer, false);
    while let Some(seen) = see.recv().await {
        match seen {
            Seen::Line(line) => view.line(&line)?,
            Seen::Event(event) if is_news(&event.what) => context.printer.news(&event)?,
            Seen::Event(_) => {}
            Seen::Broken(problem) => return Err(problem),
        }
    }
    Ok(())
}

/// Steps have their own display where they were asked for; what everybody should know is this.
fn is_news(what: &What) -> bool {
    matches!(what, What::RolloutStarted { .. } | What::Released { .. } | What::RolloutEnded { .. } | What::ReplicaDied { .. })
}

async fn lines(client: Client, app: AppName, seen: mpsc::Sender<Seen>) {
    // From the beginning: what a replica wrote while it was started is of interest here.
    let mut lines = client.logs(&app, &[], 100, true);
    loop {
        let next = match lines.next().await {
            Ok(Some(line)) => Seen::Line(line),
            Ok(None) => return,
            Err(error) => Seen::Broken(error.into()),
        };
        let last = matches!(next, Seen::Broken(_));
        if seen.send(next).await.is_err() || last {
            return;
        }
    }
}

async fn events(client: Client, app: AppName, seen: mpsc::Sender<Seen>) {
    // Only what is new: the last one is asked for to know where new begins.
    let mut past = client.events(Some(&app), (1, false), false);
    let mut last = 0;
    while let Ok(Some(event)) = past.next().await {
        last = event.seq;
    }
    let mut events = client.events(Some(&app), (100, false), true).after(last);
    loop {
        let next = match events.next().await {
            Ok(Some(event)) => Seen::Event(Box::new(event)),
            Ok(None) => return,
            Err(error) => Seen::Broken(error.into()),
        };
        let last = matches!(next, Seen::Broken(_));
        if seen.send(next).await.is_err() || last {
            return;
        }
    }
}
