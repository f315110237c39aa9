//! Rules about the app as a whole: the contract of its variables.

use super::super::node::Node;
use super::super::report::Place;
use super::secret;
use super::view::View;
use super::{Check, Findings, Rule, warning};
use std::collections::{BTreeMap, BTreeSet};

/// Most different variables looked for in the text of the files.
const MAX_VARIABLES: usize = 10_000;

pub(super) const RULES: &[Rule] = &[
    warning(
        "contract-unused",
        [
            "The contract has a variable that nothing uses",
            "Whoever sets up a server looks for a value nobody needs, or the file reads another name by mistake.",
            "Remove it from `x-landfall.env`, or correct the name where it is used.",
            "x-landfall:\n  env:\n    SMTP_PASWORD: { secret: true, required: false }\nservices:\n  api:\n    image: acme/api:1.4\n",
            "x-landfall:\n  env:\n    SMTP_PASSWORD: { secret: true, required: false }\nservices:\n  api:\n    image: acme/api:1.4\n    environment: { SMTP_PASSWORD: '${SMTP_PASSWORD:-}' }\n",
        ],
        Check::App(unused),
    ),
    warning(
        "contract-gap",
        [
            "A secret the file uses is not in the contract",
            "The contract is checked before anything is touched; what is not in it is found out when the service fails.",
            "Add it under `x-landfall.env`: `NAME: { secret: true }`.",
            "x-landfall:\n  env:\n    JWT_SECRET: { secret: true, min_length: 32, required: false }\nservices:\n  api:\n    image: acme/api:1.4\n    environment: { JWT_SECRET: '${JWT_SECRET}', SMTP_PASSWORD: '${SMTP_PASSWORD}' }\n---- env\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\nSMTP_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
            "x-landfall:\n  env:\n    JWT_SECRET: { secret: true, min_length: 32, required: false }\n    SMTP_PASSWORD: { secret: true }\nservices:\n  api:\n    image: acme/api:1.4\n    environment: { JWT_SECRET: '${JWT_SECRET}', SMTP_PASSWORD: '${SMTP_PASSWORD}' }\n---- env\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\nSMTP_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::App(gap),
    ),
];

fn unused(view: &View<'_>, out: &mut Findings) {
    let contract = view.landfall.and_then(|l| l.get("env")).map(Node::entries).unwrap_or_default();
    if contract.is_empty() {
        return;
    }
    let put_in = variables(view);
    let given = view.services.iter().flat_map(|s| s.vars.iter().map(|v| v.name));
    let asked = contract.iter().filter_map(|e| super::view::text(&e.value, "required_if").split('=').next());
    let used: BTreeSet<&str> = put_in.keys().copied().chain(given).chain(asked).collect();
    for entry in contract.iter().filter(|e| !used.contains(e.key.as_str())) {
        out.at(entry.key_place, format!("nothing in this file uses `{}`", super::super::yaml::shorten(&entry.key)));
    }
}

fn gap(view: &View<'_>, out: &mut Findings) {
    for (name, place) in variables(view) {
        if secret::class(name).is_some() && view.outside_contract(name) {
            out.at(place, format!("the contract does not speak of `{name}`"));
        }
    }
}

/// Variables the files put in, by their text: a name that is only put in where it has no value is used all the same. The first place of each.
fn variables<'v>(view: &'v View<'_>) -> BTreeMap<&'v str, Place> {
    let mut out = BTreeMap::new();
    for file in view.compose_files() {
        let text = view.report.text(file);
        let (mut offset, mut number) = (0usize, 0u32);
        for line in text.split_inclusive('\n') {
            (number, offset) = (number + 1, offset + line.len());
            if line.trim_start().starts_with('#') {
                continue;
            }
            for (at, _) in line.match_indices('$') {
                let escaped = line[..at].ends_with('$');
                let rest = &line[at + 1..];
                let body = rest.strip_prefix('{').unwrap_or(rest);
                let length = body.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
                if escaped || length == 0 || out.len() >= MAX_VARIABLES {
                    continue;
                }
                let begin = at + 1 + (rest.len() - body.len());
                let start = offset - line.len() + begin;
                let column = line[..begin].trim_start_matches('\u{feff}').chars().count() as u32 + 1;
                let place = Place { file, start: start as u32, end: (start + length) as u32, line: number, column };
                out.entry(&body[..length]).or_insert(place);
            }
        }
    }
    out
}
