//! Where complaints gather while a file is read.
//!
//! A [`Place`] is small and `Copy`, so that every scalar and key can carry one; it becomes a [`Span`] with a file name only when somebody
//! complains. The report keeps each file's text to narrow a complaint down to the `${…}` that caused it. The number of complaints is bounded:
//! a hostile file must not make a hostile answer. A place gets one error: what a later stage finds there, or warns of, follows from what
//! the first one said.

use super::mask;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::visible::visible;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most complaints one run reports.
pub(crate) const MAX_DIAGNOSTICS: usize = 1000;

/// A place in one of the files of a [`Report`]. Offsets in bytes, line and column from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) file: u16,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> Located<T> {
    pub(crate) fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: f(self.value), place: self.place }
    }
}

struct File {
    name: String,
    text: String,
    /// False for files of variables: an excerpt of one would show passwords.
    shown: bool,
    /// What may not be shown of it all the same: values of secrets.
    masked: Vec<Range<usize>>,
}

/// The complaints so far, and the files they are about.
#[derive(Default)]
pub(crate) struct Report {
    files: Vec<File>,
    diagnostics: Vec<Diagnostic>,
    failed: bool,
    /// Where errors stand: file, start and end.
    blamed: BTreeSet<(String, usize, usize)>,
    /// Takes what is not told: what comes after [`MAX_DIAGNOSTICS`], and second errors of a place.
    untold: Option<Diagnostic>,
    full: bool,
}

/// The complaint just made, to add a hint to.
pub(crate) struct Noted<'a>(&'a mut Diagnostic);

impl Noted<'_> {
    pub(crate) fn hint(self, text: impl Into<String>) {
        self.0.hint = Some(visible(&text.into()).into_owned());
    }

    pub(crate) fn maybe_hint(self, text: Option<String>) {
        if let Some(text) = text {
            self.hint(text);
        }
    }
}

impl Report {
    /// Adds a file whose places will be named. `shown`: its text may be printed in excerpts.
    pub(crate) fn add_file(&mut self, name: &str, text: String, shown: bool) -> u16 {
        let masked = if shown { mask::ranges(&text) } else { Vec::new() };
        self.files.push(File { name: name.to_owned(), text, shown, masked });
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    pub(crate) fn text(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", |f| &f.text)
    }

    pub(crate) fn span(&self, place: Place) -> Option<Span> {
        let file = self.files.get(usize::from(place.file))?;
        Some(Span {
            file: file.name.clone(),
            start: place.start as usize,
            end: place.end as usize,
            line: place.line as usize,
            column: place.column as usize,
        })
    }

    pub(crate) fn error(&mut self, code: &str, place: Place, message: impl Into<String>) -> Noted<'_> {
        let span = self.span(place);
        self.push(Diagnostic::error(code, span, message))
    }

