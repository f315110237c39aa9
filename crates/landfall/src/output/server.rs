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

/// A change that begins or is done. What begins is in one line of that width, which is written over when it is done.
pub fn step(proposal: &Proposal, tell: &Tell, width: usize) -> Option<String> {
    let what = |change: &usize| proposal.changes.get(*change).map(|change| harmless(&change.what));
    match tell {
        Tell::Begun { change } => {
            let line: String = what(change)?.chars().take(width.saturating_sub(3)).collect();
            Some(format!("{} {line}", paint(FAINT, "…")))
        }
        Tell::Done { change, took_ms } => {
            let mark = paint(GOOD, "✔");
            Some(format!("{mark} {} {}", what(change)?, paint(FAINT, format!("({})", took(*took_ms)))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Proposal {
        let change = serde_json::json!({ "what": "copy a long binary", "why": "it runs there", "undo": "rm it" });
        serde_json::from_value(serde_json::json!({ "server": "Debian", "changes": [change], "notes": ["nothing else"] })).unwrap()
    }

    #[test]
    fn a_plan_fits_the_terminal_and_keeps_its_margin() {
        let text = anstream::adapter::strip_str(&proposal("host", &plan(), 18)).to_string();
        let expected =
            "host (Debian)\n\n  1. copy a long\n     binary\n     it runs there\n     undo: rm it\n\n  note: nothing\n  else\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_begins_is_one_line() {
        let line = step(&plan(), &Tell::Begun { change: 0 }, 12).map(|line| anstream::adapter::strip_str(&line).to_string());
        assert_eq!(line.as_deref(), Some("… copy a lo"));
    }
}
