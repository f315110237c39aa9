//! A complaint about a file, drawn on the excerpt it is about, as compilers do.
//!
//! In YAML a line means little without the keys it is under, so the excerpt shows those too: `services:`, the service, the block. Only a window of
//! the file is looked at for each complaint; a file of thousands of lines with hundreds of complaints is drawn as fast as it is read.

use super::style::harmless;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use landfall_model::diagnostic::{Diagnostic, Severity, Span};
use std::collections::BTreeMap;
use std::ops::Range;

/// Lines above a complaint that may be shown.
const WINDOW: usize = 48;
/// Most enclosing keys an excerpt shows.
const ENCLOSING: usize = 4;
/// A hint of this form is short enough to stand at the underline.
const NEAR: &str = "did you mean ";

/// The complaint with excerpt, underline and hint. Without the file's text (or with a place outside of it) the place is only named.
pub fn render(diagnostic: &Diagnostic, sources: &BTreeMap<String, String>, width: usize) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // Of a file that is empty or could not be read there is nothing to show, and its name is in the message.
    let file = |span: &Span| sources.get(&span.file).filter(|source| !source.trim().is_empty());
    let excerpt = diagnostic.span.as_ref().and_then(|span| Some((span, file(span)?)));
    let message = match (&diagnostic.span, excerpt) {
        (Some(span), None) if !sources.contains_key(&span.file) => {
            format!("{}:{}:{}: {}", harmless(&span.file), span.line, span.column, diagnostic.message)
        }
        _ => diagnostic.message.clone(),
    };
    let inline = diagnostic.hint.as_deref().filter(|hint| excerpt.is_some() && hint.starts_with(NEAR));
    let mut group = Group::with_title(level.primary_title(message).id(diagnostic.code.as_str()));
    if let Some((span, source)) = excerpt {
        let window = Window::around(span, source);
        let mut primary = AnnotationKind::Primary.span(window.place.clone());
        if let Some(hint) = inline {
            primary = primary.label(hint);
        }
        let visible = window.enclosing().into_iter().map(|key| AnnotationKind::Visible.span(key));
        let snippet = Snippet::source(window.text).line_start(window.first_line).path(harmless(&span.file));
        group = group.element(snippet.annotations(visible.chain([primary])));
    }
    if let Some(hint) = diagnostic.hint.as_deref().filter(|_| inline.is_none()) {
        group = group.element(Level::HELP.message(hint));
    }
    Renderer::styled().term_width(width).render(&[group])
}

/// The part of a file an excerpt is taken from.
struct Window<'a> {
    text: &'a str,
    /// Number of its first line.
    first_line: usize,
    /// Of the complaint, within `text`.
    place: Range<usize>,
}

impl<'a> Window<'a> {
    /// From some lines above the place to the end of its line.
    fn around(span: &Span, source: &'a str) -> Self {
        let place = place(span, source);
        let mut start = line_start(source, place.start);
        let mut above = 0;
        while start > 0 && above < WINDOW {
            start = line_start(source, start - 1);
            above += 1;
        }
        let end = source[place.end..].find('\n').map_or(source.len(), |i| place.end + i + 1);
        Self {
            text: &source[start..end],
            first_line: span.line.saturating_sub(above).max(1),
            place: place.start - start..place.end - start,
        }
    }

    /// The keys the complaint is under: lines above that are indented less and less.
    fn enclosing(&self) -> Vec<Range<usize>> {
        let own = line_start(self.text, self.place.start);
        let mut depth = indent(&self.text[own..]).unwrap_or(0);
        let (mut found, mut end) = (Vec::new(), own);
        while end > 0 && depth > 0 && found.len() < ENCLOSING {
            let start = line_start(self.text, end - 1);
            let line = &self.text[start..end];
            if let Some(shallower) = indent(line).filter(|indent| *indent < depth) {
                depth = shallower;
                found.push(start..start + line.trim_end().len());
            }
            end = start;
        }
        found
    }
}

/// Blanks a line begins with; `None` for one that has no content. A list's dash may stand at the depth of its key, so it counts as half a step.
fn indent(line: &str) -> Option<usize> {
    let line = line.split('\n').next().unwrap_or("");
    let content = line.trim_start_matches(' ');
    let dash = usize::from(content.starts_with("- "));
    (!content.trim().is_empty() && !content.starts_with('#')).then(|| 2 * (line.len() - content.len()) + dash)
}

/// Offset of the first byte of the line that an offset is on.
fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |i| i + 1)
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

    fn drawn(source: &str, (start, end): (usize, usize), line: usize) -> String {
        let span = Span { file: "compose.yaml".into(), start, end, line, column: 5 };
        let diagnostic = Diagnostic::error("unknown-key", Some(span), "unknown key `imgae`").hint("did you mean `image`?");
        let sources = BTreeMap::from([("compose.yaml".to_owned(), source.to_owned())]);
        anstream::adapter::strip_str(&render(&diagnostic, &sources, 100)).to_string()
    }

    #[test]
    fn the_place_is_underlined_under_the_keys_it_belongs_to() {
        let source = "services:\n  # the site\n  # of ours\n  web:\n    command: x\n    init: true\n    ports:\n    - target: 80\n      imgae: x\n  db:\n    image: y\n";
        let start = source.find("imgae").unwrap();
        let text = drawn(source, (start, start + 5), 9);
        assert!(text.contains("error[unknown-key]: unknown key `imgae`") && text.contains("compose.yaml:9:7"), "{text}");
        assert!(text.contains("^^^^^ did you mean `image`?"), "{text}");
        for shown in ["services:", "web:", "ports:", "- target: 80"] {
            assert!(text.contains(shown), "{shown}\n{text}");
        }
        assert!(!text.contains("db:") && !text.contains("command") && !text.contains("the site"), "{text}");
    }

    #[test]
    fn a_place_that_cannot_be_is_no_panic() {
        for (start, end) in [(0, 0), (5, 2), (900, 901), (1, 2), (0, usize::MAX)] {
            assert!(drawn("éé: ü\nx", (start, end), 2).contains("unknown key"));
            assert!(drawn("", (start, end), 1).contains("unknown key"));
        }
    }
}
