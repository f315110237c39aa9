//! Which bytes of a Compose file may not be shown: values of variables that are secret by their name or by their shape.
//!
//! Excerpts are drawn from the text, and also from files that are no YAML, so secrets are found by the text alone: `NAME: value` and `NAME=value`
//! in every form YAML has for them, options of command lines, passwords in URLs, tokens and hashes in the form their makers gave them. What is in
//! doubt is hidden: an excerpt loses little by it. A value that only refers to a variable (`${NAME}`, `${NAME:?…}`) is shown.

mod names;
mod shape;
#[cfg(test)]
mod tests;

use names::{is_holder, is_option, is_secret};
use std::ops::Range;

/// The ranges, in order and apart from each other.
pub(crate) fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut masker = Masker { text, found: Vec::new(), aliases: Vec::new() };
    masker.names();
    masker.anchors();
    masker.found.extend(shape::find(text));
    let mut found = masker.found;
    found.retain(|range| range.start < range.end);
    found.sort_by_key(|range| (range.start, range.end));
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in found {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// The text with every byte of those ranges replaced, so that places and columns stay what they are.
pub(crate) fn apply(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        let (Some(before), Some(hidden)) = (text.get(at..range.start), text.get(range.clone())) else { continue };
        out.push_str(before);
        out.extend(hidden.chars().map(|c| match c.len_utf8() {
            _ if matches!(c, '\n' | '\r') => c,
            1 => '*',
            2 => '·',
            3 => '•',
            _ => '🞄',
        }));
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}

/// The text of a Compose file as it may be shown.
pub fn without_secrets(text: &str) -> String {
    apply(text, &ranges(text))
}

struct Masker<'a> {
    text: &'a str,
    found: Vec<Range<usize>>,
    /// Anchors whose values are values of secrets.
    aliases: Vec<&'a str>,
}

/// What follows a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Colon,
    Equals,
    /// The next word of a command line.
    Next,
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')
}

