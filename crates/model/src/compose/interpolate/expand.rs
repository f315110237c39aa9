//! The text of one scalar with its variables put in, and what is wrong with it.
//!
//! Compose finds variables with a regular expression, and its ways show: a `${NAME:-…}` reaches at most to the last `}` of its line, braces in a
//! default are counted without regard to quotes, a `$` before anything else than a name, `{` or `$` is a dollar sign, and what stands after an
//! operator is worked out even when it is not used, so that a `${B:?…}` in an unused default is still demanded. All this is kept. Undefined
//! variables are missed only where they are used.

use std::collections::{BTreeMap, BTreeSet};

/// Deepest nesting of `${…}` inside `${…}`.
const MAX_NESTING: usize = 32;
/// Longest text one scalar may become, bytes.
const MAX_RESULT: usize = 1024 * 1024;
/// Most complaints about one scalar: each costs a look at its whole text.
const MAX_PROBLEMS: usize = 50;

/// A complaint about `len` bytes at `at` of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) what: Wrong,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Undefined(String),
    Required(String, String),
    Syntax(String),
}

/// What a text became.
pub(super) struct Expanded {
    pub(super) text: String,
    pub(super) problems: Vec<Problem>,
    /// Variables that were asked for, with a default or without, and have no value or an empty one.
    pub(super) unset: BTreeSet<String>,
}

/// Puts the variables that `layers` answer, the first that knows one, into `text`.
pub(super) fn expand(text: &str, layers: &[&BTreeMap<String, String>]) -> Expanded {
    let mut expander = Expander { text, layers, problems: Vec::new(), unset: BTreeSet::new(), over: false };
    let mut out = String::new();
    expander.run((0, text.len()), &mut out, 0, true);
    Expanded { text: out, problems: expander.problems, unset: expander.unset }
}

struct Expander<'a> {
    text: &'a str,
    layers: &'a [&'a BTreeMap<String, String>],
    problems: Vec<Problem>,
    unset: BTreeSet<String>,
    over: bool,
}

impl<'a> Expander<'a> {
    /// Works out the bytes `from..to`. `active`: the result is used.
    fn run(&mut self, (from, to): (usize, usize), out: &mut String, nesting: usize, active: bool) {
        let mut at = from;
        // The end of the line that was looked at last, and where its last brace closes.
        let mut line = (0, None);
        while at < to && self.problems.len() < MAX_PROBLEMS {
            let rest = &self.text[at..to];
            let Some(dollar) = rest.find('$') else { return self.put(out, rest) };
            self.put(out, &rest[..dollar]);
            at += dollar;
            let after = &self.text[at + 1..to];
            at = match after.as_bytes().first() {
                Some(b'$') => {
                    self.put(out, "$");
                    at + 2
                }
                Some(b'{') => {
                    if at >= line.0 {
                        let end = self.text[at..to].find('\n').map_or(to, |n| at + n);
                        line = (end, self.text[at..end].rfind('}').map(|brace| at + brace));
                    }
                    self.braced((at, line.1.filter(|brace| *brace > at)), out, nesting, active)
                }
                Some(b) if b.is_ascii_alphabetic() || *b == b'_' => {
                    let end = at + 1 + name_length(after);
                    self.variable((at, end), at + 1, out, active);
                    end
                }
                _ => {
                    self.put(out, "$");
                    at + 1
                }
            };
        }
    }

    /// `${…` at `start`, on a line whose last brace closes at `last`. Where to go on.
    fn braced(&mut self, (start, last): (usize, Option<usize>), out: &mut String, nesting: usize, active: bool) -> usize {
        let inner = &self.text[start + 2..];
        let end = start + 2 + name_length(inner);
        let rest = &self.text[end..];
        let operator = [":-", ":?", ":+", "-", "?", "+"].into_iter().find(|op| rest.starts_with(op)).unwrap_or("");
        let named = end > start + 2;
        let Some(last) = last.filter(|last| named && *last >= end) else { return self.broken(start, named) };
        if operator.is_empty() {
            if !rest.starts_with('}') {
                return self.broken(start, named);
            }
            self.variable((start, end + 1), start + 2, out, active);
            return end + 1;
        }
        if nesting >= MAX_NESTING {
            self.wrong((start, end), Wrong::Syntax(format!("`${{…}}` is nested deeper than {MAX_NESTING}")));
            return self.text.len();
        }
        let close = closing(self.text.as_bytes(), start, last).unwrap_or(last);
        let name = &self.text[start + 2..end];
        self.look(name, active);
        let value = self.value(name).filter(|v| !(operator.starts_with(':') && v.is_empty()));
        let uses_rest = (operator.ends_with('+')) == value.is_some();
        let mut alternative = String::new();
        self.run((end + operator.len(), close), &mut alternative, nesting + 1, active && uses_rest);
        match (operator.as_bytes().last(), value) {
            (Some(b'+'), Some(_)) | (Some(b'-'), None) => self.put(out, &alternative),
            (Some(b'?'), None) => self.wrong((start, close + 1), Wrong::Required(name.to_owned(), alternative)),
            (Some(b'+'), None) | (_, None) => {}
            (_, Some(value)) => self.put(out, value),
        }
        close + 1
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.layers.iter().find_map(|layer| layer.get(name)).map(String::as_str)
    }

    /// Notes one that is asked for and holds nothing.
    fn look(&mut self, name: &str, active: bool) {
        if active && self.value(name).is_none_or(str::is_empty) {
            self.unset.insert(name.to_owned());
        }
    }

