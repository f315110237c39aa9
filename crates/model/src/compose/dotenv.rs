//! Files of variables: `.env` and what `env_file` and `label_file` name.
//!
//! The format of Compose: `KEY=value` or `KEY: value` per line, `export` before it allowed, `#` comments, 'single' and "double" quotes over
//! several lines, `\n` and the like in the latter, variables in unquoted and double-quoted values, a bare `KEY` takes the value from outside.
//! What follows a closing quote on its line is read as the next assignment. `raw` files have none of that: what stands after `=` is the value.
//! No message shows a value, nor what stands left of a `=`: that may be a part of one.

use super::interpolate::Variables;
use super::report::{Place, Report};
use std::collections::BTreeMap;

/// Most variables of one file.
const MAX_ENTRIES: usize = 10_000;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Compose,
    Raw,
}

/// What answers variables used in values, besides the file itself.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a> {
    /// Asked before the file's own, first to last.
    pub(crate) before: &'a [&'a BTreeMap<String, String>],
    /// Asked when the file has none: what files before this one said.
    pub(crate) after: &'a BTreeMap<String, String>,
}

impl Layers<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.before.iter().copied().chain([self.after]).find_map(|layer| layer.get(name)).cloned()
    }
}

/// Reads the text of the report's `file`.
pub(crate) fn parse(
    file: u16,
    format: Format,
    (layers, variables): (Layers<'_>, &mut Variables),
    report: &mut Report,
) -> BTreeMap<String, String> {
    let text = report.text(file).to_owned();
    let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader {
        file,
        text: body,
        shift: text.len() - body.len(),
        pos: 0,
        told: Told { pos: 0, line: 1, column: 1 },
        layers,
        variables,
        out: BTreeMap::new(),
    };
    let mut statements = 0;
    while reader.next_statement(report) {
        statements += 1;
        if statements > MAX_ENTRIES {
            report
                .error("too-large", reader.here(1), format!("more than {MAX_ENTRIES} variables in one file"))
                .hint("mount large texts as files");
            break;
        }
        let read = match format {
            Format::Compose => reader.statement(report),
            Format::Raw => reader.raw(),
        };
        if let Err((message, hint)) = read {
            let place = reader.here(1);
            report.error("env-file-syntax", place, message).hint(hint);
            reader.skip_line();
        }
    }
    reader.out
}

/// A complaint about the line being read, and what to do.
type Wrong = (String, &'static str);

struct Reader<'a> {
    file: u16,
    text: &'a str,
    shift: usize,
    pos: usize,
    told: Told,
    layers: Layers<'a>,
    variables: &'a mut Variables,
    out: BTreeMap<String, String>,
}

/// Where a byte before `pos` stands, so that lines and columns are counted once.
struct Told {
    pos: usize,
    line: u32,
    column: u32,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.pos..]
    }

    fn line_rest(&self) -> &str {
        self.rest().split('\n').next().unwrap_or("")
    }

    /// Past the next line break.
    fn skip_line(&mut self) {
        self.pos = self.rest().find('\n').map_or(self.text.len(), |n| self.pos + n + 1);
    }

    fn skip_blanks(&mut self) {
        self.pos = self.text.len() - self.rest().trim_start_matches(is_blank).len();
    }

    /// The place of the next `len` bytes.
    fn here(&mut self, len: usize) -> Place {
        let passed = self.text.get(self.told.pos..self.pos).unwrap_or("");
        let (from, last) = passed.rfind('\n').map_or((self.told.column, passed), |n| (1, &passed[n + 1..]));
        let (line, column) = (self.told.line + passed.matches('\n').count() as u32, from + last.chars().count() as u32);
        self.told = Told { pos: self.pos, line, column };
        let start = (self.pos + self.shift) as u32;
        let len = len.min(self.text.len() - self.pos) as u32;
        Place { file: self.file, start, end: start + len, line, column }
    }

    /// To the next assignment; false at the end of the file.
    fn next_statement(&mut self, report: &Report) -> bool {
        loop {
            self.pos = self.text.len() - self.rest().trim_start().len();
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty() && !report.is_full();
            }
            self.skip_line();
        }
    }

    /// `NAME=`, `NAME:`, or a name alone on its line: the name, and whether a value follows.
    fn key(&mut self) -> Result<(String, bool), Wrong> {
        if let Some(after) = self.rest().strip_prefix("export").filter(|a| a.starts_with(char::is_whitespace)) {
            self.pos = self.text.len() - after.trim_start_matches(is_blank).len();
        }
        let mut end = None;
        for (at, c) in self.rest().char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    end = Some((at, c));
                    break;
                }
                '_' | '.' | '-' | '[' | ']' => {}
                c if is_blank(c) || c.is_alphanumeric() => {}
                _ => {
                    let message = "this line is no `NAME=value`: a variable's name has letters, digits and `_`".to_owned();
                    return Err((message, "write one `NAME=value` per line, and a value of several lines in quotes"));
                }
            }
        }
        // A bare name that ends the file without a line break is, to Compose, the value of a variable without name.
        let Some((at, delimiter)) = end else { return Ok((String::new(), true)) };
        let key = self.rest()[..at].trim_end().to_owned();
        if key.contains(' ') {
            return Err(("this line is no `NAME=value`: a variable's name has no space".to_owned(), "write one `NAME=value` per line"));
        }
        self.pos += at + 1;
        self.skip_blanks();
        Ok((key, delimiter != '\n'))
    }

    fn statement(&mut self, report: &mut Report) -> Result<(), Wrong> {
        let (key, has_value) = self.key()?;
        let value = match self.rest().chars().next().filter(|_| has_value) {
            _ if !has_value => self.layers.get(&key),
            Some(quote @ ('"' | '\'')) => self.quoted(quote, report)?,
            _ => {
                let line = self.line_rest();
                let value = line.split_once(" #").map_or(line, |(value, _)| value).trim_end().to_owned();
                let place = self.here(value.len());
                self.skip_line();
                self.expand(&value, place, report)
            }
        };
        if !has_value && value.as_deref().is_none_or(str::is_empty) {
            self.variables.unset.insert(key.clone());
        }
        if let Some(value) = value {
            self.out.insert(key, value);
        }
        Ok(())
    }

    fn expand(&mut self, text: &str, place: Place, report: &mut Report) -> Option<String> {
        if !text.contains('$') {
            return Some(text.to_owned());
        }
        let layers: Vec<&BTreeMap<String, String>> = self.layers.before.iter().copied().chain([&self.out, self.layers.after]).collect();
        self.variables.expand_in(&layers, text, place, report)
    }

    fn quoted(&mut self, quote: char, report: &mut Report) -> Result<Option<String>, Wrong> {
        let (mut inner, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in self.rest().char_indices().skip(1) {
            if c == quote && !escaped {
                end = Some(at);
                break;
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if std::mem::take(&mut escaped) && c != quote {
                inner.push('\\');
            }
            inner.push(c);
        }
        let Some(end) = end else {
            return Err((format!("the value that begins here has no closing {quote}"), "close the quote"));
        };
        let place = self.here(end + 1);
        self.pos += end + 1;
        Ok(if quote == '"' { self.expand(&unescape(&inner), place, report) } else { Some(inner) })
    }

    fn raw(&mut self) -> Result<(), Wrong> {
        let line = self.line_rest().trim_end_matches('\r').to_owned();
        let (key, value) = line.split_once('=').map_or((line.as_str(), None), |(key, value)| (key, Some(value.to_owned())));
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(("this line is no `NAME=value`: a variable's name has no space".to_owned(), "write one `NAME=value` per line"));
        }
        if let Some(value) = value.or_else(|| self.layers.get(key)) {
            self.out.insert(key.to_owned(), value);
        }
        self.skip_line();
        Ok(())
    }
}

