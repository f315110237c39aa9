//! A located complaint about a user's file.
//!
//! Everything that is wrong with a file is found in one pass and ordered by place; each complaint says what is wrong, where to
//! the column, and what to write instead. How it is drawn is the terminal's business (`landfall/output`).

use crate::visible::visible;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, but not as its author may think.
    Warning,
}

/// A place in a file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// As the user named it.
    pub file: String,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset after the last byte.
    pub end: usize,
    /// Line of the first byte.
    pub line: usize,
    /// Column of the first byte.
    pub column: usize,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where; absent for a complaint about something that is not in any file.
    pub span: Option<Span>,
    /// How bad.
    pub severity: Severity,
    /// Stable word, such as `unknown-key`.
    pub code: String,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A complaint that makes the file unusable.
    pub fn error(code: &str, span: Option<Span>, message: impl Into<String>) -> Self {
        Self { span, severity: Severity::Error, code: code.to_owned(), message: visible(&message.into()).into_owned(), hint: None }
    }

    /// A complaint the user may live with.
    pub fn warning(code: &str, span: Option<Span>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Adds what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(visible(&hint.into()).into_owned());
        self
    }
}

/// Orders complaints as a reader meets them: by file, place, then severity; equal ones once.
pub fn order(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| d.span.as_ref().map(|s| (s.file.clone(), s.start));
        key(a).cmp(&key(b)).then(a.severity.cmp(&b.severity)).then(a.message.cmp(&b.message))
    });
    diagnostics.dedup();
}
