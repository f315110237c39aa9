//! A rollout as it goes: on a terminal one line per service that changes in place, elsewhere one plain line per thing done, with `--json` the
//! events themselves.
//!
//! It is fed events and knows nothing else, so what it shows is what was stored.

use super::style::{ERROR, FAINT, GOOD, WARNING, harmless, paint};
use super::time::{clock, took};
use super::{Printer, event};
use crate::error::Outcome;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use landfall_model::api::{Event, What};
use landfall_model::name::ServiceName;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is known of the step under way, so that its end can be told with its name.
#[derive(Debug, Default)]
struct Current {
    line: String,
    services: Vec<ServiceName>,
    undo: bool,
}

/// Shows one rollout.
pub struct Progress {
    printer: Printer,
    live: Option<Live>,
    current: Current,
}

impl Progress {
    /// Nothing shown yet.
    pub(super) fn new(printer: Printer) -> Self {
        Self { printer, live: printer.live.then(Live::new), current: Current::default() }
    }

    /// Shows one event.
    pub fn event(&mut self, event: &Event) -> Outcome {
        if let What::StepStarted { line, services, undo, .. } = &event.what {
            self.current = Current { line: line.clone(), services: services.clone(), undo: *undo };
        }
        if self.printer.is_json() {
            return self.printer.json_line(event);
        }
        match &mut self.live {
            Some(live) => live.event(&event.what, &self.current),
            None => {
                if let Some(line) = plain(&event.what, &self.current) {
                    self.printer.note(&format!("{} {line}", paint(FAINT, clock(event.at_ms))));
                }
            }
        }
        Ok(())
    }

    /// Leaves the last state on the screen and the cursor below it.
    pub fn finish(self) {
        if let Some(live) = self.live {
            live.finish();
        }
    }
}

/// The plain line of an event, if it is worth one: what is done is said when it is done, with how long it took.
fn plain(what: &What, current: &Current) -> Option<String> {
    let step = || format!("{}{}", if current.undo { "undo: " } else { "" }, harmless(&current.line));
    match what {
        // The end is told by who asked for the rollout, with the address or the whole failure.
        What::StepStarted { .. } | What::RolloutEnded { .. } | What::Called { .. } => None,
        What::StepDone { took_ms, .. } => Some(format!("{} {}", step(), paint(FAINT, format!("({})", took(*took_ms))))),
        What::StepFailed { failure, .. } => Some(format!("{} {}: {}", paint(ERROR, "failed:"), step(), harmless(&failure.message))),
        other => Some(event::what(other)),
    }
}

/// Rows on a terminal: the rollout, then a row for each service in order of appearance.
struct Live {
    all: MultiProgress,
    head: ProgressBar,
    rows: BTreeMap<ServiceName, Row>,
    width: usize,
}

struct Row {
    bar: ProgressBar,
    /// How long its gate took, milliseconds.
    gate_ms: Option<u64>,
    failed: bool,
}

/// How often spinners turn.
const TURN: Duration = Duration::from_millis(100);
/// The plan's word for the step that makes a replica ready.
const GATE: &str = "gate";

impl Live {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12));
        let head = all.add(ProgressBar::new_spinner().with_style(style("{spinner} {elapsed:.dim} {wide_msg}")));
        head.enable_steady_tick(TURN);
        Self { all, head, rows: BTreeMap::new(), width: 0 }
    }

    fn event(&mut self, what: &What, current: &Current) {
        match what {
            What::StepStarted { index, of, undo, line, services } => {
                let word = if *undo { paint(WARNING, "undo ") } else { String::new() };
                self.head.set_message(format!("{word}[{}/{of}] {}", index + 1, harmless(deed(line))));
                for service in services {
                    self.row(service).bar.set_message(share(line, service));
                }
            }
            What::Progress { service: Some(service), line } => self.row(service).bar.set_message(harmless(line)),
            What::Progress { service: None, line } => self.head.set_message(harmless(line)),
            What::StepDone { took_ms, .. } => {
                for service in &current.services {
                    let line = format!("{} {} {}", paint(GOOD, "✔"), share(&current.line, service), paint(FAINT, took(*took_ms)));
                    let row = self.row(service);
                    row.bar.set_message(line);
                    if deed(&current.line) == GATE && !current.undo {
                        row.gate_ms = Some(*took_ms);
                    }
                }
            }
            What::StepFailed { .. } => {
                for service in &current.services {
                    let line = format!("{} {}", paint(ERROR, "✘"), share(&current.line, service));
                    let row = self.row(service);
                    row.failed = true;
                    row.bar.set_message(line);
                }
            }
            What::RolloutStarted { .. } | What::Released { .. } => self.head.set_message(event::what(what)),
            What::Planned { .. } | What::RolloutEnded { .. } | What::AgentStarted { .. } | What::Called { .. } => {}
            What::ReplicaDied { .. }
            | What::ImagesPruned { .. }
            | What::CertificateIssued { .. }
            | What::CertificateFailed { .. }
            | What::CertificateExpires { .. } => {
                let _ = self.all.println(event::what(what));
            }
        }
    }

    fn row(&mut self, service: &ServiceName) -> &mut Row {
        self.width = self.width.max(service.as_str().len().min(32));
        let (all, width) = (&self.all, self.width);
        self.rows.entry(service.clone()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new_spinner().with_style(style("  {prefix:.bold} {wide_msg}")));
            bar.set_prefix(format!("{service:<width$}"));
            bar.enable_steady_tick(TURN);
            Row { bar, gate_ms: None, failed: false }
        })
    }

    /// What stays on the screen: services that became ready, and where it went wrong.
    fn finish(self) {
        let width = self.width;
        for (service, row) in &self.rows {
            row.bar.set_prefix(format!("{service:<width$}"));
            match row.gate_ms {
                _ if row.failed => row.bar.abandon(),
                Some(ms) => {
                    row.bar.abandon_with_message(format!("{} ready {}", paint(GOOD, "✔"), paint(FAINT, format!("after {}", took(ms)))))
                }
                None => row.bar.finish_and_clear(),
            }
        }
        self.head.finish_and_clear();
    }
}

