//! Files of variables: `.env` and what `env_file` names.
//!
//! The format of Compose: `KEY=value` per line, `export` before it allowed, `#` comments, 'single' quotes as they are, "double" quotes with
//! `\n` and the like, variables in unquoted and double-quoted values, a bare `KEY` takes the value from outside. `raw` files have none of that:
//! what stands after `=` is the value. No message shows a value.

use super::interpolate::Variables;
use super::report::{Place, Report};
use super::yaml::shorten;

/// Most variables of one file.
const MAX_ENTRIES: usize = 10_000;

/// Reads the text of the report's `file`. `outside` answers variables used in values; those of the file itself are added to it as they come.
pub(crate) fn parse(file: u16, raw: bool, outside: &mut Variables, report: &mut Report) -> Vec<(String, String)> {
    let text = report.text(file).to_owned();
    let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader { file, text: body, shift: text.len() - body.len(), pos: 0, line: 1, out: Vec::new() };
    while reader.pos < body.len() && reader.out.len() < MAX_ENTRIES {
        reader.statement(raw, outside, report);
    }
    if reader.pos < body.len() {
        report.error("too-large", reader.here(1), format!("more than {MAX_ENTRIES} variables in one file"));
    }
    reader.out
}

struct Reader<'a> {
    file: u16,
    text: &'a str,
    shift: usize,
    pos: usize,
    line: u32,
    out: Vec<(String, String)>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.pos..]
    }

    fn line_rest(&self) -> &str {
        self.rest().split('\n').next().unwrap_or("")
    }

    fn skip(&mut self, bytes: usize) {
        self.line += self.text[self.pos..self.pos + bytes].matches('\n').count() as u32;
        self.pos += bytes;
    }

    /// To the next line.
    fn skip_line(&mut self) {
        self.skip(self.line_rest().len());
        self.skip(usize::from(self.rest().starts_with('\n')));
    }

    /// The place of the next `len` bytes.
    fn here(&self, len: usize) -> Place {
        let line_start = self.text[..self.pos].rfind('\n').map_or(0, |i| i + 1);
        let start = (self.pos + self.shift) as u32;
        let column = self.text[line_start..self.pos].chars().count() as u32 + 1;
        Place { file: self.file, start, end: start + len as u32, line: self.line, column }
    }

    fn wrong(&mut self, report: &mut Report, message: String, hint: &str) {
        let place = self.here(self.line_rest().trim_end().len().min(1));
        report.error("env-file-syntax", place, message).hint(hint);
        self.skip_line();
    }

    fn statement(&mut self, raw: bool, outside: &mut Variables, report: &mut Report) {
        let line = self.line_rest();
        let blank = line.len() - line.trim_start().len();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return self.skip_line();
        }
        self.skip(blank);
        let line = self.line_rest();
        if let Some(after) = line.strip_prefix("export").filter(|a| a.starts_with([' ', '\t'])) {
            self.skip(line.len() - after.trim_start().len());
        }
        let line = self.line_rest().to_owned();
        let Some(end) = line.find(if raw { &['='][..] } else { &['=', ':'][..] }) else {
            return self.inherited(line.trim(), outside, report);
        };
        let key = line[..end].trim().to_owned();
        if !is_key(&key) {
            let message = format!("`{}` is no variable name", shorten(&key));
            return self.wrong(report, message, "write one `NAME=value` per line; names have letters, digits, `_`, `.` and `-`");
        }
        self.skip(end + 1);
        let value = if raw {
            let value = self.line_rest().trim_end_matches('\r').to_owned();
            self.skip_line();
            Some(value)
        } else {
            self.value(&key, outside, report)
        };
        if let Some(value) = value {
            outside.values.entry(key.clone()).or_insert_with(|| value.clone());
            self.out.push((key, value));
        }
    }

    /// A bare name: the value comes from outside, or there is none.
    fn inherited(&mut self, key: &str, outside: &Variables, report: &mut Report) {
        if !is_key(key) {
            let message = "this line is no `NAME=value`".to_owned();
            return self.wrong(report, message, "write one `NAME=value` per line, or `#` before a remark");
        }
        if let Some(value) = outside.values.get(key) {
            self.out.push((key.to_owned(), value.clone()));
        }
        self.skip_line();
    }

    fn value(&mut self, key: &str, outside: &mut Variables, report: &mut Report) -> Option<String> {
        let line = self.line_rest();
        self.skip(line.len() - line.trim_start_matches([' ', '\t']).len());
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(key, quote, outside, report),
            _ => {
                let line = self.line_rest();
                let value = match line.find(" #").or(line.find("\t#")) {
                    _ if line.starts_with('#') => "",
                    Some(comment) => &line[..comment],
                    None => line,
                };
                let (value, place) = (value.trim_end().to_owned(), self.here(value.trim_end().len()));
                self.skip_line();
                outside.expand(&value, place, report)
            }
        }
    }

    fn quoted(&mut self, key: &str, quote: char, outside: &mut Variables, report: &mut Report) -> Option<String> {
        let body = &self.rest()[1..];
        let mut escaped = false;
        let end = body.char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped && quote == '"';
            ends
        });
        let Some((end, _)) = end else {
            self.wrong(report, format!("the value of `{key}` has no closing {quote}"), "close the quote");
            self.skip(self.rest().len());
            return None;
        };
        let (inner, place) = (body[..end].to_owned(), self.here(end + 2));
        self.skip(end + 2);
        let after = self.line_rest().trim();
        if !after.is_empty() && !after.starts_with('#') {
            self.wrong(
                report,
                format!("something follows the closing quote of `{key}`"),
                "put the quote at the end, or `#` before a remark",
            );
            return None;
        }
        self.skip_line();
        if quote == '"' { outside.expand(&unescape(&inner), place, report) } else { Some(inner) }
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= 200 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            // `$` after a backslash is a dollar sign, for which interpolation wants two.
            Some('$') => out.push_str("$$"),
            Some(other @ ('"' | '\\' | '\'')) => out.push(other),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, raw: bool) -> (Vec<(String, String)>, Vec<String>) {
        let mut report = Report::default();
        let file = report.add_file(".env", text.into(), false);
        let mut outside = Variables::new([("OUT".to_owned(), "out".to_owned())].into());
        let entries = parse(file, raw, &mut outside, &mut report);
        let line = |d: &crate::diagnostic::Diagnostic| d.span.as_ref().map_or(0, |s| s.line);
        (entries, report.finish().0.iter().map(|d| format!("{} {}", line(d), d.code)).collect())
    }

    fn value(text: &str) -> String {
        let (entries, problems) = read(text, false);
        assert_eq!(problems, [""; 0], "{text}");
        entries.last().map(|(_, v)| v.clone()).unwrap_or_default()
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
            ("A=$OUT", "out"),
            ("A=pa$$word", "pa$word"),
            ("A: yaml", "yaml"),
            ("OUT", "out"),
            ("A=", ""),
            ("\u{feff}A=b\r\n", "b"),
            ("A=\"q\\\"q\"", "q\"q"),
            ("A=\"\\$OUT\"", "$OUT"),
            ("A=#none", ""),
            ("A='it\\'", "it\\"),
        ] {
            assert_eq!(value(text), want, "{text:?}");
        }
        assert_eq!(read("A=\"x\" $B # y\\n", true).0[0].1, "\"x\" $B # y\\n");
    }

    #[test]
    fn what_is_no_assignment_is_located_and_the_rest_is_read() {
        let (entries, problems) = read("A=1\nnot a line\nB C=2\nD=\"x\" y\nE='x\nF=3", false);
        assert_eq!(problems, ["2 env-file-syntax", "3 env-file-syntax", "4 env-file-syntax", "5 env-file-syntax"]);
        assert_eq!(entries, [("A".to_owned(), "1".to_owned())]);
    }
}