    /// The variable whose name begins at `name`, written as `span`.
    fn variable(&mut self, span: (usize, usize), name: usize, out: &mut String, active: bool) {
        let rest = &self.text[name..];
        let name = &rest[..name_length(rest)];
        self.look(name, active);
        match self.value(name) {
            Some(value) => self.put(out, value),
            None if active => self.wrong(span, Wrong::Undefined(name.to_owned())),
            None => {}
        }
    }

    fn put(&mut self, out: &mut String, text: &str) {
        if out.len() + text.len() <= MAX_RESULT {
            out.push_str(text);
        } else if !std::mem::replace(&mut self.over, true) {
            self.wrong((0, self.text.len()), Wrong::Syntax("the text is longer than 1 MiB once variables are put in".into()));
        }
    }

    fn wrong(&mut self, (at, end): (usize, usize), what: Wrong) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { at, len: end.saturating_sub(at), what });
        }
    }

    fn broken(&mut self, start: usize, named: bool) -> usize {
        let (why, end) = match self.text[start..].find('}') {
            None => ("`${` has no closing `}`", self.text.len()),
            Some(close) if !named => ("`${…}` holds no variable name", start + close + 1),
            Some(close) => ("what stands in `${…}` is neither a name nor a name with `:-`, `-`, `:?`, `?`, `:+` or `+`", start + close + 1),
        };
        self.wrong((start, end), Wrong::Syntax(why.into()));
        end
    }
}

/// Bytes of the longest variable name at the start.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

/// Where the brace opened after the `$` at `start` closes. What follows an opening brace directly is not looked at.
fn closing(text: &[u8], start: usize, last: usize) -> Option<usize> {
    let (mut open, mut at) = (0_usize, start);
    while at <= last {
        match text.get(at) {
            Some(b'}') => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return Some(at);
                }
            }
            Some(b'{') => {
                open += 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, values: &[(&str, &str)]) -> (String, Vec<Wrong>) {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let expanded = expand(text, &[&values]);
        (expanded.text, expanded.problems.into_iter().map(|p| p.what).collect())
    }

    #[test]
    fn every_form_gives_what_the_specification_says() {
        let values = [("A", "a"), ("E", "")];
        for (text, want) in [
            ("$A-${A}", "a-a"),
            ("$$A $${A}", "$A ${A}"),
            ("${U:-b}${E:-b}${A:-b}", "bba"),
            ("${U-b}${E-b}${A-b}", "ba"),
            ("${A:?m}${A?m}${E?m}", "aa"),
            ("${A:+c}${E:+c}${U:+c}", "c"),
            ("${A+c}${E+c}${U+c}", "cc"),
            ("${U:-${V:-${A}x}}y", "axy"),
            ("${U:-{\"a\":1}}", "{\"a\":1}"),
            ("${U:-}", ""),
            ("${U:-a:?b}", "a:?b"),
            ("${A:-${U}}", "a"),
            ("{}}é", "{}}é"),
            ("${U:-$$}", "$"),
            ("$ $1 a$", "$ $1 a$"),
            ("${U:-{}}", "{}"),
            ("${U:-x} ${A:-y}\n${U:-z}", "x a\nz"),
            ("${U:-é}é", "éé"),
        ] {
            assert_eq!(with(text, &values), (want.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_missed() {
        assert_eq!(with("x$U", &[]), ("x".into(), vec![Wrong::Undefined("U".into())]));
        assert_eq!(with("${E:?set $A}", &[("E", ""), ("A", "a")]).1, [Wrong::Required("E".into(), "set a".into())]);
        assert_eq!(with("${U?}", &[]).1, [Wrong::Required("U".into(), String::new())]);
        assert_eq!(with("${A:-${U:?even here}}", &[("A", "a")]).1, [Wrong::Required("U".into(), "even here".into())]);
    }

    #[test]
    fn every_form_that_finds_nothing_is_noted_and_what_is_not_used_is_not() {
        let values = [("A".to_owned(), "a".to_owned()), ("E".to_owned(), String::new())].into();
        let text = "$U1 ${U2} ${U3:-x} ${U4-x} ${U5:+x} ${U6:?x} ${E} ${E:-y} ${A} ${A:-$N1} ${N2$} $$N3 ${U7:-${U8:-z}}";
        let unset: Vec<String> = expand(&text.replace("${N2$} ", ""), &[&values]).unset.into_iter().collect();
        assert_eq!(unset, ["E", "U1", "U2", "U3", "U4", "U5", "U6", "U7", "U8"]);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["${}", "${A", "${A!b}", "${1A}", "${A:-${B}", "${A:}", "${A:-x\ny}", "${U:-{}} b ${C}", "${ A}"] {
            let (_, problems) = with(text, &[("A", "a"), ("B", "b")]);
            assert!(matches!(problems.as_slice(), [Wrong::Syntax(_)]), "{text}: {problems:?}");
        }
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        let deep = format!("{}x{}", "${U:-".repeat(100_000), "}".repeat(100_000));
        assert!(!with(&deep, &[]).1.is_empty());
        let long = "x".repeat(100_000);
        let (out, problems) = with(&"$A".repeat(1000), &[("A", &long)]);
        assert!(out.len() <= MAX_RESULT && problems.len() == 1);
        assert_eq!(with(&"${U:-x}".repeat(100_000), &[]).0.len(), 100_000);
    }
}
