//! Production rules: what a valid file does that goes wrong at 3 a.m.
//!
//! A rule has a code, a page and one condition, stated so exactly that it can be argued with. Rules read the resolved tree through a [`View`], so
//! short and long forms, anchors, `extends` and merged files look alike to them, and they complain at the place a person must edit. They run only
//! when asked for ([`super::Input::rules`]): `check` and `deploy` ask, `up` does not. A complaint of a rule can be suppressed in the file, with
//! a reason ([`suppress`]); nothing else can. No rule ever shows a secret.

mod app;
mod database;
mod dockerfile;
mod edge;
mod engine;
mod env;
mod health;
mod image;
mod limits;
mod network;
mod part;
mod secret;
mod secrets;
mod start;
mod storage;
mod suppress;
mod upstream;
mod url;
mod view;

use super::Input;
use super::model::Model;
use super::node::Node;
use super::report::{MAX_DIAGNOSTICS, Place, Report};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Severity};
use std::collections::BTreeSet;
use view::{Service, View};

pub(crate) use secret::issued;
pub use secret::weakness;

/// What the caller knows beside the files.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Absolute paths of files under the project directory that git tracks.
    pub tracked: BTreeSet<String>,
    /// Memory of the server the app goes to, bytes.
    pub memory: Option<u64>,
    /// Its processor cores, in thousandths.
    pub cpu_millis: Option<u64>,
}

/// A rule: its page, and its condition.
struct Rule {
    code: Code,
    check: Check,
}

/// What a rule looks at.
enum Check {
    /// Each service, on every runtime.
    Service(fn(&View<'_>, &Service<'_>, &mut Findings)),
    /// Each service that is no known database or queue: those do not read the variables of others, though an `env_file` gives them all.
    Program(fn(&View<'_>, &Service<'_>, &mut Findings)),
    /// Each service that is a container.
    Container(fn(&View<'_>, &Service<'_>, &mut Findings)),
    /// The app as a whole.
    App(fn(&View<'_>, &mut Findings)),
}

/// A rule that keeps a file from going live. The page is title, reason, remedy, a file that breaks it and the same put right.
const fn error(code: &'static str, page: [&'static str; 5], check: Check) -> Rule {
    rule(Severity::Error, code, page, check)
}

/// A rule whose breach its author may live with; the page as for [`error`].
const fn warning(code: &'static str, page: [&'static str; 5], check: Check) -> Rule {
    rule(Severity::Warning, code, page, check)
}

const fn rule(severity: Severity, code: &'static str, [title, reason, remedy, bad, good]: [&'static str; 5], check: Check) -> Rule {
    Rule { code: Code { code, severity, title, reason, remedy, bad, good }, check }
}

/// Complaints of one rule.
#[derive(Default)]
struct Findings(Vec<Finding>);

struct Finding {
    place: Place,
    /// What at that place, when there may be several: a variable of a file.
    subject: String,
    message: String,
    /// In place of the rule's remedy.
    hint: Option<String>,
}

impl Findings {
    fn add(&mut self, finding: Finding) {
        // More are not told anyway.
        if self.0.len() < MAX_DIAGNOSTICS {
            self.0.push(finding);
        }
    }

    /// Complains; the hint is the rule's remedy.
    fn at(&mut self, place: Place, message: impl Into<String>) {
        self.add(Finding { place, subject: String::new(), message: message.into(), hint: None });
    }

    /// Complains about a variable.
    fn var(&mut self, var: &view::Var<'_>, message: impl Into<String>) {
        self.add(Finding { place: var.place, subject: var.name.to_owned(), message: message.into(), hint: None });
    }

    /// Complains about a variable, and says what to do here.
    fn var_hinted(&mut self, var: &view::Var<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Finding { place: var.place, subject: var.name.to_owned(), message: message.into(), hint: Some(hint.into()) });
    }

    /// Complains, and says what to do here.
    fn hinted(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Finding { place, subject: String::new(), message: message.into(), hint: Some(hint.into()) });
    }
}

/// Tables of rules, in the order of the pages.
const GROUPS: [&[Rule]; 12] = [
    secrets::RULES,
    env::RULES,
    image::RULES,
    start::RULES,
    health::RULES,
    database::RULES,
    storage::RULES,
    network::RULES,
    limits::RULES,
    edge::RULES,
    upstream::RULES,
    app::RULES,
];

/// The page of every code a rule or a suppression complains with.
#[must_use]
pub fn rules() -> Vec<Code> {
    GROUPS.iter().flat_map(|g| g.iter()).map(|r| r.code).chain(suppress::CODES).collect()
}

