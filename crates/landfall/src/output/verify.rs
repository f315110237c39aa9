//! What was found when somebody looked at an app from outside: a line for each look, and what to try below one that failed.

use super::style::{ERROR, FAINT, GOOD, HINT, harmless, paint};
use crate::project::count;
use crate::verify::{Finding, Verdict};

/// One line, or two.
pub fn finding(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Good => paint(GOOD, "✔"),
        Verdict::Failed => paint(ERROR, "✘"),
        Verdict::Skipped => paint(FAINT, "–"),
    };
    let mut text = format!("  {mark} {:<12} {}  {}", finding.check, harmless(&finding.at), paint(FAINT, harmless(&finding.seen)));
    if finding.verdict == Verdict::Failed {
        text = format!("  {mark} {:<12} {}  {}", finding.check, harmless(&finding.at), harmless(&finding.seen));
    }
    if let Some(remedy) = &finding.remedy {
        text.push_str(&format!("\n    {} {}", paint(HINT, "try:"), harmless(remedy)));
    }
    text
}

/// How it was on the whole.
pub fn sum(name: &str, findings: &[Finding]) -> String {
    let of = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (good, failed) = (of(Verdict::Good), of(Verdict::Failed));
    match failed {
        0 => format!("{} {}: {}, all as they should be", paint(GOOD, "✔"), harmless(name), count(good, "look")),
        _ => format!("{} {}: {} failed, {good} good", paint(ERROR, "✘"), harmless(name), count(failed, "look")),
    }
}
