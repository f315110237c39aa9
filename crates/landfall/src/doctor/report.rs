//! What an examination ends with: findings, counts, a grade. The shape of `landfall server doctor --json`, which `docs/guides/doctor.md` describes.

use super::quote::quoted;
use serde::{Deserialize, Serialize};

/// Longest text of a finding, in characters: names in it are those of others.
const MAX_TEXT: usize = 500;
/// Most findings of one check; the rest is counted.
const MAX_EACH: usize = 20;

/// An examined server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `Debian GNU/Linux 12 (bookworm), x86_64, systemd`
    pub server: String,
    /// Of the Landfall that examined it.
    pub version: String,
    /// When, by the server's clock; milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// All in all.
    pub grade: Grade,
    /// How many findings there are of each severity.
    pub counts: Counts,
    /// At least one for each check, in the order of the checks.
    pub findings: Vec<Finding>,
}

/// All in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grade {
    /// Everything was checked, and there is not one warning.
    A,
    /// At most two warnings, or something could not be checked.
    B,
    /// Three warnings or more.
    C,
    /// One thing is critical.
    D,
    /// Several are.
    F,
}

/// How many findings there are of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In order.
    pub ok: usize,
    /// Good to know.
    pub note: usize,
    /// Not known.
    pub unchecked: usize,
    /// To be put right soon.
    pub warning: usize,
    /// To be put right now.
    pub critical: usize,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// In order.
    Ok,
    /// Good to know.
    Note,
    /// It could not be found out.
    Unchecked,
    /// To be put right soon.
    Warning,
    /// To be put right now.
    Critical,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// What the world reaches.
    Network,
    /// How people come in.
    Ssh,
    /// What is old.
    Updates,
    /// The container engine and what runs on it.
    Engine,
    /// Disks, memory, clock.
    Machine,
    /// Landfall and its apps.
    Apps,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable word: `open-port`.
    pub check: String,
    /// What it is about.
    pub area: Area,
    /// How bad.
    pub severity: Severity,
    /// What was seen.
    pub seen: String,
    /// Why it matters; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedy: Vec<Remedy>,
}

/// A way to put it right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// In words.
    pub what: String,
    /// Lines for root's shell on the server. Names of others in them are quoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
}

impl Remedy {
    /// In words alone.
    pub(super) fn say(what: impl Into<String>) -> Self {
        Self { what: what.into(), run: Vec::new() }
    }

    /// With a program and its arguments, to be pasted.
    #[must_use]
    pub(super) fn run(mut self, argv: &[&str]) -> Self {
        self.run.push(argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        self
    }

    /// What the last line prints goes into a file.
    #[must_use]
    pub(super) fn into_file(mut self, path: &str) -> Self {
        if let Some(last) = self.run.last_mut() {
            last.push_str(" > ");
            last.push_str(&quoted(path));
        }
        self
    }
}

/// A check: its word, what it is about, and why it matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) id: &'static str,
    pub(super) area: Area,
    pub(super) why: &'static str,
}

impl Check {
    /// In order.
    pub(super) fn ok(&self, seen: impl Into<String>) -> Finding {
        Finding { why: None, ..self.finding(Severity::Ok, seen.into(), Vec::new()) }
    }

    /// Not as it could be.
    pub(super) fn found(&self, severity: Severity, seen: impl Into<String>, remedy: Vec<Remedy>) -> Finding {
        self.finding(severity, seen.into(), remedy)
    }

    /// It could not be found out.
    pub(super) fn unchecked(&self, why: &str) -> Finding {
        self.finding(Severity::Unchecked, format!("could not be checked: {why}"), Vec::new())
    }

    /// Its findings, or that all is well. Many are cut short, and it is said how many there are.
    pub(super) fn each(&self, mut findings: Vec<Finding>, well: impl Into<String>) -> Vec<Finding> {
        if findings.is_empty() {
            return vec![self.ok(well)];
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let more = findings.split_off(findings.len().min(MAX_EACH));
        if let Some(worst) = more.first() {
            findings.push(self.finding(worst.severity, format!("and {} more like these", more.len()), Vec::new()));
        }
        findings
    }

    fn finding(&self, severity: Severity, seen: String, remedy: Vec<Remedy>) -> Finding {
        let seen = if seen.chars().count() > MAX_TEXT { seen.chars().take(MAX_TEXT).chain(['…']).collect() } else { seen };
        Finding { check: self.id.to_owned(), area: self.area, severity, seen, why: Some(self.why.to_owned()), remedy }
    }
}

impl Counts {
    pub(super) fn of(findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        Self {
            ok: count(Severity::Ok),
            note: count(Severity::Note),
            unchecked: count(Severity::Unchecked),
            warning: count(Severity::Warning),
            critical: count(Severity::Critical),
        }
    }

    pub(super) fn grade(self) -> Grade {
        match (self.critical, self.warning, self.unchecked) {
            (0, 0, 0) => Grade::A,
            (0, 0..=2, _) => Grade::B,
            (0, _, _) => Grade::C,
            (1, _, _) => Grade::D,
            _ => Grade::F,
        }
    }

    /// Something is to be put right.
    pub fn is_bad(self) -> bool {
        self.warning + self.critical > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Check = Check { id: "open-port", area: Area::Network, why: "because" };

    #[test]
    fn the_grade_follows_from_the_counts() {
        let grade = |critical, warning, unchecked| Counts { critical, warning, unchecked, ok: 20, note: 5 }.grade();
        assert_eq!([grade(0, 0, 0), grade(0, 0, 1), grade(0, 2, 0), grade(0, 3, 0)], [Grade::A, Grade::B, Grade::B, Grade::C]);
        assert_eq!([grade(1, 0, 0), grade(1, 9, 9), grade(2, 0, 0)], [Grade::D, Grade::D, Grade::F]);
    }

    #[test]
    fn many_findings_are_cut_short_and_counted_and_texts_are_bounded() {
        let many = (0..30).map(|n| CHECK.found(Severity::Warning, format!("{n} {}", "x".repeat(9000)), Vec::new())).collect();
        let told = CHECK.each(many, "");
        assert_eq!(told.len(), MAX_EACH + 1);
        assert_eq!(told.last().unwrap().seen, "and 10 more like these");
        assert!(told.iter().all(|finding| finding.seen.chars().count() <= MAX_TEXT + 1));
        assert_eq!(CHECK.each(Vec::new(), "fine"), [CHECK.ok("fine")]);
    }

    #[test]
    fn what_is_pasted_holds_no_word_that_a_shell_would_obey() {
        let remedy = Remedy::say("remove it").run(&["docker", "rm", "a; rm -rf /"]).run(&["kill", "12"]);
        assert_eq!(remedy.run, ["docker rm 'a; rm -rf /'", "kill 12"]);
    }
}
