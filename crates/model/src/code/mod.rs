//! The catalogue of complaints: every code a diagnostic may carry, what it means, and what to do about it.
//!
//! A code is a stable word: people write it into suppressions and search for it. The pages of `docs/reference/diagnostics/`, `landfall explain`,
//! `--format sarif` and the tests read this catalogue, so a code that is not in it cannot be complained with. The codes of the production rules
//! stand beside their checks and are part of it.

mod deploy;
mod file;
mod filter;
mod text;

use crate::diagnostic::Severity;
use std::fmt::Write as _;

/// One code.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// The stable word: `latest-image`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One line, without a full stop: what is wrong.
    pub title: &'static str,
    /// Why it matters, in one or two sentences: what happens at 3 a.m.
    pub reason: &'static str,
    /// What to do, in one or two sentences.
    pub remedy: &'static str,
    /// The shortest file (or part of one) that has it.
    pub bad: &'static str,
    /// The same, put right.
    pub good: &'static str,
}

/// What complaints of the compiler can be about, each in order of its words.
const COMPILE: [&[Code]; 4] = [text::CODES, file::CODES, deploy::CODES, filter::CODES];

/// Codes of the compiler: they cannot be suppressed.
pub fn compile() -> impl Iterator<Item = &'static Code> {
    COMPILE.into_iter().flatten()
}

/// Every code, those of the production rules too, in order of its word.
pub fn all() -> Vec<Code> {
    let mut all: Vec<Code> = compile().copied().chain(crate::compose::rules()).collect();
    all.sort_by_key(|code| code.code);
    all
}

/// The code of that word.
pub fn find(word: &str) -> Option<Code> {
    compile().copied().chain(crate::compose::rules()).find(|code| code.code == word)
}

/// The code that is spelt most like a word, if any is.
pub fn nearest(word: &str) -> Option<&'static str> {
    crate::compose::suggest::nearest(word, all().into_iter().map(|code| code.code))
}

/// The page that lists the pages.
pub fn index() -> String {
    let mut page = String::from(
        "# What Landfall complains about\n\nEvery complaint about a Compose file carries one of these codes. `landfall explain CODE` prints the \
         same page.\n\n| code | severity | what is wrong |\n| --- | --- | --- |\n",
    );
    for known in all() {
        let (code, title) = (known.code, known.headline());
        let severity = match known.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| [{code}]({code}.md) | {severity} | {title} |");
    }
    page
}

impl Code {
    /// Its page, as Markdown.
    pub fn page(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error: the file cannot be used",
            Severity::Warning => "warning: the file can be used, but not as its author may think",
        };
        let mut page = format!("# {}\n\n{}.\n\n*{severity}*\n", self.code, self.headline());
        // Writing to a String cannot fail.
        let _ = write!(page, "\n**Why:** {}\n\n**What to do:** {}\n", self.reason, self.remedy);
        if self.can_be_allowed() {
            let _ = write!(
                page,
                "\n**To allow it:** write `# landfall: allow {} -- the reason` at the end of the line that is complained about, or on the line \
                 above it.\n",
                self.code
            );
        }
        for (head, example) in [("Complained about", self.bad), ("Put right", self.good)] {
            let _ = write!(page, "\n## {head}\n");
            for (name, text) in files(example) {
                let language = if text.starts_with("$ ") { "console" } else { "yaml" };
                let name = if name.is_empty() { String::new() } else { format!("\n{name}:\n") };
                let _ = write!(page, "{name}\n```{language}\n{}```\n", ended(text));
            }
        }
        page
    }

    /// The title as a line of its own begins.
    pub fn headline(&self) -> String {
        let mut chars = self.title.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    }

    /// Whether a comment in the file may allow it: a production rule's complaint, and no other's.
    pub fn can_be_allowed(&self) -> bool {
        compile().all(|code| code.code != self.code) && !self.code.contains("suppression")
    }
}

/// The files of an example: `---- file PATH` begins another one.
fn files(example: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = example.split("\n---- ");
    let first = parts.next().map(|text| ("", text));
    first.into_iter().chain(parts.filter_map(|part| part.split_once('\n')))
}

/// With the end of its last line.
fn ended(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_codes_and_its_texts_are_whole() {
        for group in COMPILE {
            assert!(group.windows(2).all(|w| w[0].code < w[1].code), "in order");
        }
        assert!(all().windows(2).all(|w| w[0].code < w[1].code), "each once");
        for Code { code, title, reason, remedy, bad, good, .. } in all() {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{code}");
            assert!(!title.is_empty() && !title.ends_with('.'), "{code}: a title is no sentence");
            assert!(reason.ends_with('.') && remedy.ends_with('.'), "{code}: sentences");
            assert!(bad != good && bad.ends_with('\n') && good.ends_with('\n'), "{code}: examples");
        }
    }
}