/// What a step does, without to whom: `gate` of `gate web-4-1 by …, api-4-1 by …`. The whole line when it is about no replica.
fn deed(line: &str) -> &str {
    let end = line.split(' ').scan(0, |at, word| {
        let start = *at;
        *at += word.len() + 1;
        Some((start, word))
    });
    let mut ids = end.filter(|(_, word)| is_id(word.trim_end_matches(',')));
    ids.next().map_or(line, |(start, _)| line.get(..start).unwrap_or(line).trim_end())
}

/// A service's share of a step's line: `gate web-4-1 by …`. The whole line when it names no replica of it.
fn share(line: &str, service: &ServiceName) -> String {
    let deed = deed(line);
    let rest = line.get(deed.len()..).unwrap_or_default().trim_start();
    let own: Vec<&str> = pieces(rest).into_iter().filter(|piece| piece.split(' ').next().is_some_and(|id| is_of(id, service))).collect();
    if own.is_empty() { harmless(line) } else { harmless(&format!("{deed} {}", own.join(", "))) }
}

/// Splits at commas that are not in parentheses.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0u32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                pieces.push(text.get(start..at).unwrap_or_default().trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(text.get(start..).unwrap_or_default().trim());
    pieces
}

/// `web-4-1`, `my-web-4-migrate`.
fn is_id(word: &str) -> bool {
    let mut parts = word.rsplitn(3, '-');
    let (last, release) = (parts.next(), parts.next());
    last.is_some_and(|last| !last.is_empty()) && release.is_some_and(is_number) && parts.next().is_some_and(|service| !service.is_empty())
}

fn is_of(id: &str, service: &ServiceName) -> bool {
    let release = id.strip_prefix(service.as_str()).and_then(|rest| rest.strip_prefix('-')?.split('-').next());
    is_id(id) && release.is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The templates are ours and constant; a mistake in one shows as the default style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", "✔"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_names_the_step_that_is_done() {
        let current = Current { line: "gate web-4-1 by GET /".into(), services: vec!["web".parse().unwrap()], undo: false };
        let line = plain(&What::StepDone { index: 3, undo: false, took_ms: 812 }, &current).unwrap();
        assert_eq!(anstream::adapter::strip_str(&line).to_string(), "gate web-4-1 by GET / (0.8 s)");
    }

    #[test]
    fn each_service_has_its_share_of_a_step() {
        let (web, admin, db): (ServiceName, ServiceName, ServiceName) =
            ("web".parse().unwrap(), "web-admin".parse().unwrap(), "db".parse().unwrap());
        let line = "stop web-2-1 (SIGTERM, 10 s to end), web-2-2 (SIGTERM, 10 s to end), web-admin-2-1 (SIGTERM, 1 s to end)";
        assert_eq!(share(line, &web), "stop web-2-1 (SIGTERM, 10 s to end), web-2-2 (SIGTERM, 10 s to end)");
        assert_eq!(share(line, &admin), "stop web-admin-2-1 (SIGTERM, 1 s to end)");
        assert_eq!(share(line, &db), line);
        assert_eq!((deed(line), deed("pull postgres:15"), deed("switch to web-4-1")), ("stop", "pull postgres:15", "switch to"));
        assert_eq!(share("", &db), "");
    }
}
