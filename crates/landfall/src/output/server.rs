//! What would be changed on a server, and how it goes.

use super::style::{FAINT, GOOD, STRONG, harmless, paint};
use super::time::took;
use crate::server::{Proposal, Tell};
use std::fmt::Write as _;

/// The plan: each change with its reason and the way back.
pub fn proposal(name: &str, proposal: &Proposal) -> String {
    let mut text = format!("{} {}\n", paint(STRONG, harmless(name)), paint(FAINT, format!("({})", harmless(&proposal.server))));
    for (index, change) in proposal.changes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{:>3}. {}\n     {}\n     {} {}\n",
            index + 1,
            paint(STRONG, harmless(&change.what)),
            harmless(&change.why),
            paint(FAINT, "undo:"),
            harmless(&change.undo)
        );
    }
    for note in &proposal.notes {
        let _ = write!(text, "\n  {} {}", paint(FAINT, "note:"), harmless(note));
    }
    text + if proposal.notes.is_empty() { "\n" } else { "\n\n" }
}

/// A change that begins or is done.
pub fn step(proposal: &Proposal, tell: &Tell) -> Option<String> {
    let what = |change: &usize| proposal.changes.get(*change).map(|change| harmless(&change.what));
    match tell {
        Tell::Begun { change } => Some(format!("{} {}", paint(FAINT, "…"), what(change)?)),
        Tell::Done { change, took_ms } => {
            let mark = paint(GOOD, "✔");
            Some(format!("{mark} {} {}", what(change)?, paint(FAINT, format!("({})", took(*took_ms)))))
        }
        _ => None,
    }
}
