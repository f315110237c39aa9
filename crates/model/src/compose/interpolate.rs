//! `$NAME` and `${NAME…}` in scalar values, in every form of the Compose Specification (§ Interpolation).
//!
//! `${A:-b}` and `${A-b}` give a default, `${A:?m}` and `${A?m}` demand a value, `${A:+b}` and `${A+b}` replace one; with the colon an empty
//! value counts as none. What stands after the operator may hold variables again and is looked at only when it is used. `$$` is a dollar
//! sign. Keys are never touched. An undefined variable becomes nothing, with a warning, as in Compose; nested braces and the length of the
//! result are bounded.

use super::node::{Kind, Node, Value};
use super::report::{Place, Report};
use super::suggest::nearest;
use super::yaml::shorten;
use std::collections::BTreeMap;

/// Deepest nesting of `${…}` inside `${…}`.
const MAX_NESTING: usize = 32;
/// Longest text one scalar may become, bytes.
const MAX_RESULT: usize = 1024 * 1024;
/// Most complaints about one scalar: each costs a look at its whole text.
const MAX_PROBLEMS: usize = 50;
/// Longest text all scalars of a file may become, bytes.
const MAX_TOTAL: usize = 8 * 1024 * 1024;

/// Values of variables, and which were missed.
#[derive(Default)]
pub(crate) struct Variables {
    pub(crate) values: BTreeMap<String, String>,
    /// Undefined ones: where first, and how often.
    pub(crate) undefined: BTreeMap<String, (Place, usize)>,
    spent: usize,
}

impl Variables {
    pub(crate) fn new(values: BTreeMap<String, String>) -> Self {
        Self { values, ..Self::default() }
    }

