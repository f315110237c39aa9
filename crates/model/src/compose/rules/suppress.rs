//! `# landfall: allow CODE -- REASON`: a complaint of a rule that somebody has thought about.
//!
//! The comment stands at the end of the line complained about, or on lines of its own just above it. It names the rules (`a, b`) and gives a
//! reason, which is for the next reader of the file; without one it is refused, because a suppression nobody can judge is never removed. Only
//! complaints of rules can be suppressed: what the compiler refuses stays refused. A comment is one only outside of values: the text of a value
//! may speak of Landfall as it likes.

use super::super::node::{Entry, Node, Value};
use super::super::report::{Place, Report};
use super::super::suggest::did_you_mean;
use super::super::yaml::{quoted, shorten};
use crate::code::Code;
use crate::diagnostic::Severity;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Most comments read of one file.
const MAX_ALLOWED: usize = 1_000;

/// Rules that know something only when the caller does.
const BY_FACTS: [&str; 3] = ["env-file-in-git", "secret-file-in-git", "beyond-the-server"];

/// One rule allowed at one line.
struct Allow {
    code: String,
    file: u16,
    /// The line complained about.
    line: u32,
    /// Of the code in the comment.
    place: Place,
}

/// What the files allow, and what of it was of use.
pub(super) struct Allowed {
    list: Vec<Allow>,
    used: RefCell<BTreeSet<usize>>,
}

/// What explains that a comment suppresses nothing in this run.
pub(super) struct Skipped<'a> {
    /// Services that take no part.
    pub(super) disabled: &'a [Entry],
    /// The caller told nothing about git.
    pub(super) without_facts: bool,
}

impl Allowed {
    /// Reads the comments of every file that may be shown; complains about those without a reason and about unknown codes.
    pub(super) fn read(dockerfiles: &BTreeSet<u16>, report: &mut Report) -> Self {
        let mut out = Self { list: Vec::new(), used: RefCell::default() };
        let known: Vec<&str> = super::GROUPS.iter().flat_map(|g| g.iter()).map(|r| r.code.code).collect();
        for file in report.shown_files() {
            let text = report.text(file);
            if !text.contains("landfall: allow") {
                continue;
            }
            let comments = comments(text, file, dockerfiles.contains(&file));
            for comment in comments {
                if comment.reason.is_empty() {
                    report
                        .error("suppression-without-reason", comment.place, "this suppression gives no reason")
                        .hint("write `# landfall: allow CODE -- why this is right here`");
                    continue;
                }
                if comment.codes.is_empty() {
                    report
                        .error("unknown-suppression", comment.place, "this suppression names no rule")
                        .hint("write `# landfall: allow CODE -- why this is right here`");
                }
                for (code, place) in comment.codes {
                    if known.contains(&code.as_str()) {
                        out.list.push(Allow { code, file, line: comment.line, place });
                    } else {
                        let longer = known.iter().find(|k| k.contains(code.as_str())).map(|k| format!("did you mean `{k}`?"));
                        let hint = did_you_mean(&code, known.iter().copied())
                            .or(longer)
                            .unwrap_or_else(|| "only rules can be suppressed; `landfall explain CODE` shows what each one wants".into());
                        report.error("unknown-suppression", place, format!("there is no rule `{}`", shorten(&code))).hint(hint);
                    }
                }
            }
        }
        out
    }

    /// True when the file allows this complaint here.
    pub(super) fn covers(&self, code: &str, place: Place) -> bool {
        let found = self.list.iter().enumerate().filter(|(_, a)| a.file == place.file && a.line == place.line && a.code == code);
        let mut used = self.used.borrow_mut();
        let before = used.len();
        let indices: Vec<usize> = found.map(|(i, _)| i).collect();
        let any = !indices.is_empty();
        used.extend(indices);
        any || used.len() > before
    }

    /// Warns of what suppressed nothing.
    pub(super) fn report(&self, skipped: &Skipped<'_>, report: &mut Report) {
        let used = self.used.borrow();
        for allow in self.list.iter().enumerate().filter(|(i, _)| !used.contains(i)).map(|(_, a)| a) {
            let idle = skipped.disabled.iter().any(|e| {
                let last = last_line(&e.value, 0);
                e.key_place.file == allow.file && (e.key_place.line..=last.max(e.key_place.line)).contains(&allow.line)
            });
            if idle || (skipped.without_facts && BY_FACTS.contains(&allow.code.as_str())) {
                continue;
            }
            report
                .warning("unused-suppression", allow.place, format!("nothing here breaks the rule `{}`", allow.code))
                .hint("remove the comment, or move it to the line that is complained about");
        }
    }
}

/// The last line a node is written on; bounded by the depth a file may have.
fn last_line(node: &Node, depth: usize) -> u32 {
    let own = node.place.line;
    if depth > super::super::MAX_DEPTH {
        return own;
    }
    match &node.value {
        Value::Scalar(_) => own,
        Value::List(items) => items.iter().map(|n| last_line(n, depth + 1)).max().unwrap_or(own),
        Value::Map(entries) => entries.iter().map(|e| last_line(&e.value, depth + 1).max(e.key_place.line)).max().unwrap_or(own),
    }
}

