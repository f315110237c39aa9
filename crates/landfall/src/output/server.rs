//! What would be changed on a server, and how it goes.

use super::style::{FAINT, GOOD, STRONG, harmless, paint};
use super::time::took;
use super::wrap::wrapped;
use crate::server::{Proposal, Tell};

/// Blanks before the text of a change; its number is in them.
const MARGIN: usize = 5;
const UNDO: &str = "undo:";
const NOTE: &str = "note:";

/// The plan: each change with its reason and the way back.
pub fn proposal(name: &str, proposal: &Proposal, width: usize) -> String {
    let mut text = format!("{} {}\n", paint(STRONG, harmless(name)), paint(FAINT, format!("({})", harmless(&proposal.server))));
    for (index, change) in proposal.changes.iter().enumerate() {
        // The number stands in the margin of the first line.
        let what = wrapped(&harmless(&change.what), MARGIN, width);
        let undo = wrapped(&format!("{UNDO} {}", harmless(&change.undo)), MARGIN, width);
        text += &format!(
            "\n{:>3}. {}\n{}{}",
            index + 1,
            paint(STRONG, what.trim()),
            wrapped(&harmless(&change.why), MARGIN, width),
            undo.replacen(UNDO, &paint(FAINT, UNDO), 1)
        );
    }
    if !proposal.notes.is_empty() {
        text.push('\n');
    }
    for note in &proposal.notes {
        let note = wrapped(&format!("{NOTE} {}", harmless(note)), 2, width);
        text += &note.replacen(NOTE, &paint(FAINT, NOTE), 1);
    }
    text + "\n"
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
