//! The catalogue of complaints: every code a diagnostic may carry, what it means, and what to do about it.
//!
//! A code is a stable word: people write it into suppressions and search for it. The pages of `docs/reference/diagnostics/`, `--format sarif` and
//! the tests read this catalogue, so a code that is not in it cannot be complained with.

use crate::diagnostic::Severity;

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