    /// Puts variables into every scalar below `node`.
    pub(crate) fn interpolate(&mut self, node: &mut Node, report: &mut Report) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.interpolate(item, report)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.interpolate(&mut entry.value, report)),
            Value::Scalar(scalar) => {
                if !scalar.text.contains('$') || scalar.kind != Kind::Text {
                    return;
                }
                let expanded = self.expand(&scalar.text, node.place, report);
                scalar.spoiled = expanded.is_none();
                let expanded = expanded.unwrap_or_default();
                scalar.substituted = expanded != scalar.text.replace("$$", "$");
                scalar.text = expanded;
            }
        }
    }

    /// The text with its variables put in, `None` after an error; complaints are about the part of `place` that caused them.
    pub(crate) fn expand(&mut self, text: &str, place: Place, report: &mut Report) -> Option<String> {
        let (out, problems) = expand(text, &self.values);
        let good = problems.iter().all(|p| matches!(p.what, Wrong::Undefined(_)));
        for problem in problems {
            let at = report.within(place, text, problem.at, problem.len);
            // The reason may hold variables of its own; only one that stands in the file as it is may be shown.
            let what = match problem.what {
                Wrong::Required(name, reason) if !text.contains(&reason) => Wrong::Required(name, String::new()),
                other => other,
            };
            self.complain(what, at, report);
        }
        self.spent += out.len();
        if self.spent > MAX_TOTAL {
            let message = format!("more than {} MiB of text once variables are put in", MAX_TOTAL >> 20);
            report.error("too-large", place, message).hint("a variable holds far more text than a setting needs");
            return None;
        }
        good.then_some(out)
    }

    fn complain(&mut self, what: Wrong, at: Place, report: &mut Report) {
        match what {
            Wrong::Undefined(name) => self.undefined.entry(name).or_insert((at, 0)).1 += 1,
            Wrong::Required(name, reason) => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {}", shorten(&reason)) };
                let hint = self.set_hint(&name);
                report.error("required-variable", at, format!("the variable `{name}` must have a value{reason}")).hint(hint);
            }
            Wrong::Syntax(why) => report.error("bad-interpolation", at, why).hint("write `$$` for a dollar sign, `${NAME}` for a variable"),
        }
    }

    /// How to give a variable a value.
    pub(crate) fn set_hint(&self, name: &str) -> String {
        match nearest(name, self.values.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`, which is set? Otherwise set `{name}` in `.env` or in the environment"),
            None => format!("set `{name}` in `.env` or in the environment"),
        }
    }

    /// Warns of each undefined variable once, but for those `known` speaks of in words of its own.
    pub(crate) fn warn_of_undefined(&self, known: impl Fn(&str) -> bool, report: &mut Report) {
        for (name, (place, count)) in self.undefined.iter().filter(|(name, _)| !known(name)) {
            if report.is_full() {
                return;
            }
            let places = if *count > 1 { format!(" (in {count} places)") } else { String::new() };
            let hint = format!("{}, or give a default: `${{{name}:-…}}`", self.set_hint(name));
            report.warning("undefined-variable", *place, format!("the variable `{name}` is not set and becomes empty{places}")).hint(hint);
        }
    }
}

/// A complaint about `len` bytes at `at` of the text.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    at: usize,
    len: usize,
    what: Wrong,
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Undefined(String),
    Required(String, String),
    Syntax(String),
}

fn expand(text: &str, values: &BTreeMap<String, String>) -> (String, Vec<Problem>) {
    let mut expander = Expander { text, pos: 0, values, problems: Vec::new() };
    let mut out = String::new();
    expander.run(&mut out, 0, true);
    (out, expander.problems)
}

struct Expander<'a> {
    text: &'a str,
    pos: usize,
    values: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Expander<'_> {
    /// Reads to the end, or, when `nesting` is not 0, to the closing brace (left unread). `active`: the result is used, so what is missing is
    /// missed.
    fn run(&mut self, out: &mut String, nesting: usize, active: bool) {
        while let Some(c) = self.text[self.pos..].chars().next() {
            match c {
                '}' if nesting > 0 => return,
                '$' => self.dollar(out, nesting, active),
                _ => {
                    self.pos += c.len_utf8();
                    if active {
                        self.put(out, c.encode_utf8(&mut [0; 4]));
                    }
                }
            }
        }
    }

    fn put(&mut self, out: &mut String, text: &str) {
        if out.len() + text.len() <= MAX_RESULT {
            out.push_str(text);
        } else if !matches!(self.problems.last(), Some(Problem { what: Wrong::Syntax(why), .. }) if why.starts_with("the text")) {
            self.wrong(0, self.text.len(), Wrong::Syntax("the text is longer than 1 MiB once variables are put in".into()));
        }
    }

    fn wrong(&mut self, at: usize, end: usize, what: Wrong) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { at, len: end.saturating_sub(at), what });
        }
    }

    fn dollar(&mut self, out: &mut String, nesting: usize, active: bool) {
        let start = self.pos;
        self.pos += 1;
        let rest = &self.text[self.pos..];
        if rest.starts_with('$') {
            self.pos += 1;
            if active {
                self.put(out, "$");
            }
        } else if rest.starts_with('{') {
            self.pos += 1;
            self.braced(out, start, nesting, active);
        } else {
            let name = self.name();
            if name.is_empty() {
                self.wrong(start, start + 1, Wrong::Syntax("a `$` stands before something that is no variable name".into()));
            } else if active {
                self.value(out, &name, start);
            }
        }
    }

    fn value(&mut self, out: &mut String, name: &str, start: usize) {
        match self.values.get(name) {
            Some(value) => self.put(out, value),
            None => self.wrong(start, self.pos, Wrong::Undefined(name.to_owned())),
        }
    }

    /// The longest variable name from here.
    fn name(&mut self) -> String {
        let rest = &self.text[self.pos..];
        let len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return String::new();
        }
        self.pos += len;
        rest[..len].to_owned()
    }

    /// After `${`.
    fn braced(&mut self, out: &mut String, start: usize, nesting: usize, active: bool) {
        if nesting >= MAX_NESTING {
            self.wrong(start, self.pos, Wrong::Syntax(format!("`${{…}}` is nested deeper than {MAX_NESTING}")));
            self.pos = self.text.len();
            return;
        }
        let name = self.name();
        let rest = &self.text[self.pos..];
        let operator = [":-", ":?", ":+", "-", "?", "+"].into_iter().find(|op| rest.starts_with(op)).unwrap_or("");
        self.pos += operator.len();
        if name.is_empty() || (operator.is_empty() && !rest.starts_with('}')) {
            return self.broken(start, name.is_empty());
        }
        let value = self.values.get(&name).filter(|v| !(operator.starts_with(':') && v.is_empty())).cloned();
        let uses_rest = match operator.chars().last() {
            Some('+') => value.is_some(),
            Some(_) => value.is_none(),
            None => false,
        };
        let mut alternative = String::new();
        self.run(&mut alternative, nesting + 1, active && uses_rest);
        if !self.text[self.pos..].starts_with('}') {
            return self.broken(start, false);
        }
        self.pos += 1;
        if !active {
            return;
        }
        match (operator.chars().last(), value) {
            (Some('+'), _) | (Some('-'), None) => self.put(out, &alternative),
            (Some('?'), None) => self.wrong(start, self.pos, Wrong::Required(name, alternative)),
            (None, None) => self.wrong(start, self.pos, Wrong::Undefined(name)),
            (_, Some(value)) => self.put(out, &value),
            (Some(_), None) => {}
        }
    }

    fn broken(&mut self, start: usize, no_name: bool) {
        let (why, end) = match self.text[start..].find('}') {
            None => ("`${` has no closing `}`", self.text.len()),
            Some(close) if no_name => ("`${…}` holds no variable name", start + close + 1),
            Some(close) => ("what stands in `${…}` is neither a name nor a name with `:-`, `-`, `:?`, `?`, `:+` or `+`", start + close + 1),
        };
        self.wrong(start, end, Wrong::Syntax(why.into()));
        self.pos = self.pos.max(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, values: &[(&str, &str)]) -> (String, Vec<Wrong>) {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (out, problems) = expand(text, &values);
        (out, problems.into_iter().map(|p| p.what).collect())
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
            ("${A:-${U:?never}}", "a"),
            ("{}}é", "{}}é"),
            ("${U:-$$}", "$"),
        ] {
            assert_eq!(with(text, &values), (want.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_missed() {
        assert_eq!(with("x$U", &[]), ("x".into(), vec![Wrong::Undefined("U".into())]));
        assert_eq!(with("${E:?set $A}", &[("E", ""), ("A", "a")]).1, [Wrong::Required("E".into(), "set a".into())]);
        assert_eq!(with("${U?}", &[]).1, [Wrong::Required("U".into(), String::new())]);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["$", "a$ b", "$1", "${}", "${A", "${A!b}", "${1A}", "${A:-${B}", "${A:}"] {
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
    }
}
