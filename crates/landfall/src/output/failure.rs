//! Any error, for the terminal.

use super::style::{ERROR, FAINT, HINT, STRONG, harmless, paint};
use crate::error::Kind;
use landfall_model::api::Failure;
use std::fmt::Write as _;

/// Several lines: what, why (outermost first), what its program wrote last, what to try.
pub fn render(failure: &Failure, kind: Kind) -> String {
    let (style, word) = match kind {
        Kind::RolledBack => (ERROR, "rolled back:"),
        Kind::Interrupted => (STRONG, "interrupted:"),
        Kind::Bug => (ERROR, "bug:"),
        _ => (ERROR, "error:"),
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} {} {}",
        paint(style, word),
        paint(STRONG, harmless(&failure.message)),
        paint(FAINT, format!("[{}]", harmless(&failure.code)))
    );
    for cause in &failure.causes {
        let _ = writeln!(text, "  {} {}", paint(FAINT, "because"), harmless(cause));
    }
    if !failure.log.is_empty() {
        let _ = writeln!(text, "  {}", paint(FAINT, "its last lines:"));
        for line in &failure.log {
            let _ = writeln!(text, "  {} {}", paint(FAINT, "│"), harmless(line));
        }
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "  {} {}", paint(HINT, "try:"), harmless(hint));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_a_failure_knows_is_told_in_order() {
        let failure = Failure {
            code: "gate-failed".into(),
            message: "`web-3-1` did not pass its gate within 60 s".into(),
            causes: vec!["listens on 3000, `port` says 8000".into()],
            hints: vec!["write `port: 3000`".into()],
            log: vec!["listening\x1b[2J on 3000".into()],
        };
        let plain = anstream::adapter::strip_str(&render(&failure, Kind::RolledBack)).to_string();
        assert_eq!(
            plain,
            "rolled back: `web-3-1` did not pass its gate within 60 s [gate-failed]\n  because listens on 3000, `port` says 8000\n  its last lines:\n  │ listening\\u{1b}[2J on 3000\n  try: write `port: 3000`\n"
        );
    }
}
