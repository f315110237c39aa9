//! A complaint about a file, drawn on the excerpt it is about, as compilers do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use landfall_model::diagnostic::{Diagnostic, Severity, Span};
use std::collections::BTreeMap;
use std::ops::Range;

/// The complaint with excerpt, underline and hint. Without the file's text (or with a place outside of it) the place is only named.
pub fn render(diagnostic: &Diagnostic, sources: &BTreeMap<String, String>, width: usize) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let excerpt = diagnostic.span.as_ref().and_then(|span| Some((span, sources.get(&span.file)?)));
    let message = match (&diagnostic.span, excerpt) {
        (Some(span), None) => format!("{}:{}:{}: {}", span.file, span.line, span.column, diagnostic.message),
        _ => diagnostic.message.clone(),
    };
    let mut group = Group::with_title(level.primary_title(message).id(diagnostic.code.as_str()));
    if let Some((span, source)) = excerpt {
        let annotation = AnnotationKind::Primary.span(place(span, source));
        group = group.element(Snippet::source(source.as_str()).path(span.file.as_str()).annotation(annotation));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    Renderer::styled().term_width(width).render(&[group])
}

/// The span as a range that is certainly within the source, on characters, and no longer than its first line: a complaint about a mapping of
/// forty lines points at its head.
fn place(span: &Span, source: &str) -> Range<usize> {
    let start = floor(source, span.start.min(source.len()));
    let end = floor(source, span.end.clamp(start, source.len()));
    let line_end = source[start..].find('\n').map_or(source.len(), |i| start + i);
    start..end.min(line_end).max(start)
}

fn floor(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(source: &str, start: usize, end: usize) -> String {
        let span = Span { file: "compose.yaml".into(), start, end, line: 2, column: 5 };
        let diagnostic = Diagnostic::error("unknown-key", Some(span), "unknown key `imgae`").hint("did you mean `image`?");
        let sources = BTreeMap::from([("compose.yaml".to_owned(), source.to_owned())]);
        anstream::adapter::strip_str(&render(&diagnostic, &sources, 100)).to_string()
    }

    #[test]
    fn the_place_is_underlined() {
        let text = drawn("web:\n    imgae: x\n", 9, 14);
        assert!(text.contains("error[unknown-key]: unknown key `imgae`"), "{text}");
        assert!(text.contains("compose.yaml:2:5") && text.contains("^^^^^") && text.contains("did you mean `image`?"), "{text}");
    }

    #[test]
    fn a_place_that_cannot_be_is_no_panic() {
        for (start, end) in [(0, 0), (5, 2), (900, 901), (1, 2), (0, usize::MAX)] {
            assert!(drawn("éé: ü\nx", start, end).contains("unknown key"));
            assert!(drawn("", start, end).contains("unknown key"));
        }
    }
}