    pub(crate) fn warning(&mut self, code: &str, place: Place, message: impl Into<String>) -> Noted<'_> {
        let span = self.span(place);
        self.push(Diagnostic::warning(code, span, message))
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) -> Noted<'_> {
        let error = diagnostic.severity == Severity::Error;
        self.failed |= error;
        self.full |= self.diagnostics.len() >= MAX_DIAGNOSTICS;
        // An empty span stands for "somewhere in the file", of which there may be many.
        let span = diagnostic.span.as_ref().filter(|s| s.end > s.start).map(|s| (s.file.clone(), s.start, s.end));
        let new = self.full || span.is_none_or(|s| if error { self.blamed.insert(s) } else { !self.blamed.contains(&s) });
        if self.full || !new {
            return Noted(self.untold.insert(diagnostic));
        }
        self.untold = None;
        self.diagnostics.push(diagnostic);
        // Just pushed, so there is a last one; the fallback only spares an unwrap.
        match self.diagnostics.last_mut() {
            Some(last) => Noted(last),
            None => Noted(self.untold.insert(Diagnostic::error("", None, ""))),
        }
    }

    /// Takes a complaint that stands for itself, whatever else is told of its place: one of a rule. Nothing is told of a place where an
    /// error of the compiler stands.
    pub(crate) fn tell(&mut self, diagnostic: Diagnostic) {
        let blamed = diagnostic.span.as_ref().is_some_and(|s| self.blamed.contains(&(s.file.clone(), s.start, s.end)));
        self.full |= self.diagnostics.len() >= MAX_DIAGNOSTICS;
        if blamed || self.full {
            return;
        }
        self.failed |= diagnostic.severity == Severity::Error;
        self.diagnostics.push(diagnostic);
    }

    /// Takes over the errors of another report of the same files.
    pub(crate) fn take_errors(&mut self, other: Report) {
        for diagnostic in other.diagnostics.into_iter().filter(|d| d.severity == Severity::Error) {
            self.push(diagnostic);
        }
    }

    /// Where complaints of that code stand.
    pub(crate) fn places_of(&self, code: &str) -> impl Iterator<Item = &Span> {
        self.diagnostics.iter().filter(move |d| d.code == code).filter_map(|d| d.span.as_ref())
    }

    /// Adds a hint to the complaint made last, by somebody who knows more than the one who made it.
    pub(crate) fn hint_last(&mut self, text: impl Into<String>) {
        if let Some(last) = self.diagnostics.last_mut().filter(|_| self.untold.is_none()) {
            last.hint = Some(text.into());
        }
    }

    /// True when further complaints are dropped, so that none need be worked out.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// True once there was an error: the file cannot be used.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// A value for a message: as the file writes it at `place`, or `…` when it stands there only because a variable was put in, or is a secret.
    pub(crate) fn written(&self, place: Place, text: &str) -> String {
        let raw = self.text(place.file).get(place.start as usize..place.end as usize).unwrap_or("");
        if raw.contains(text) && !self.is_masked(place) { super::yaml::shorten(text) } else { "…".into() }
    }

    /// The part of a scalar's place that `offset..offset + len` of its text was written at, when the text stands in the file as it is (no
    /// escapes, no folding); otherwise the whole place.
    pub(crate) fn within(&self, place: Place, text: &str, offset: usize, len: usize) -> Place {
        let raw = self.text(place.file).get(place.start as usize..place.end as usize).unwrap_or("");
        let quote = usize::from(raw.starts_with(['"', '\'']));
        let as_written = raw.get(quote..).is_some_and(|r| r.starts_with(text)) && !text.contains('\n');
        match (as_written, text.get(..offset)) {
            (true, Some(before)) => {
                let start = place.start + (quote + offset) as u32;
                let column = place.column + (quote + before.chars().count()) as u32;
                Place { start, end: start + len as u32, column, ..place }
            }
            _ => place,
        }
    }

    /// As the file has it at a place.
    pub(crate) fn raw(&self, place: Place) -> &str {
        self.text(place.file).get(place.start as usize..place.end as usize).unwrap_or("")
    }

    /// True where a secret stands, or a part of one.
    pub(crate) fn is_masked(&self, place: Place) -> bool {
        let (start, end) = (place.start as usize, (place.end as usize).max(place.start as usize + 1));
        self.files.get(usize::from(place.file)).is_some_and(|f| f.masked.iter().any(|m| m.start < end && start < m.end))
    }

    /// True for a file whose text may be shown.
    pub(crate) fn is_shown(&self, file: u16) -> bool {
        self.files.get(usize::from(file)).is_some_and(|f| f.shown)
    }

    /// Files whose text may be shown.
    pub(crate) fn shown_files(&self) -> Vec<u16> {
        (0..self.files.len()).filter_map(|i| u16::try_from(i).ok()).filter(|i| self.is_shown(*i)).collect()
    }

    /// Complaints in reading order, and the texts excerpts may be taken from: without the secrets in them.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, BTreeMap<String, String>) {
        let mut diagnostics = self.diagnostics;
        crate::diagnostic::order(&mut diagnostics);
        if self.full {
            let text = format!("more than {MAX_DIAGNOSTICS} complaints; the rest is left out");
            diagnostics.push(Diagnostic::error("too-many-complaints", None, text));
        }
        let sources = self.files.into_iter().filter(|f| f.shown).map(|f| (f.name, mask::apply(&f.text, &f.masked))).collect();
        (diagnostics, sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_bounded() {
        let mut report = Report::default();
        for n in 0..MAX_DIAGNOSTICS + 5 {
            report.error("x", Place::default(), format!("{n}")).hint("h");
        }
        let (diagnostics, _) = report.finish();
        assert_eq!(diagnostics.len(), MAX_DIAGNOSTICS + 1);
        assert_eq!(diagnostics.last().map(|d| d.code.as_str()), Some("too-many-complaints"));
    }

    #[test]
    fn a_place_gets_one_error() {
        let mut report = Report::default();
        let file = report.add_file("f", "abc".into(), true);
        let place = Place { file, start: 0, end: 2, line: 1, column: 1 };
        report.error("first", place, "").hint("h");
        report.error("second", place, "").hint("not told");
        report.hint_last("not told");
        report.warning("third", place, "").hint("not told");
        report.warning("fourth", Place { end: 3, ..place }, "").hint("w");
        report.error("fifth", Place { end: 3, ..place }, "").hint("h");
        let codes: Vec<(String, Option<String>)> = report.finish().0.into_iter().map(|d| (d.code, d.hint)).collect();
        let want = [("first", "h"), ("fourth", "w"), ("fifth", "h")].map(|(c, h)| (c.to_owned(), Some(h.to_owned())));
        assert_eq!(codes.len(), 3);
        assert!(want.iter().all(|w| codes.contains(w)), "{codes:?}");
    }

    #[test]
    fn a_part_of_a_quoted_scalar_is_found_and_one_with_escapes_is_not() {
        let mut report = Report::default();
        let file = report.add_file("f", "a: \"x ${B}\"\nb: \"\\x41 ${B}\"".into(), true);
        let place = Place { file, start: 3, end: 11, line: 1, column: 4 };
        let part = report.within(place, "x ${B}", 2, 4);
        assert_eq!((part.start, part.end, part.column), (6, 10, 7));
        let escaped = Place { file, start: 15, end: 26, line: 2, column: 4 };
        assert_eq!(report.within(escaped, "A ${B}", 2, 4), escaped);
    }
}
