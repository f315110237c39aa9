//! Where new text goes in a file that somebody wrote, and in which form: at the indentation, with the line endings and in the style of its place.
//!
//! In a block mapping a key is put after the last line that belongs to the mapping, in a flow mapping (`{ … }`) behind the brace. Nothing is ever
//! taken out or moved.

use super::super::node::{Entry, Node};
use super::guess::{Routed, Variable};

/// Text to put in at an offset.
type Piece = (usize, String);

/// The file with everything put in; `None` where a place cannot be found.
pub(super) fn insert(text: &str, root: &Node, routed: &[Routed], variables: &[Variable]) -> Option<String> {
    let services = root.entry("services")?;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut pieces = vec![app(text, (root, services), variables, end)?];
    for (index, entry) in services.value.entries().iter().enumerate() {
        let Some(routed) = routed.iter().find(|r| r.service == entry.key) else { continue };
        let next = services.value.entries().get(index + 1).map_or(usize::MAX, |e| e.key_place.start as usize);
        pieces.push(service(text, entry, (routed, next), end)?);
    }
    pieces.sort_by_key(|(at, _)| *at);
    let mut out = String::with_capacity(text.len() + 512);
    let mut from = 0;
    for (at, piece) in &pieces {
        out.push_str(text.get(from..*at)?);
        if *at == text.len() && !text.ends_with('\n') {
            // A last line without an end gets one, and the new last line has none.
            out.push_str(end);
            out.push_str(piece.strip_suffix(end).unwrap_or(piece));
        } else {
            out.push_str(piece);
        }
        from = *at;
    }
    out.push_str(text.get(from..)?);
    Some(out)
}

/// The block at the top.
fn app(text: &str, (root, services): (&Node, &Entry), variables: &[Variable], end: &str) -> Option<Piece> {
    if let Some(brace) = brace(text, root) {
        let rules: Vec<String> = variables.iter().map(rule).collect();
        let env = if rules.is_empty() { String::new() } else { format!(", env: {{ {} }}", rules.join(", ")) };
        return Some((brace, quoted(text, root, &format!(" x-landfall: {{ tls: internal{env} }},"))));
    }
    let mut lines = vec![
        "x-landfall:".to_owned(),
        "  # domains: [app.example.com]   # names the app is reached by; without them it answers to every name".to_owned(),
        "  tls: internal                  # certificates of this server's own authority; `landfall ca` shows it".to_owned(),
    ];
    if !variables.is_empty() {
        lines.push("  env:                           # must be set before anything is deployed".to_owned());
        lines.extend(variables.iter().map(|variable| format!("    {}", rule(variable))));
    }
    // Beside the name, where a reader looks for what the app is; else before the services and whatever is said of them.
    let at = match root.entry("name").filter(|name| name.key_place.start < services.key_place.start) {
        Some(name) => after(text, name.key_place.start as usize, 0),
        None => above(text, line_start(text, services.key_place.start as usize)),
    };
    let mut block = lines.into_iter().map(|line| line + end).collect::<String>();
    // Where sections stand apart, this one does too.
    if text.get(..at)?.trim_end_matches(['\r', ' ']).ends_with("\n\n") || text.get(..at)?.ends_with("\r\n\r\n") {
        block.push_str(end);
    }
    Some((at, block))
}

/// One line of the contract.
fn rule(variable: &Variable) -> String {
    format!("{}: {}", variable.name, if variable.secret { "{ secret: true }" } else { "{}" })
}

