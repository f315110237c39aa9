//! What Compose's reader of YAML lets pass and the scanner does not: tabs between a key's `:` and its value, and quoted text whose further lines
//! are indented no deeper than the key. Such places are rewritten for the scanner, and what was put in is known, so that places stay those of the
//! file.

use saphyr_parser::Parser;
use std::borrow::Cow;

/// Most bytes scanned to find such places: each costs one look at the whole file.
const MAX_SCANNED: usize = 3 * 1024 * 1024;

/// Blanks that were put in front of lines.
#[derive(Default)]
pub(super) struct Inserted {
    /// Character in the rewritten text, how many blanks, and how many before them; in order.
    blanks: Vec<(usize, usize, usize)>,
}

impl Inserted {
    /// The character of the file that a character of the rewritten text is.
    pub(super) fn original(&self, index: usize) -> usize {
        let after = self.blanks.partition_point(|(at, ..)| *at < index);
        match after.checked_sub(1).and_then(|i| self.blanks.get(i)) {
            Some((at, count, before)) => index - before - (*count).min(index - at),
            None => index,
        }
    }

    /// Blanks in front of the line that begins at a character of the rewritten text.
    pub(super) fn at_line(&self, start: usize) -> usize {
        self.blanks.binary_search_by_key(&start, |(at, ..)| *at).ok().and_then(|i| self.blanks.get(i)).map_or(0, |(_, count, _)| *count)
    }

    fn add(&mut self, lines: &[usize], count: usize) {
        // Each line's own blanks move those of the next, and all of them what was put in further down.
        let grown = |at: usize| lines.partition_point(|line| *line < at) * count;
        let mut all: Vec<(usize, usize)> = self.blanks.iter().map(|(at, n, _)| (at + grown(*at), *n)).collect();
        all.extend(lines.iter().enumerate().map(|(i, line)| (line + i * count, count)));
        all.sort_unstable();
        let mut before = 0;
        let place = |(at, n): (usize, usize)| {
            before += n;
            (at, n, before - n)
        };
        self.blanks = all.into_iter().map(place).collect();
    }
}

/// The text as the scanner takes it.
pub(super) fn rewrite(body: &str) -> (Cow<'_, str>, Inserted) {
    let (mut out, mut inserted, mut scanned) = (Cow::Borrowed(body), Inserted::default(), 0);
    // A quote that is open at the end of a line is one of an odd number on it.
    let odd = |line: &str, quote: char| line.contains(quote) && line.matches(quote).count() % 2 == 1;
    if !body.contains(":\t") && !body.lines().any(|line| odd(line, '"') || odd(line, '\'')) {
        return (out, inserted);
    }
    while scanned < MAX_SCANNED {
        scanned += out.len();
        let Some(error) = Parser::new_from_str(&out).find_map(Result::err) else { break };
        let at = out.char_indices().nth(error.marker().index()).map_or(out.len(), |(at, _)| at);
        let rewritten = if error.info().starts_with("':' must be followed") {
            without_tabs(&out, at)
        } else if error.info().starts_with("invalid indentation in quoted scalar") {
            indented(&out, (at, error.marker().col() + 1), &mut inserted)
        } else {
            None
        };
        match rewritten {
            Some(text) => out = Cow::Owned(text),
            None => break,
        }
    }
    (out, inserted)
}

/// Blanks for the tabs before the byte at `end`.
fn without_tabs(text: &str, end: usize) -> Option<String> {
    let kept = text[..end].trim_end_matches(['\t', ' ']).len();
    (kept < end).then(|| format!("{}{}{}", &text[..kept], " ".repeat(end - kept), &text[end..]))
}

/// The lines of the quoted text that begins at a byte, put `count` deeper: blanks in front of them mean nothing.
fn indented(text: &str, (start, count): (usize, usize), inserted: &mut Inserted) -> Option<String> {
    let end = start + super::place::quoted_length(&text[start..]);
    let mut lines: Vec<usize> = text[start..end].match_indices('\n').map(|(at, _)| start + at + 1).collect();
    // In the first column these would end the document, and do in Compose.
    lines.retain(|line| !["---", "..."].iter().any(|mark| text[*line..].starts_with(mark)));
    let blanks = " ".repeat(count);
    let mut out = text[..lines.first().copied()?].to_owned();
    for (i, line) in lines.iter().enumerate() {
        out.push_str(&blanks);
        out.push_str(&text[*line..lines.get(i + 1).copied().unwrap_or(text.len())]);
    }
    let (mut at, mut characters) = (0, 0);
    let in_characters = |line: &usize| {
        characters += text[at..*line].chars().count();
        at = *line;
        characters
    };
    let lines: Vec<usize> = lines.iter().map(in_characters).collect();
    inserted.add(&lines, count);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_taken_out_of_places() {
        let text = "é:\n  a: \"x\n  y\n z\"\n  b:\t'p\nq'\n  c: d\n";
        let (out, inserted) = rewrite(text);
        assert!(Parser::new_from_str(&out).all(|e| e.is_ok()), "{out}");
        let original: Vec<char> = text.chars().collect();
        for (index, c) in out.chars().enumerate().filter(|(_, c)| c.is_alphabetic()) {
            assert_eq!(original.get(inserted.original(index)), Some(&c));
        }
    }
}