impl<'a> Masker<'a> {
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(b'\n')
    }

    fn line_start(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        self.text.as_bytes()[at..].iter().position(|b| *b == b'\n').map_or(self.text.len(), |i| at + i)
    }

    fn blanks(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\t') {
            at += 1;
        }
        at
    }

    fn hide(&mut self, start: usize, end: usize) {
        self.found.push(start..end.min(self.text.len()));
    }

    /// Every name that is a secret's, with what follows it.
    fn names(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if !is_name(self.byte(at)) {
                at += 1;
                continue;
            }
            let start = at;
            while at < bytes.len() && is_name(self.byte(at)) {
                at += 1;
            }
            let word = &self.text[start..at];
            let plain = word.trim_start_matches('-');
            let option = plain.len() < word.len();
            if is_secret(plain) || (option && is_option(plain)) {
                self.named(start, at, option);
            }
        }
    }

    /// The value of the name that stands at `start..end`.
    fn named(&mut self, start: usize, end: usize, option: bool) {
        let quote = (start > 0).then(|| self.byte(start - 1)).filter(|b| matches!(b, b'"' | b'\''));
        let closed = quote.is_some() && quote == Some(self.byte(end));
        let after = self.blanks(if closed { end + 1 } else { end });
        match self.byte(after) {
            b'=' => self.value((start, after + 1), Sign::Equals, quote.filter(|_| !closed)),
            b':' if closed || matches!(self.byte(after + 1), b' ' | b'\t' | b'\n' | b'\r') => {
                self.value((start, after + 1), Sign::Colon, None)
            }
            _ if option => self.value((start, after), Sign::Next, quote.filter(|_| !closed)),
            b'\n' | b'\r' if self.explicit(start) => {
                // `? NAME` and `: value` on the next line.
                let next = self.blanks((self.line_end(after) + 1).min(self.text.len()));
                if self.byte(next) == b':' {
                    self.value((start, next + 1), Sign::Colon, None);
                }
            }
            _ => {}
        }
    }

    fn explicit(&self, start: usize) -> bool {
        self.text[self.line_start(start)..start].trim_end_matches(['"', '\'']).trim_end().ends_with('?')
    }

    /// The value that begins after `at`; the name began at `name`, and `quote` is open around both.
    fn value(&mut self, (name, at): (usize, usize), sign: Sign, quote: Option<u8>) {
        let mut at = self.blanks(at);
        if sign == Sign::Next {
            at = self.next_word(at);
        }
        // `&anchor` and `!tag` stand before a value.
        while sign == Sign::Colon && matches!(self.byte(at), b'&' | b'!') {
            while !self.byte(at).is_ascii_whitespace() {
                at += 1;
            }
            at = self.blanks(at);
        }
        let line_end = self.line_end(at.min(self.text.len()));
        let rest = self.text[at.min(self.text.len())..line_end].trim_end();
        match self.byte(at) {
            b'*' if sign == Sign::Colon => {
                let end = rest[1..].find([',', '}', ']', ' ']).map_or(rest.len(), |i| i + 1);
                self.aliases.push(&self.text[at + 1..at + end]);
            }
            b'{' if sign == Sign::Colon => self.flow(at),
            b'[' if sign == Sign::Colon => {
                let end = self.matching(at);
                self.hide(at + 1, end);
            }
            b'|' | b'>' if sign == Sign::Colon && rest.len() <= 4 => self.below(name, line_end, true),
            b'\n' | b'\r' | b'#' if sign == Sign::Colon => self.below(name, line_end, false),
            open @ (b'"' | b'\'') if quote.is_none() => {
                let end = self.closing(at, open);
                self.text_value(at + 1, end);
            }
            _ if rest.is_empty() => {}
            _ => {
                let end = self.end_of_plain((name, at), sign, quote);
                self.text_value(at, end);
                if end >= at + rest.len() && sign != Sign::Next && quote.is_none() {
                    self.below(name, line_end, true);
                }
            }
        }
    }

    /// Where a value without quotes of its own ends.
    fn end_of_plain(&self, (name, at): (usize, usize), sign: Sign, quote: Option<u8>) -> usize {
        let line_end = self.line_end(at);
        let line = &self.text[at..line_end];
        if let Some(quote) = quote {
            return line.find(char::from(quote)).map_or(line_end, |i| at + i);
        }
        let before = self.text[self.line_start(name)..name].trim_end_matches(['"', '\'']).trim_end();
        let first = before.trim_start().trim_start_matches('-').trim().is_empty();
        let in_flow = before.ends_with(['{', '[', ',']);
        let stop = match sign {
            Sign::Next => line.find([' ', '\t', '"', '\'', ',', ']']),
            _ if in_flow => line.find([',', '}', ']']),
            Sign::Equals if before.ends_with(['?', '&']) => line.find(['&', ' ', '"', '\'']),
            Sign::Equals if !first => line.find([' ', '\t', '"', '\'']),
            _ => None,
        };
        stop.map_or(line_end, |i| at + i)
    }

    /// Past what separates two words of a command line: blanks, quotes and commas, or the next item of a list.
    fn next_word(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b'"' | b'\'' | b',' | b' ' | b'\t') {
            at += 1;
        }
        if self.byte(at) == b'\n' && at < self.text.len() {
            let next = self.blanks(at + 1);
            if self.byte(next) == b'-' && self.byte(next + 1) == b' ' {
                at = self.blanks(next + 1);
                while matches!(self.byte(at), b'"' | b'\'') {
                    at += 1;
                }
            }
        }
        // Another option is no value.
        if self.byte(at) == b'-' { self.text.len() } else { at }
    }

    /// Where the quote that opens at `at` closes.
    fn closing(&self, at: usize, quote: u8) -> usize {
        let mut end = at + 1;
        while end < self.text.len() {
            match self.byte(end) {
                b'\\' if quote == b'"' => end += 1,
                b if b == quote && quote == b'\'' && self.byte(end + 1) == quote => end += 1,
                b if b == quote => return end,
                _ => {}
            }
            end += 1;
        }
        self.line_end(at)
    }

    /// Where the bracket that opens at `at` closes.
    fn matching(&self, at: usize) -> usize {
        let (mut depth, mut end) = (0_usize, at);
        while end < self.text.len() {
            match self.byte(end) {
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth <= 1 => return end,
                b'}' | b']' => depth -= 1,
                quote @ (b'"' | b'\'') => end = self.closing(end, quote),
                _ => {}
            }
            end += 1;
        }
        self.line_end(at)
    }

    /// Hides a value, but for a reference to a variable that is all of it; of one with a default the default is hidden.
    fn text_value(&mut self, start: usize, end: usize) {
        let end = end.max(start).min(self.text.len());
        let value = self.text.get(start..end).unwrap_or("");
        let trimmed = value.trim();
        if matches!(trimmed.to_ascii_lowercase().as_str(), "" | "true" | "false" | "yes" | "no" | "null" | "~") {
            return;
        }
        match reference(trimmed) {
            Some(shown) => self.hide(start + (value.len() - value.trim_start().len()) + shown.start, start + shown.end),
            None => self.hide(start, end),
        }
    }

    /// The lines below a key that are indented more: all of them, or what is a value there.
    fn below(&mut self, name: usize, from: usize, all: bool) {
        let column = |at: usize, line: usize| self.text[line..at].trim_end_matches(['"', '\'']).len();
        let own = column(name, self.line_start(name));
        let mut lines = Vec::new();
        let mut at = (from + 1).min(self.text.len());
        while at < self.text.len() {
            let (end, content) = (self.line_end(at), self.blanks(at));
            let list = self.byte(content) == b'-' && !all;
            if content < end && self.byte(content) != b'\r' && (content - at < own || (content - at == own && !list)) {
                break;
            }
            if content < end {
                lines.push((content, end));
            }
            at = end + 1;
        }
        let nested = lines.first().is_some_and(|(start, end)| !all && is_structure(&self.text[*start..*end]));
        for (start, end) in lines {
            let line = &self.text[start..end];
            let item = line.strip_prefix("- ").map_or(line, str::trim_start);
            let dash = line.len() - item.len();
            match key_of(item) {
                Some((key, after)) if nested => {
                    if is_holder(key) {
                        self.value((start + dash, start + dash + after), Sign::Colon, None);
                    }
                }
                _ => self.text_value(start + dash, end),
            }
        }
    }

    /// A mapping in braces: its parts that hold a value.
    fn flow(&mut self, at: usize) {
        let end = self.matching(at);
        let mut from = at + 1;
        while let Some(colon) = self.text.get(from..end).and_then(|rest| rest.find(':')).map(|i| from + i) {
            let head = self.text[at + 1..colon].trim_end_matches(['"', '\'']);
            let start = head.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(at + 1, |i| at + 2 + i);
            if self.text.get(start..at + 1 + head.len()).is_some_and(is_holder) {
                self.value((start, colon + 1), Sign::Colon, None);
            }
            from = colon + 1;
        }
    }

    /// Values that secrets refer to by an alias.
    fn anchors(&mut self) {
        for alias in std::mem::take(&mut self.aliases) {
            let mut from = 0;
            while let Some(at) = self.text[from..].find('&').map(|i| from + i) {
                from = at + 1;
                if self.text[from..].starts_with(alias) && !is_name(self.byte(from + alias.len())) {
                    let start = self.line_start(at);
                    let name = start + (self.text[start..].len() - self.text[start..].trim_start_matches([' ', '-']).len());
                    self.value((name.min(at), at), Sign::Colon, None);
                }
            }
        }
    }
}

