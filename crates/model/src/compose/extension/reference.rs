//! The commented reference: a Compose file that has every key of `x-landfall`, each with what it does, what it may hold and what it is without it.

use super::{APP, Key, SERVICE, Shape};
use std::fmt::Write as _;

const HEAD: &str = "\
# yaml-language-server: $schema=schema.json
#
# Every key of `x-landfall`, with an example. Generated from the table in crates/model/src/compose/extension; a test reads it as a Compose file.
# A first block of your own is written by `landfall init`, and `landfall check` says what is wrong with one.
#
# Keys marked NOT HONOURED YET are known, so that a file can be written for the whole of Landfall; they have no effect in this version, and
# `landfall check` warns of each. A line that begins with `=` says what a key may hold and what holds without it.
name: tutor
";

const SERVICES: &str = "\
services:
  backend:
    image: ghcr.io/acme/tutor-backend:1.4.2
    command: [serve]
    environment:
      MODEL: ${MODEL}
";

/// As YAML.
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    out.push_str("x-landfall:\n");
    keys(APP, Level { depth: 1, first: true, honoured: true }, &mut out);
    out.push_str(SERVICES);
    out.push_str("    x-landfall:\n");
    keys(SERVICE, Level { depth: 3, first: true, honoured: true }, &mut out);
    out
}

/// Where keys stand.
#[derive(Clone, Copy)]
struct Level {
    depth: usize,
    /// Of the keys of `x-landfall` itself, which stand apart.
    first: bool,
    /// False below a key that has no effect yet: it has said so.
    honoured: bool,
}

/// Keys of one mapping, each after its comment.
fn keys(all: &[Key], level: Level, out: &mut String) {
    let pad = "  ".repeat(level.depth);
    for (index, key) in all.iter().enumerate() {
        if index > 0 && level.first {
            out.push('\n');
        }
        let later = if level.honoured { key.later() } else { "" };
        let shapes: Vec<String> = key.shapes.iter().map(Shape::words).collect();
        let about = format!("{}{later}", key.about);
        let form = format!("= {}; default: {}", shapes.join(", or "), key.default);
        for line in wrapped(&about, 118 - pad.len()).into_iter().chain(wrapped(&form, 118 - pad.len())) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{pad}# {line}");
        }
        let name = if key.name == "*" { example_name(key) } else { key.name };
        let below = |more: usize| Level { depth: level.depth + more, first: false, honoured: level.honoured && key.honoured };
        match key.shapes.first() {
            Some(Shape::Map(keys_below)) if key.example.is_empty() => {
                let _ = writeln!(out, "{pad}{name}:");
                keys(keys_below, below(1), out);
            }
            Some(Shape::List(_)) if key.example.is_empty() => {
                let _ = writeln!(out, "{pad}{name}:");
                let start = out.len();
                keys(key.keys(), below(2), out);
                dash(out, start, level.depth + 1);
                let _ = writeln!(out, "{pad}  # A path alone is a route too.\n{pad}  - /ws");
            }
            _ if key.example.is_empty() => {
                let _ = writeln!(out, "{pad}# {name}:{}", if key.keys().is_empty() { " …" } else { "" });
                // It excludes what stands beside it, so its own keys are comments too.
                let mut inner = String::new();
                keys(key.keys(), below(1), &mut inner);
                for line in inner.lines().filter_map(|line| line.strip_prefix(pad.as_str())) {
                    let _ = writeln!(out, "{pad}# {line}");
                }
            }
            _ => {
                let _ = writeln!(out, "{pad}{name}: {}", key.example);
            }
        }
    }
}

/// Makes the first key written after `start` the first of a list's item.
fn dash(out: &mut String, start: usize, depth: usize) {
    let pad = "  ".repeat(depth);
    let first = format!("{pad}  ");
    let mut done = false;
    let mut item = String::new();
    for line in out[start..].lines() {
        match line.strip_prefix(&first) {
            Some(rest) if !done && !rest.starts_with('#') => {
                item.push_str(&format!("{pad}- {rest}\n"));
                done = true;
            }
            // Comments before the first key stand above the dash.
            Some(rest) if !done => item.push_str(&format!("{pad}{rest}\n")),
            _ => item.push_str(&format!("{line}\n")),
        }
    }
    out.truncate(start);
    out.push_str(&item);
}

/// What stands for any name, by what is below it.
fn example_name(key: &Key) -> &'static str {
    match key.keys().first().map(|first| first.name) {
        Some("secret") => "MODEL",
        Some("slack") => "ops",
        Some("rate") => "api",
        _ => "staging",
    }
}

/// Text in lines of at most that many characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
