//! The contract of `x-landfall.env`: what each variable must be, checked before anything is touched. No value of a secret is ever shown.

use super::interpolate::Variables;
use super::landfall::EnvRule;
use super::report::{Place, Report};
use super::suggest::{did_you_mean, one_of};
use super::veil;
use super::yaml::shorten;
use crate::name::{EnvKey, ServiceName};
use crate::secret::marked;
use crate::spec::EnvValue;
use std::collections::BTreeMap;

/// Complete environments of the services that take part.
pub(crate) type Environments = BTreeMap<ServiceName, BTreeMap<EnvKey, EnvValue>>;

/// Checks every rule against the variables of the file and the environments of its services.
pub(crate) fn check(rules: &[EnvRule], variables: &Variables, environments: &Environments, report: &mut Report) {
    for rule in rules {
        if report.is_full() {
            return;
        }
        if rule.default.is_some()
            && rule.one_of.iter().all(|w| Some(w) != rule.default.as_ref().map(|d| &d.value))
            && !rule.one_of.is_empty()
        {
            let place = rule.default.as_ref().map_or(rule.name.place, |d| d.place);
            let words: Vec<&str> = rule.one_of.iter().map(String::as_str).collect();
            report
                .error("env-not-allowed", place, format!("the default of `{}` is not one of its allowed values", rule.name.value))
                .hint(format!("allowed: {}", one_of(&words)));
            continue;
        }
        let values = values(rule.name.value.as_str(), variables, environments);
        if values.is_empty() {
            missing(rule, (rules, variables, environments), report);
        } else if let Some(complaint) = values.iter().find_map(|v| Complaint::of(rule, v)) {
            complaint.report(rule, report);
        }
    }
}

/// Different non-empty values the variable has: where the file is interpolated, and in services.
fn values<'a>(name: &str, variables: &'a Variables, environments: &'a Environments) -> Vec<&'a str> {
    let own = variables.values.get(name).map(String::as_str);
    let key = name.parse::<EnvKey>().ok();
    let services = environments.values().filter_map(|e| Some(e.get(key.as_ref()?)?.reveal()));
    let mut all: Vec<&str> = own.filter(|v| marked(v).is_empty()).into_iter().chain(services).filter(|v| !v.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn missing(rule: &EnvRule, (rules, variables, environments): (&[EnvRule], &Variables, &Environments), report: &mut Report) {
    let name = &rule.name.value;
    if veil::is_elsewhere(name, variables) {
        // The server has it, or refuses the release.
        return;
    }
    let wanted = rule.required_if.as_ref().filter(|_| is_wanted(rule, variables, environments));
    let hint = variables.set_hint(name.as_str());
    match wanted {
        Some((key, want)) => {
            let secret = rules.iter().any(|r| r.name.value.as_str() == key && r.secret);
            let want = if secret { "the value it has".to_owned() } else { format!("`{}`", shorten(want)) };
            report.error("env-missing", rule.name.place, format!("`{name}` must be set when `{key}` is {want}")).hint(hint);
        }
        None if rule.required => report.error("env-missing", rule.name.place, format!("`{name}` must be set and is not")).hint(hint),
        None => {}
    }
}

/// The variable it is required with has the value it is required at.
pub(crate) fn is_wanted(rule: &EnvRule, variables: &Variables, environments: &Environments) -> bool {
    rule.required_if.as_ref().is_some_and(|(key, want)| values(key, variables, environments).contains(&want.as_str()))
}

/// What is wrong with a value.
enum Complaint {
    Short { length: usize, want: u64, place: Place },
    NotAllowed { shown: Option<String>, near: Option<String> },
    Placeholder,
}

impl Complaint {
    fn of(rule: &EnvRule, value: &str) -> Option<Self> {
        if rule.secret && is_placeholder(value) {
            return Some(Complaint::Placeholder);
        }
        let length = value.chars().count();
        if let Some(min) = rule.min_length.as_ref().filter(|m| (length as u64) < m.value) {
            return Some(Complaint::Short { length, want: min.value, place: min.place });
        }
        if !rule.one_of.is_empty() && !rule.one_of.iter().any(|w| w == value) {
            let shown = (!rule.secret).then(|| shorten(value));
            let near = did_you_mean(value, rule.one_of.iter().map(String::as_str)).filter(|_| !rule.secret);
            return Some(Complaint::NotAllowed { shown, near });
        }
        None
    }

    fn report(self, rule: &EnvRule, report: &mut Report) {
        let (name, place) = (&rule.name.value, rule.name.place);
        match self {
            Complaint::Short { length, want, place } => {
                let hint = "make one with `openssl rand -hex 32`".to_owned();
                let hint = if rule.secret { hint } else { format!("it has {length} characters now") };
                report.error("env-too-short", place, format!("`{name}` must have at least {want} characters and has {length}")).hint(hint);
            }
            Complaint::NotAllowed { shown, near } => {
                let words: Vec<&str> = rule.one_of.iter().map(String::as_str).collect();
                let found = shown.map(|s| format!(" and is `{s}`")).unwrap_or_default();
                let message = format!("`{name}` must be {}{found}", one_of(&words));
                report.error("env-not-allowed", place, message).hint(near.unwrap_or_else(|| "set it to one of these".into()));
            }
            Complaint::Placeholder => {
                report
                    .error("env-placeholder", place, format!("`{name}` still has a placeholder for a value"))
                    .hint("make a real one with `openssl rand -hex 32`");
            }
        }
    }
}

/// Words people leave in example files. Only whole values count: a real secret may contain any of them.
pub fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 14] = [
        "changeme",
        "changethis",
        "replaceme",
        "secret",
        "password",
        "example",
        "placeholder",
        "todo",
        "fixme",
        "test",
        "xxx",
        "none",
        "null",
        "yoursecret",
    ];
    let lower = value.trim().to_ascii_lowercase();
    let bare: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    let marked = lower.starts_with('<') && lower.ends_with('>')
        || lower.starts_with("your-")
        || lower.starts_with("your_")
        || lower.starts_with("change-me")
        || lower.starts_with("change_me");
    let repeated = bare.len() >= 3 && bare.bytes().all(|b| b == b'x');
    marked || repeated || WORDS.contains(&bare.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_and_secrets_that_contain_their_words_are_not() {
        for placeholder in ["changeme", "CHANGE_ME", "<your key>", "your-secret-here", "xxxxxxxx", "secret", "change-me-in-production"] {
            assert!(is_placeholder(placeholder), "{placeholder}");
        }
        for real in ["sk-test-9f8a7b6c", "correct horse battery", "9f8a7b6cchangeme", "hunter2!"] {
            assert!(!is_placeholder(real), "{real}");
        }
    }
}
