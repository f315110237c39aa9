//! `docs/reference/compose.md`: what each runtime does with every key of the Compose Specification, made from the support table. `BLESS=1` writes it
//! anew.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::compose::{Row, Support, support_table};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# Every key of the Compose Specification

Landfall reads Compose files as Docker Compose 2.40 does. This page says what it does with each key when it puts the file into production, in containers
(`docker`) and as programs of the server (`x-landfall: { runtime: process }`). It is made from the table the compiler itself uses, which a test holds
against the official schema: no key is missing, and nothing is dropped without a word.

- **honoured**: it does what the specification says; **in part**: within the limit that is named, and beyond it there is a complaint.
- **needs a grant**: it gives away something of the server, so the server's owner must allow it ([host access](../guides/host-access.md)).
- **ignored**: it has no effect, and a warning says so.
- **refused**: the file cannot be used with it.

Keys that begin with `x-` are the user's own; those of [`x-landfall`](x-landfall.yaml) are ours.
";

/// The section a key belongs to, and its name in it.
fn section(path: &str) -> (String, &str) {
    match path.strip_prefix("services.*.") {
        // Sections of a service are tables of their own; its plain keys are one.
        Some(key) => match key.split_once(['.', '[']) {
            Some((head, _)) => (format!("services.*.{head}"), key),
            None => ("services.*".to_owned(), key),
        },
        None => match path.split_once(['.', '[']) {
            Some((head, _)) => (head.to_owned(), path),
            None => (String::new(), path),
        },
    }
}

fn cell(support: Support) -> &'static str {
    match support {
        Support::Honoured => "honoured",
        Support::Partly(_) => "in part",
        Support::Granted(_) => "needs a grant",
        Support::Ignored(_) => "ignored",
        Support::Refused(_) => "**refused**",
    }
}

fn note(row: &Row) -> String {
    let mut notes: Vec<String> = Vec::new();
    match (row.docker.reason(), row.process.reason()) {
        (Some(docker), Some(process)) if docker == process => notes.push(docker.to_owned()),
        (docker, process) => {
            notes.extend(docker.map(str::to_owned));
            notes.extend(process.map(|why| format!("process: {why}")));
        }
    }
    if !row.unless.is_empty() {
        notes.push(format!("no complaint about `{}`", row.unless.join("`, `")));
    }
    notes.join("; ").replace('|', "\\|")
}

#[test]
fn the_page_is_made_from_the_table() {
    let rows = support_table();
    let mut sections: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        sections.entry(section(&row.path).0).or_default().push(row);
    }
    let mut page = HEAD.to_owned();
    let count = |wanted: fn(Support) -> bool| rows.iter().filter(|row| wanted(row.docker)).count();
    writeln!(
        page,
        "\nUnder `docker`, of {} keys: {} honoured, {} in part, {} need a grant, {} ignored, {} refused.",
        rows.len(),
        count(|s| s == Support::Honoured),
        count(|s| matches!(s, Support::Partly(_))),
        count(|s| matches!(s, Support::Granted(_))),
        count(|s| matches!(s, Support::Ignored(_))),
        count(|s| matches!(s, Support::Refused(_))),
    )
    .unwrap();
    for (name, rows) in &sections {
        let head = if name.is_empty() { "At the top".to_owned() } else { format!("`{name}`") };
        write!(page, "\n## {head}\n\n| key | docker | process | |\n| --- | --- | --- | --- |\n").unwrap();
        for row in rows {
            writeln!(page, "| `{}` | {} | {} | {} |", section(&row.path).1, cell(row.docker), cell(row.process), note(row)).unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/compose.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/reference/compose.md is not what is generated; BLESS=1 writes it anew"
    );
    assert!(rows.len() > 300, "the table has {} rows", rows.len());
}