/// The block of a service. `next` is where the next service begins.
fn service(text: &str, entry: &Entry, (routed, next): (&Routed, usize), end: &str) -> Option<Piece> {
    let Routed { port, route, checked, .. } = routed;
    let probe = !checked && route == "/";
    if let Some(brace) = brace(text, &entry.value) {
        let health = if probe { ", health: /" } else { "" };
        return Some((brace, quoted(text, &entry.value, &format!(" x-landfall: {{ port: {port}, routes: [{route}]{health} }},"))));
    }
    // Keys that a `<<` or an alias brought in stand elsewhere.
    let own = |e: &&Entry| (e.key_place.start as usize) > entry.key_place.end as usize && (e.key_place.start as usize) < next;
    let first = entry.value.entries().iter().filter(own).min_by_key(|e| e.key_place.start)?;
    let own_start = line_start(text, first.key_place.start as usize);
    let pad = text.get(own_start..first.key_place.start as usize)?;
    let outer = entry.key_place.column.saturating_sub(1) as usize;
    // Anything but blanks before the key is a form this does not know.
    if !pad.bytes().all(|b| b == b' ') || pad.len() <= outer {
        return None;
    }
    let step = " ".repeat((pad.len() - outer).min(8));
    let mut lines = vec![format!("{pad}x-landfall:"), format!("{pad}{step}port: {port}"), format!("{pad}{step}routes: [{route}]")];
    match (checked, probe) {
        (true, _) => {}
        (false, true) => lines.push(format!("{pad}{step}health: {{ path: {route} }}")),
        (false, false) => {
            lines.push(format!("{pad}{step}# health: {{ path: /health }}   # without it a replica is healthy once it listens"))
        }
    }
    let block = lines.into_iter().map(|line| line + end).collect();
    Some((after(text, first.key_place.start as usize, pad.len()), block))
}

/// The piece in quotes where the mapping's own keys are: a file that is JSON stays JSON.
fn quoted(text: &str, mapping: &Node, piece: &str) -> String {
    let first = mapping.entries().iter().map(|e| e.key_place.start as usize).min().unwrap_or(0);
    if !text.get(first..).unwrap_or("").starts_with('"') {
        return piece.to_owned();
    }
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    let mut out = String::new();
    for part in piece.split_inclusive(|c| !word(c)) {
        let (name, rest) = part.split_at(part.trim_end_matches(|c| !word(c)).len());
        let bare = name.is_empty() || name == "true" || name.bytes().all(|b| b.is_ascii_digit());
        out.push_str(&if bare { part.to_owned() } else { format!("\"{name}\"{rest}") });
    }
    out
}

/// Behind the brace of a flow mapping; `None` for a block.
fn brace(text: &str, node: &Node) -> Option<usize> {
    let mut at = node.place.start as usize;
    // An anchor or tag may stand before it.
    while let Some(rest) = text.get(at..).filter(|rest| rest.starts_with(['&', '!'])) {
        let word = rest.find(char::is_whitespace)?;
        at += word + (rest.len() - word - rest.get(word..)?.trim_start().len());
        at = at.min(text.len());
    }
    text.get(at..)?.starts_with('{').then_some(at + 1)
}

/// The offset after the last line of the block that the key at `start` is in: the lines that follow until one with content is indented less.
/// Empty lines and comments at the end belong to what comes next.
fn after(text: &str, start: usize, indent: usize) -> usize {
    let mut end = next_line(text, start);
    let mut at = end;
    while at < text.len() {
        let next = next_line(text, at);
        let line = text.get(at..next).unwrap_or("");
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        let blank = content.trim().is_empty();
        let comment = content.starts_with('#');
        // At the top a key's block ends where the next key begins; a list's dashes may stand at the depth of their key.
        if !blank && !comment && (depth < indent || (indent == 0 && depth == 0)) {
            break;
        }
        at = next;
        let ours = !comment || depth >= indent.max(1);
        if !blank && ours {
            end = next;
        }
    }
    end
}

/// The offset before the comments that stand directly above a line, unless they begin the file: then they are about the whole of it.
fn above(text: &str, line: usize) -> usize {
    let mut at = line;
    while at > 0 {
        let before = line_start(text, at - 1);
        if !text.get(before..at).unwrap_or("").starts_with('#') {
            return at;
        }
        at = before;
    }
    line
}

fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or("").rfind('\n').map_or(0, |i| i + 1)
}

fn next_line(text: &str, offset: usize) -> usize {
    text.get(offset..).unwrap_or("").find('\n').map_or(text.len(), |i| offset + i + 1)
}
