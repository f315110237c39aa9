//! `$NAME` and `${NAME…}` in scalar values, in every form of the Compose Specification (§ Interpolation).
//!
//! `${A:-b}` and `${A-b}` give a default, `${A:?m}` and `${A?m}` demand a value, `${A:+b}` and `${A+b}` replace one; with the colon an empty
//! value counts as none. `$$` is a dollar sign. Keys are never touched. An undefined variable becomes nothing, with a warning, as in Compose.
//! Then strings that stand where a number or a switch is wanted become one. Nested braces and the length of the result are bounded.

mod cast;
mod expand;

use super::node::{Entry, Kind, Node, Scalar, Value};
use super::report::{Place, Report};
use super::suggest::nearest;
use super::yaml::shorten;
use cast::Cast;
use expand::{Expanded, Problem, Wrong, expand};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longest text all scalars of a file may become, bytes.
const MAX_TOTAL: usize = 8 * 1024 * 1024;

/// Values of variables, and which were missed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    pub(crate) values: Arc<BTreeMap<String, String>>,
    /// Undefined ones: where first, and how often.
    pub(crate) undefined: BTreeMap<String, (Place, usize)>,
    /// Where something that looks like one may be a part of a secret, so that its name is not told: by file and offset.
    pub(crate) unnamed: BTreeMap<(u16, u32), Place>,
    /// Names that were asked for in any form and hold nothing here.
    pub(crate) unset: BTreeSet<String>,
    /// Files of variables that need not be there and are not.
    pub(crate) absent: BTreeSet<String>,
    spent: usize,
}

impl Variables {
    pub(crate) fn new(values: BTreeMap<String, String>) -> Self {
        Self { values: Arc::new(values), ..Self::default() }
    }

    /// The same with other values, for a part of the project that has its own.
    pub(crate) fn with_values(&self, values: BTreeMap<String, String>) -> Self {
        Self { values: Arc::new(values), spent: self.spent, ..Self::default() }
    }

    /// The same, with nothing missed yet.
    pub(crate) fn same_values(&self) -> Self {
        Self { values: Arc::clone(&self.values), spent: self.spent, ..Self::default() }
    }

    /// Takes over what was missed and spent by one made by [`Self::with_values`].
    pub(crate) fn absorb(&mut self, other: Self) {
        self.spent = other.spent;
        self.unnamed.extend(other.unnamed);
        self.unset.extend(other.unset);
        self.absent.extend(other.absent);
        for (name, (place, count)) in other.undefined {
            self.undefined.entry(name).or_insert((place, 0)).1 += count;
        }
    }

    /// Puts variables into every scalar of a file, and makes numbers and switches of strings that stand for one.
    pub(crate) fn interpolate(&mut self, root: &mut Node, report: &mut Report) {
        self.walk(root, &mut Vec::new(), report);
    }