/// White space but the line break.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// `\n` and the like, and `\0123` in octal. What is no escape stays as it is written.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let mut chars = after.chars();
        let (meant, length) = match chars.next() {
            Some('a') => ("\u{7}".to_owned(), 1),
            Some('b') => ("\u{8}".to_owned(), 1),
            Some('f') => ("\u{c}".to_owned(), 1),
            Some('n') => ("\n".to_owned(), 1),
            Some('r') => ("\r".to_owned(), 1),
            Some('t') => ("\t".to_owned(), 1),
            Some('v') => ("\u{b}".to_owned(), 1),
            Some(c @ ('"' | '\\')) => (c.to_string(), 1),
            // A dollar sign, for which interpolation wants two.
            Some('$') => ("$$".to_owned(), 1),
            Some('0') => {
                let digits = after[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
                let value = u32::from_str_radix(&after[1..=digits], 8).ok().filter(|v| digits == 3 && *v < 256).and_then(char::from_u32);
                (value.map_or_else(|| format!("\\{}", &after[..=digits]), String::from), digits + 1)
            }
            Some(c) => (format!("\\{c}"), c.len_utf8()),
            None => ("\\".to_owned(), 0),
        };
        out.push_str(&meant);
        rest = &after[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Format) -> (BTreeMap<String, String>, Vec<String>) {
        let mut report = Report::default();
        let file = report.add_file(".env", text.into(), false);
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let (outside, earlier) = (one("OUT", "out"), one("OLD", "old"));
        let layers = Layers { before: &[&outside], after: &earlier };
        let entries = parse(file, format, (layers, &mut Variables::default()), &mut report);
        let line = |d: &crate::diagnostic::Diagnostic| d.span.as_ref().map_or(0, |s| s.line);
        (entries, report.finish().0.iter().map(|d| format!("{} {}", line(d), d.code)).collect())
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        for (text, want) in [
            ("A=b", "b"),
            ("export A = b  # remark", "b"),
            ("A=b#c", "b#c"),
            ("A='x $B # y'", "x $B # y"),
            ("A=\"l1\\nl2\" # r", "l1\nl2"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("B=1\nA=${B}2", "12"),
            ("B=1\nB=2\nA=$B", "2"),
            ("A=$OUT", "out"),
            ("OUT=own\nA=$OUT", "out"),
            ("A=$OLD", "old"),
            ("OLD=own\nA=$OLD", "own"),
            ("A=pa$$word", "pa$word"),
            ("A: yaml", "yaml"),
            ("A=", ""),
            ("\u{feff}A=b\r\n", "b"),
            ("A=\"q\\\"q\"", "q\"q"),
            ("A=\"\\$OUT\"", "$OUT"),
            ("A=#kept", "#kept"),
            ("A= # kept", "# kept"),
            ("A='it\\'s'", "it's"),
            ("A='it\\n'", "it\\n"),
            ("A=\"\\0101\\012\\q\"", "A\\012\\q"),
            ("B='x' A=y", "y"),
        ] {
            let (entries, problems) = read(text, Format::Compose);
            assert_eq!(problems, [""; 0], "{text:?}");
            assert_eq!(entries.get("A").map(String::as_str), Some(want), "{text:?}");
        }
        assert_eq!(read("OUT\n", Format::Compose).0.get("OUT").map(String::as_str), Some("out"));
        assert_eq!(read("OUT", Format::Compose).0.get("").map(String::as_str), Some("OUT"));
        assert_eq!(read("A=\"x\" $B # y\\n", Format::Raw).0.get("A").map(String::as_str), Some("\"x\" $B # y\\n"));
    }

    #[test]
    fn what_is_no_assignment_is_located_and_the_rest_is_read() {
        let (entries, problems) = read("A=1\nnot a line\nB C=2\nD=\"x\" /y\nE='x\nF=3", Format::Compose);
        assert_eq!(problems, ["2 env-file-syntax", "3 env-file-syntax", "4 env-file-syntax", "5 env-file-syntax"]);
        assert_eq!(entries.len(), 3);
    }
}