/// A line that is a part of a mapping or of a list.
fn is_structure(line: &str) -> bool {
    line.starts_with("- ") || line.starts_with(['{', '[', '?']) || key_of(line).is_some()
}

/// The key a line begins with, and where its value begins.
fn key_of(line: &str) -> Option<(&str, usize)> {
    let end = line.find([':', ' '])?;
    let colon = line[end..].starts_with(':') && line[end + 1..].chars().next().is_none_or(char::is_whitespace);
    colon.then(|| (line[..end].trim_matches(['"', '\'']), end + 1))
}

/// For a value that is a reference and nothing else: the part of it that is a default, which may be empty.
fn reference(value: &str) -> Option<Range<usize>> {
    let end = value.len();
    if let Some(name) = value.strip_prefix('$').filter(|n| !n.starts_with('{')) {
        let plain = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        let plain = plain && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        return plain.then_some(end..end);
    }
    let inner = value.strip_prefix("${")?.strip_suffix('}')?;
    let name = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (word, rest) = inner.split_at(name);
    let sign = rest.trim_start_matches(':');
    match sign.bytes().next() {
        _ if word.is_empty() => None,
        None => Some(end..end),
        Some(b'?') if !inner.contains("${") => Some(end..end),
        Some(_) => Some(2 + name + (rest.len() - sign.len()) + 1..end - 1),
    }
}