struct Comment {
    codes: Vec<(String, Place)>,
    reason: String,
    place: Place,
    /// The line it speaks of.
    line: u32,
}

/// The comments of a file that speak to Landfall.
fn comments(text: &str, file: u16, dockerfile: bool) -> Vec<Comment> {
    // A plain scalar ends before a comment.
    let scalars = if dockerfile { Vec::new() } else { quoted(text) };
    let mut out: Vec<Comment> = Vec::new();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut offset = 0;
    for (index, raw) in lines.iter().enumerate() {
        let start = offset;
        offset += raw.len();
        let Some(at) = find(raw) else { continue };
        let inside = scalars.binary_search_by(|(from, to)| {
            if *to <= start + at {
                std::cmp::Ordering::Less
            } else if *from > start + at {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        });
        if inside.is_ok() || out.len() >= MAX_ALLOWED {
            continue;
        }
        let alone = raw[..at].trim_start_matches('\u{feff}').trim().is_empty();
        if dockerfile && !alone {
            continue;
        }
        // One on a line of its own speaks of the next line that is no comment.
        let below = || lines.iter().enumerate().skip(index + 1).find(|(_, l)| !l.trim_start().starts_with('#')).map_or(index, |(i, _)| i);
        let line = if alone { below() } else { index } as u32 + 1;
        out.push(comment(raw.trim_end(), (at, start), Place { file, line: index as u32 + 1, ..Place::default() }, line));
    }
    out
}

/// Where the `#` of a comment to Landfall stands in a line.
fn find(line: &str) -> Option<usize> {
    let word = line.find("landfall: allow")?;
    let at = line[..word].rfind('#')?;
    let blank = line[at + 1..word].chars().all(char::is_whitespace);
    let begins = line[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == '\u{feff}');
    (blank && begins).then_some(at)
}

fn comment(raw: &str, (at, start): (usize, usize), here: Place, line: u32) -> Comment {
    let part = |from: usize, len: usize| Place {
        start: (start + from) as u32,
        end: (start + from + len) as u32,
        column: raw[..from].trim_start_matches('\u{feff}').chars().count() as u32 + 1,
        ..here
    };
    let said = raw[at..].find("allow").map_or(raw.len(), |i| at + i + "allow".len());
    let (list, reason) = raw[said..].split_once("--").unwrap_or((&raw[said..], ""));
    let mut codes = Vec::new();
    let mut from = said;
    for piece in list.split(',') {
        let code = piece.trim();
        if !code.is_empty() {
            let lead = piece.len() - piece.trim_start().len();
            codes.push((code.to_owned(), part(from + lead, code.len())));
        }
        from += piece.len() + 1;
    }
    Comment { codes, reason: reason.trim().to_owned(), place: part(at, raw.len() - at), line }
}

/// Pages of the complaints about suppressions.
pub(super) const CODES: [Code; 3] = [
    Code {
        code: "suppression-without-reason",
        severity: Severity::Error,
        title: "A suppression gives no reason",
        reason: "A suppression nobody can judge is never removed, and hides the next mistake on the same line.",
        remedy: "Write the reason after `--`.",
        bad: "services:\n  web:\n    image: acme/web:latest # landfall: allow latest-image\n",
        good: "services:\n  web:\n    image: acme/web:latest # landfall: allow latest-image -- the release pins the digest\n",
    },
    Code {
        code: "unknown-suppression",
        severity: Severity::Error,
        title: "A suppression names a rule that does not exist",
        reason: "It suppresses nothing, and its author believes it does. Only rules can be suppressed, never what the compiler refuses.",
        remedy: "Write the code the complaint shows in brackets.",
        bad: "services:\n  web:\n    image: acme/web:latest # landfall: allow latest -- the release pins the digest\n",
        good: "services:\n  web:\n    image: acme/web:latest # landfall: allow latest-image -- the release pins the digest\n",
    },
    Code {
        code: "unused-suppression",
        severity: Severity::Warning,
        title: "A suppression suppresses nothing",
        reason: "What it spoke of was put right or has moved; left standing, it will hide the next complaint that comes to its line.",
        remedy: "Remove the comment, or move it to the line that is complained about.",
        bad: "services:\n  web:\n    image: acme/web:1.4 # landfall: allow latest-image -- the release pins the digest\n",
        good: "services:\n  web:\n    image: acme/web:1.4\n",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_outside_of_values_only() {
        let text = "a: 1 # landfall: allow one, two -- why\nb: \"x # landfall: allow no -- why\"\nc: |\n  # landfall: allow no -- why\n  text\n\
                    # landfall: allow three -- why\n# more\nd: 1\ne: x#landfall: allow no -- y\nf: é # landfall: allow four\n";
        let found = comments(text, 0, false);
        let said: Vec<(Vec<&str>, u32, u32, &str)> =
            found.iter().map(|c| (c.codes.iter().map(|(c, _)| c.as_str()).collect(), c.place.line, c.line, c.reason.as_str())).collect();
        assert_eq!(said, [(vec!["one", "two"], 1, 1, "why"), (vec!["three"], 6, 8, "why"), (vec!["four"], 10, 10, "")]);
        let two = &found[0].codes[1].1;
        assert_eq!((&text[two.start as usize..two.end as usize], two.column), ("two", 29));
    }
}
