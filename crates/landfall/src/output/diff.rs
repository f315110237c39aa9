//! Two texts of one file as a unified diff, which `patch` and people read.

use super::style::{ERROR, FAINT, GOOD, STRONG, harmless, paint};
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;

/// Empty when they are equal.
pub fn render(name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut out = String::new();
    for (index, hunk) in diff.unified_diff().context_radius(3).iter_hunks().enumerate() {
        if index == 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}\n{}", paint(STRONG, format!("--- {name}")), paint(STRONG, format!("+++ {name}")));
        }
        let _ = writeln!(out, "{}", paint(FAINT, hunk.header()));
        for change in hunk.iter_changes() {
            let line = harmless(change.value().trim_end_matches('\n'));
            let line = match change.tag() {
                ChangeTag::Equal => format!(" {line}"),
                ChangeTag::Delete => paint(ERROR, format!("-{line}")),
                ChangeTag::Insert => paint(GOOD, format!("+{line}")),
            };
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn only_what_differs_is_shown_with_lines_around_it() {
        let text = anstream::adapter::strip_str(&render("f", "a\nb\nc\nd\ne\n", "a\nb\nc\nx\nd\ne\n")).to_string();
        assert_eq!(text, "--- f\n+++ f\n@@ -1,5 +1,6 @@\n a\n b\n c\n+x\n d\n e\n");
        assert_eq!(render("f", "a\n", "a\n"), "");
    }
}
