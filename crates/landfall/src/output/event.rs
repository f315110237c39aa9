//! One stored event as one line.

use super::size::bytes as size;
use super::style::{ERROR, FAINT, GOOD, STRONG, WARNING, harmless, paint};
use super::time::{date_clock, took};
use crate::project::count;
use landfall_model::api::{Event, RolloutState, What};
use landfall_model::name::ImageRef;

/// `2026-03-01 12:00:01  tutor  release 4 serves`
pub fn render(event: &Event) -> String {
    let app = event.app.as_ref().map(|app| format!("{}  ", paint(STRONG, app))).unwrap_or_default();
    let who = event.who.as_ref().map(|who| paint(FAINT, format!("  by {}", harmless(who)))).unwrap_or_default();
    // Who came over SSH is named with the address already.
    let from = match &event.what {
        What::Called { from, .. } if !event.who.as_ref().is_some_and(|who| who.contains(from.as_str())) => {
            paint(FAINT, format!(" from {}", harmless(from)))
        }
        _ => String::new(),
    };
    format!("{}  {app}{}{who}{from}", paint(FAINT, date_clock(event.at_ms)), what(&event.what))
}

/// What happened, in words. Steps are named as the plan names them.
pub fn what(what: &What) -> String {
    match what {
        // Going down and repairing make no release.
        What::RolloutStarted { purpose, .. } if purpose == "down" || purpose == "repair" => format!("{} began", harmless(purpose)),
        What::RolloutStarted { purpose, release } => format!("{} began, to make release {release}", harmless(purpose)),
        // The notes are among the lines and are no steps.
        What::Planned { lines } => format!("planned {}", count(lines.iter().filter(|line| !line.starts_with("note: ")).count(), "step")),
        What::StepStarted { index, of, undo, line, .. } => format!("{}step {} of {of}: {}", undoing(*undo), index + 1, harmless(line)),
        What::Progress { service: Some(service), line } => format!("{service}: {}", harmless(line)),
        What::Progress { service: None, line } => harmless(line),
        What::StepDone { index, undo, took_ms } => format!("{}step {} done ({})", undoing(*undo), index + 1, took(*took_ms)),
        What::StepFailed { index, undo, failure } => {
            format!("{}{} {}", undoing(*undo), paint(ERROR, format!("step {} failed:", index + 1)), harmless(&failure.message))
        }
        What::Released { release } => paint(GOOD, format!("release {release} serves")),
        What::RolloutEnded { state, failure, took_ms } => ended(*state, failure.as_ref().map(|f| f.message.as_str()), *took_ms),
        What::ImagesPruned { images, bytes } => {
            let names: Vec<&str> = images.iter().map(ImageRef::as_str).collect();
            format!("{} deleted that no release needs ({}): {}", count(images.len(), "image"), size(*bytes), names.join(", "))
        }
        What::Called { action, refused: None, .. } => harmless(action),
        What::Called { action, refused: Some(code), .. } => {
            format!("{} {}", harmless(action), paint(ERROR, format!("refused: {}", harmless(code))))
        }
        What::AgentStarted { version } => format!("agent {} started", harmless(version)),
        What::CertificateIssued { name, issuer, until_ms } => {
            format!(
                "{} by {}, good until {}",
                paint(GOOD, format!("certificate for {name} issued")),
                harmless(issuer),
                date_clock(*until_ms)
            )
        }
        What::CertificateFailed { failure, meanwhile, again_ms, .. } => {
            let why = failure.causes.first().map(|cause| format!(" ({})", harmless(cause))).unwrap_or_default();
            let again = date_clock(*again_ms);
            format!("{}{why}; served meanwhile: {}; asked again {again}", paint(WARNING, harmless(&failure.message)), harmless(meanwhile))
        }
        What::CertificateExpires { name, days: 0, until_ms } => {
            paint(ERROR, format!("the certificate for {name} ends within a day, or has ended: {}", date_clock(*until_ms)))
        }
        What::CertificateExpires { name, days, until_ms } => {
            paint(WARNING, format!("the certificate for {name} ends in {days} days: {}", date_clock(*until_ms)))
        }
        What::ReplicaDied { replica, reason } => format!("{} {}", paint(ERROR, format!("{replica} died:")), harmless(reason)),
    }
}

fn ended(state: RolloutState, why: Option<&str>, took_ms: u64) -> String {
    let why = why.map(|why| format!(": {}", harmless(why))).unwrap_or_default();
    let took = took(took_ms);
    match state {
        RolloutState::Succeeded => paint(GOOD, format!("rollout succeeded ({took})")),
        RolloutState::RolledBack => format!("{} ({took}){why}", paint(WARNING, "rolled back")),
        RolloutState::Failed => format!("{} ({took}){why}", paint(ERROR, "rollout failed")),
        RolloutState::Running | RolloutState::Undoing => "rollout runs".to_owned(),
    }
}

fn undoing(undo: bool) -> &'static str {
    if undo { "undo: " } else { "" }
}