/// The files named by `env_file`, absolute, with the places that name them. Asked for before the loader works them into `environment`.
pub(crate) fn env_files(project_dir: &str, root: &Node) -> Vec<(String, Place)> {
    let services = root.get("services").map(Node::entries).unwrap_or_default();
    let files = services.iter().flat_map(|s| s.value.get("env_file").map(Node::items).unwrap_or_default());
    let path = |n: &Node| {
        n.get("path").unwrap_or(n).scalar().map(|s| (super::path::absolute(project_dir, &s.text), n.get("path").unwrap_or(n).place))
    };
    files.filter_map(path).collect()
}

/// Runs every rule over a resolved project and reports what is left after suppressions.
pub(crate) fn run(input: &Input<'_>, facts: &Facts, model: &Model, report: &mut Report) {
    if report.is_full() {
        return;
    }
    // What the compiler refuses may hide what a rule would have seen.
    let whole = !report.failed();
    let dockerfiles = dockerfile::read_all(input, &model.root, report);
    let mut found: Vec<(Diagnostic, Place)> = Vec::new();
    {
        let view = View::new(input, (facts, &model.env_files), &model.root, (&dockerfiles, report));
        for rule in GROUPS.iter().flat_map(|g| g.iter()) {
            let mut findings = Findings::default();
            match rule.check {
                Check::Service(check) => view.services.iter().for_each(|s| check(&view, s, &mut findings)),
                Check::Program(check) => {
                    view.services.iter().filter(|s| s.engine.is_none()).for_each(|s| check(&view, s, &mut findings));
                }
                Check::Container(check) if !view.process => view.services.iter().for_each(|s| check(&view, s, &mut findings)),
                Check::Container(_) => {}
                Check::App(check) => check(&view, &mut findings),
            }
            // An anchor puts one place into many services; it is to be edited once.
            let mut places = BTreeSet::new();
            for finding in findings.0 {
                if places.insert((finding.place.file, finding.place.start, finding.place.end, finding.subject.clone())) {
                    found.push((diagnostic(&rule.code, &finding, report), finding.place));
                }
            }
        }
    }
    let skipped = suppress::Skipped { disabled: &model.disabled, without_facts: facts.tracked.is_empty() };
    let allowed = suppress::Allowed::read(&dockerfiles.ids(), report);
    let misread = misread(&model.root, report);
    for (diagnostic, place) in found.into_iter().filter(|(_, place)| !misread.contains(&(place.file, place.start))) {
        if !allowed.covers(&diagnostic.code, place) {
            report.tell(diagnostic);
        }
    }
    if whole {
        allowed.report(&skipped, report);
    }
}

/// Services with a misspelt key, by where their names stand. What a rule misses in one of them is most likely what was misspelt; it says so at
/// the service's name, for there is no line of its own to say it at.
fn misread(root: &Node, report: &Report) -> BTreeSet<(u16, u32)> {
    let services = root.get("services").map(Node::entries).unwrap_or_default();
    let mut names: Vec<Place> = services.iter().map(|s| s.key_place).collect();
    names.sort_by_key(|place| (place.file, place.start));
    let owner = |span: &crate::diagnostic::Span| {
        let before =
            names.iter().rev().find(|name| (name.start as usize) < span.start && report.span(**name).is_some_and(|s| s.file == span.file));
        before.map(|name| (name.file, name.start))
    };
    report.places_of("unknown-key").filter_map(owner).collect()
}

fn diagnostic(code: &Code, finding: &Finding, report: &Report) -> Diagnostic {
    let span = report.span(finding.place);
    let made = match code.severity {
        Severity::Error => Diagnostic::error(code.code, span, finding.message.clone()),
        Severity::Warning => Diagnostic::warning(code.code, span, finding.message.clone()),
    };
    made.hint(finding.hint.clone().unwrap_or_else(|| hint(code.remedy)))
}

/// A remedy as a hint is written: without a full stop, and without a capital where no name begins.
fn hint(remedy: &str) -> String {
    let text = remedy.strip_suffix('.').unwrap_or(remedy);
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(text.chars().skip(1)).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_a_word_of_its_own_with_a_whole_page() {
        let rules = rules();
        let mut codes: Vec<&str> = rules.iter().map(|c| c.code).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
        for code in rules {
            assert!(code.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", code.code);
            assert!(!code.title.ends_with('.') && !code.title.is_empty(), "{}", code.code);
            assert!(code.reason.ends_with('.') && !code.remedy.is_empty(), "{}", code.code);
            assert_ne!(code.bad, code.good, "{}", code.code);
        }
    }
}