    fn walk<'n>(&mut self, node: &'n mut Node, path: &mut Vec<&'n str>, report: &mut Report) {
        let place = node.place;
        match &mut node.value {
            Value::List(items) => {
                for item in items {
                    path.push("[]");
                    self.walk(item, path, report);
                    path.pop();
                }
            }
            Value::Map(entries) => {
                for Entry { key, value, .. } in entries {
                    path.push(key);
                    self.walk(value, path, report);
                    path.pop();
                }
            }
            Value::Scalar(scalar) if scalar.kind == Kind::Text => {
                if scalar.text.contains('$') {
                    let expanded = self.expand(&scalar.text, place, report);
                    scalar.spoiled = expanded.is_none();
                    let expanded = expanded.unwrap_or_default();
                    scalar.substituted = expanded != scalar.text.replace("$$", "$");
                    scalar.text = expanded;
                }
                if !scalar.spoiled
                    && let Some(wanted) = cast::of(path)
                {
                    cast_to(wanted, scalar, (place, path), report);
                }
            }
            Value::Scalar(_) => {}
        }
    }

    /// The text with its variables put in, `None` after an error; complaints are about the part of `place` that caused them.
    pub(crate) fn expand(&mut self, text: &str, place: Place, report: &mut Report) -> Option<String> {
        let expanded = expand(text, &[&self.values]);
        self.settle(text, expanded, place, report)
    }

    /// The same with the values of `layers`, the first that has one.
    pub(crate) fn expand_in(
        &mut self,
        layers: &[&BTreeMap<String, String>],
        text: &str,
        place: Place,
        report: &mut Report,
    ) -> Option<String> {
        let expanded = expand(text, layers);
        self.settle(text, expanded, place, report)
    }

    fn settle(&mut self, text: &str, expanded: Expanded, place: Place, report: &mut Report) -> Option<String> {
        let Expanded { text: out, problems, unset } = expanded;
        self.unset.extend(unset);
        let good = problems.iter().all(|p| matches!(p.what, Wrong::Undefined(_)));
        for problem in problems {
            let at = report.within(place, text, problem.at, problem.len);
            if matches!(problem.what, Wrong::Undefined(_)) && !may_be_named(text, &problem, at, report) {
                self.unnamed.insert((at.file, at.start), at);
                continue;
            }
            // The reason may hold variables of its own; only one that stands in the file as it is may be shown.
            let what = match problem.what {
                Wrong::Required(..) if report.is_masked(at) => Wrong::Required(String::new(), String::new()),
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
            Wrong::Required(name, _) if name.is_empty() => {
                report
                    .error("required-variable", at, "a variable in this value must have one")
                    .hint("set it in `.env` or in the environment");
            }
            Wrong::Required(name, reason) => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {}", shorten(&reason)) };
                let declared = format!("`x-landfall: {{ env: {{ {name}: {{ secret: true }} }} }}`");
                let hint = format!("{}; for a value that the server keeps declare it: {declared}", self.set_hint(&name));
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
        for place in self.unnamed.values() {
            let hint = if report.is_shown(place.file) {
                "if the `$` belongs to the value, write `$$`; a variable is written `${NAME}`"
            } else {
                "if the `$` belongs to the value, put the value in single quotes, or write `$$`; in an `env_file`, `format: raw` does it for all"
            };
            let message = "`$` begins a variable here, which is not set and becomes empty";
            report.warning("undefined-variable", *place, message).hint(hint);
        }
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

/// Whether an undefined variable may be called by its name. What follows a `$` inside of a password is a part of the password. In Compose files the
/// values of secrets are known; in files of variables every value may be one, unless it is one `${NAME}` and nothing else.
fn may_be_named(text: &str, problem: &Problem, at: Place, report: &Report) -> bool {
    if report.is_shown(at.file) { !report.is_masked(at) } else { text.starts_with("${") && problem.at == 0 && problem.len == text.len() }
}

/// Makes the scalar what its key wants.
fn cast_to(wanted: Cast, scalar: &mut Scalar, (place, path): (Place, &[&str]), report: &mut Report) {
    let Some((kind, text)) = wanted.apply(&scalar.text) else {
        let shown = if scalar.substituted { "…".to_owned() } else { report.written(place, &scalar.text) };
        let message = format!("`{}` must be {}, found `{shown}`", shorten(&path.join(".").replace(".[]", "")), wanted.wanted());
        let empty = scalar.text.is_empty();
        let hint = if empty { "give the variable a value or a default, or leave the key out" } else { "write the bare value" };
        report.error("wrong-type", place, message).hint(hint);
        scalar.spoiled = true;
        return;
    };
    if wanted.is_old_word(&scalar.text) {
        let message = format!("`{}` is a word of YAML 1.1 for `{text}`", report.written(place, &scalar.text));
        report.warning("old-switch", place, message).hint(format!("write `{text}`"));
    }
    (scalar.kind, scalar.text) = (kind, text);
}
