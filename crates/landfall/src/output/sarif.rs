//! Complaints as SARIF 2.1.0 (OASIS standard), which code scanning of forges and editors reads.
//!
//! Only what a complaint has is written, in types of our own: the crate for the whole standard is generated from its schema and a thousand times
//! this size. A test validates what is written against the official schema. Columns count characters (`unicodeCodePoints`). File names are
//! relative to where the command was typed, which in CI is the root of the repository.

use super::checked::Checked;
use landfall_model::code::{self, Code};
use landfall_model::diagnostic::{Diagnostic, Severity, Span};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Where the pages of the codes are.
const PAGES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/reference/diagnostics/");
/// The name tools use for the root of the sources.
const ROOT: &str = "%SRCROOT%";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    original_uri_base_ids: BTreeMap<&'static str, Artifact>,
    column_kind: &'static str,
    results: Vec<Found>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    information_uri: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Text,
    full_description: Text,
    help: Text,
    help_uri: String,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    partial_fingerprints: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Text>,
}

/// All complaints of a run.
pub fn log(checked: &Checked<'_>) -> Log {
    let mut rules: Vec<Rule> = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let results = checked.diagnostics.iter().map(|d| found(d, checked, &mut rules, &mut seen)).collect();
    let root = Artifact { uri: format!("file://{}/", encoded(checked.root).trim_end_matches('/')), uri_base_id: None };
    Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "landfall",
                    information_uri: env!("CARGO_PKG_REPOSITORY"),
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules,
                },
            },
            invocations: [Invocation { execution_successful: true, exit_code: if checked.ok() { 0 } else { 2 } }],
            original_uri_base_ids: BTreeMap::from([(ROOT, root)]),
            column_kind: "unicodeCodePoints",
            results,
        }],
    }
}

fn found(diagnostic: &Diagnostic, checked: &Checked<'_>, rules: &mut Vec<Rule>, seen: &mut BTreeMap<String, usize>) -> Found {
    let rule_index = rules.iter().position(|rule| rule.id == diagnostic.code).unwrap_or_else(|| {
        rules.push(rule(diagnostic));
        rules.len() - 1
    });
    let source = diagnostic.span.as_ref().and_then(|span| Some((span, checked.sources.get(&span.file)?)));
    let file = diagnostic.span.as_ref().map_or_else(|| checked.files.first().map_or("compose.yaml", String::as_str), |s| s.file.as_str());
    let path = Path::new(file);
    let artifact_location = if path.is_absolute() {
        Artifact { uri: format!("file://{}", encoded(path)), uri_base_id: None }
    } else {
        Artifact { uri: encoded(path), uri_base_id: Some(ROOT) }
    };
    let region = diagnostic.span.as_ref().map(|span| region(span, source.map(|(_, text)| text.as_str())));
    let message = match &diagnostic.hint {
        Some(hint) => format!("{}. {}", diagnostic.message, capital(hint)),
        None => diagnostic.message.clone(),
    };
    // A fingerprint knows the line by its text, so that an edit elsewhere does not make an old complaint a new one.
    let line = source.map_or("", |(span, text)| line_of(text, span.start));
    let hash: String =
        Sha256::digest(format!("{}\0{file}\0{}", diagnostic.code, line.trim())).iter().take(8).fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    let nth = seen.entry(hash.clone()).and_modify(|n| *n += 1).or_insert(1);
    Found {
        rule_id: diagnostic.code.clone(),
        rule_index,
        level: level(diagnostic.severity),
        message: Text { text: message, markdown: None },
        locations: [Location { physical_location: Physical { artifact_location, region } }],
        partial_fingerprints: BTreeMap::from([("primaryLocationLineHash", format!("{hash}:{nth}"))]),
    }
}

fn rule(diagnostic: &Diagnostic) -> Rule {
    let id = diagnostic.code.clone();
    let plain = |text: &str| Text { text: text.to_owned(), markdown: None };
    let help_uri = format!("{PAGES}{id}.md");
    match code::find(&id) {
        Some(known @ Code { reason, remedy, severity, .. }) => Rule {
            short_description: plain(&known.headline()),
            full_description: plain(reason),
            help: Text { text: format!("{reason} {remedy}"), markdown: Some(known.page()) },
            default_configuration: Configuration { level: level(severity) },
            help_uri,
            id,
        },
        // A test keeps this from happening; a report is still better than none.
        None => Rule {
            short_description: plain(&id),
            full_description: plain(&diagnostic.message),
            help: plain(&diagnostic.message),
            default_configuration: Configuration { level: level(diagnostic.severity) },
            help_uri,
            id,
        },
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn region(span: &Span, source: Option<&str>) -> Region {
    let mut region = Region { start_line: span.line, start_column: span.column, end_line: None, end_column: None, snippet: None };
    let Some(text) = source.and_then(|source| source.get(span.start..span.end)) else { return region };
    let lines = text.matches('\n').count();
    let last = text.rsplit('\n').next().unwrap_or("").chars().count();
    region.end_line = Some(span.line + lines);
    region.end_column = Some(if lines == 0 { span.column + last } else { last + 1 });
    region.snippet = source.map(|source| Text { text: line_of(source, span.start).to_owned(), markdown: None });
    region
}

/// The line an offset is on.
fn line_of(text: &str, offset: usize) -> &str {
    let offset = offset.min(text.len());
    let start = text.as_bytes()[..offset].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let rest = text.get(start..).unwrap_or("");
    rest.split('\n').next().unwrap_or("").trim_end_matches('\r')
}

/// A path as the path of a URI (RFC 3986 §3.3).
fn encoded(path: &Path) -> String {
    let mut out = String::new();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_an_end_and_a_fingerprint_that_survives_moving() {
        let told = |source: &str, start: usize, line: usize| {
            let span = Span { file: "my compose.yaml".into(), start, end: start + 5, line, column: 5 };
            let diagnostics = [Diagnostic::error("unknown-key", Some(span), "unknown key `imgae`").hint("did you mean `image`?")];
            let sources = BTreeMap::from([("my compose.yaml".to_owned(), source.to_owned())]);
            let checked =
                Checked { files: &[], root: Path::new("/src"), diagnostics: &diagnostics, sources: &sources, deny_warnings: false };
            serde_json::to_value(log(&checked)).unwrap()["runs"][0].clone()
        };
        let (one, two) = (told("web:\n    imgae: x\n", 9, 2), told("# é\nweb:\n    imgae: x\n", 14, 3));
        let place = &one["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20compose.yaml");
        assert_eq!((&place["region"]["endLine"], &place["region"]["endColumn"]), (&2.into(), &10.into()));
        assert_eq!(place["region"]["snippet"]["text"], "    imgae: x");
        assert_eq!(one["results"][0]["message"]["text"], "unknown key `imgae`. Did you mean `image`?");
        assert_eq!(one["results"][0]["partialFingerprints"], two["results"][0]["partialFingerprints"]);
        assert_eq!(one["tool"]["driver"]["rules"][0]["id"], "unknown-key");
    }
}
