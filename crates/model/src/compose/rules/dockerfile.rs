//! Dockerfiles of `build`, read as far as the rules ask: the last stage's base, user, command, health check, variables, and what it installs.
//!
//! It is no builder: instructions it does not know are passed over, variables stay as they are written, and a Dockerfile that cannot be read is
//! none (the build will say so). Read are at most [`MAX_FILES`] files of the size every file may have, and [`MAX_LINES`] lines of each.

use super::super::node::Node;
use super::super::report::{Place, Report};
use super::super::{Input, MAX_TEXT, path};
use std::collections::{BTreeMap, BTreeSet};

/// Most Dockerfiles read.
const MAX_FILES: usize = 64;
/// Most lines read of one.
const MAX_LINES: usize = 5_000;

/// An instruction.
#[derive(Debug, Clone)]
pub(super) struct Instruction {
    /// Upper case.
    pub(super) word: String,
    /// The rest, continued lines joined by one blank.
    pub(super) text: String,
    pub(super) place: Place,
}

/// What was asked of a Dockerfile.
#[derive(Debug, Clone, Default)]
pub(super) struct Dockerfile {
    /// Image the last stage is made from, through stages of this file.
    pub(super) base: String,
    /// Instructions that make the image: those of the last stage and of the stages it is made from.
    pub(super) image: Vec<Instruction>,
    /// All of them.
    pub(super) all: Vec<Instruction>,
}

impl Dockerfile {
    /// The last instruction of this kind, which is the one that counts.
    pub(super) fn last(&self, word: &str) -> Option<&Instruction> {
        self.image.iter().rfind(|i| i.word == word)
    }

    /// True when something that is run mentions the word.
    pub(super) fn installs(&self, tool: &str) -> bool {
        self.image.iter().filter(|i| matches!(i.word.as_str(), "RUN" | "COPY" | "ADD")).any(|i| i.text.contains(tool))
    }
}

/// The Dockerfiles of a project by service.
#[derive(Debug, Default)]
pub(super) struct Dockerfiles {
    by_service: BTreeMap<String, Dockerfile>,
    files: BTreeSet<u16>,
    /// Services whose Dockerfile is not there, by the place that names it, with its path.
    pub(super) missing: Vec<(String, Place, String)>,
}

impl Dockerfiles {
    pub(super) fn of(&self, service: &str) -> Option<&Dockerfile> {
        self.by_service.get(service)
    }

    /// Files of the report that are Dockerfiles.
    pub(super) fn ids(&self) -> BTreeSet<u16> {
        self.files.clone()
    }
}

/// Reads the Dockerfiles of every service that is built here.
pub(super) fn read_all(input: &Input<'_>, root: &Node, report: &mut Report) -> Dockerfiles {
    let mut out = Dockerfiles::default();
    let mut cache: BTreeMap<String, Option<u16>> = BTreeMap::new();
    for service in root.get("services").map(Node::entries).unwrap_or_default() {
        let Some(build) = service.value.entry("build") else { continue };
        let text = |key: &str| build.value.get(key).and_then(Node::scalar).map(|s| s.text.as_str());
        let context = build.value.scalar().map(|s| s.text.as_str()).or(text("context")).unwrap_or(".");
        if build.value.get("dockerfile_inline").is_some() || context.contains("://") || context.starts_with("git@") {
            continue;
        }
        let context = path::absolute(input.project_dir, context);
        if !input.reader.exists(&context) {
            continue;
        }
        let name = path::absolute(&context, text("dockerfile").unwrap_or("Dockerfile"));
        if cache.len() >= MAX_FILES && !cache.contains_key(&name) {
            continue;
        }
        let id = *cache.entry(name.clone()).or_insert_with(|| load(input, &name, report));
        let Some(id) = id else {
            let place = build.value.get("dockerfile").map_or(build.key_place, |n| n.place);
            if !input.reader.exists(&name) {
                let shown = name.strip_prefix(input.project_dir).map_or(name.as_str(), |n| n.trim_start_matches('/'));
                out.missing.push((service.key.clone(), place, shown.to_owned()));
            }
            continue;
        };
        out.files.insert(id);
        out.by_service.insert(service.key.clone(), parse(report.text(id), id, text("target")));
    }
    out
}

fn load(input: &Input<'_>, name: &str, report: &mut Report) -> Option<u16> {
    let bytes = input.reader.read(name).ok().filter(|b| b.len() <= MAX_TEXT)?;
    let text = String::from_utf8(bytes).ok()?;
    let shown = name.strip_prefix(input.project_dir).map_or(name, |n| n.trim_start_matches('/'));
    Some(report.add_file(shown, text, true))
}

fn parse(text: &str, file: u16, target: Option<&str>) -> Dockerfile {
    let all = instructions(text, file);
    // Stages: the instruction that begins each.
    let starts: Vec<usize> = all.iter().enumerate().filter(|(_, i)| i.word == "FROM").map(|(n, _)| n).collect();
    let words = |n: usize| all.get(n).map(|i| i.text.split_whitespace().filter(|w| !w.starts_with("--")).collect::<Vec<_>>());
    let name = |n: usize| words(n).and_then(|w| w.get(2).map(|s| s.to_ascii_lowercase()));
    let wanted = target.map(str::to_ascii_lowercase);
    let mut stage = match &wanted {
        Some(target) => starts.iter().position(|n| name(*n).as_ref() == Some(target)).or(starts.len().checked_sub(1)),
        None => starts.len().checked_sub(1),
    };
    let (mut image, mut base) = (Vec::new(), String::new());
    while let Some(at) = stage {
        let begin = starts.get(at).copied().unwrap_or(0);
        let end = starts.get(at + 1).copied().unwrap_or(all.len());
        let mut part: Vec<Instruction> = all.get(begin..end).unwrap_or_default().to_vec();
        part.append(&mut image);
        image = part;
        base = words(begin).and_then(|w| w.first().map(|s| (*s).to_owned())).unwrap_or_default();
        // A stage can only be made from an earlier one, so this ends.
        stage = starts.iter().take(at).rposition(|n| name(*n).is_some_and(|n| n == base.to_ascii_lowercase()));
    }
    Dockerfile { base, image, all }
}

fn instructions(text: &str, file: u16) -> Vec<Instruction> {
    let mut out: Vec<Instruction> = Vec::new();
    let (mut offset, mut open, mut heredoc) = (0usize, false, None::<String>);
    for (number, raw) in text.split_inclusive('\n').enumerate().take(MAX_LINES) {
        let start = offset;
        offset += raw.len();
        let line = raw.trim_end();
        if let Some(end) = &heredoc {
            if line.trim() == end {
                heredoc = None;
            } else if let Some(last) = out.last_mut() {
                last.text.push(' ');
                last.text.push_str(line.trim());
            }
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let (body, more) = match body.strip_suffix('\\') {
            Some(body) => (body.trim_end(), true),
            None => (body, false),
        };
        if open {
            if let Some(last) = out.last_mut() {
                last.text.push(' ');
                last.text.push_str(body);
            }
        } else {
            let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
            let place = Place {
                file,
                start: (start + indent) as u32,
                end: (start + line.len()) as u32,
                line: number as u32 + 1,
                column: indent as u32 + 1,
            };
            out.push(Instruction { word: word.to_ascii_uppercase(), text: rest.trim_start().to_owned(), place });
        }
        open = more;
        let is_file = out.last().is_some_and(|i| matches!(i.word.as_str(), "RUN" | "COPY" | "ADD"));
        if let Some((_, tag)) = body.split_once("<<").filter(|_| is_file) {
            let tag: String =
                tag.trim_start_matches(['-', '"', '\'']).chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            heredoc = Some(tag).filter(|t| !t.is_empty());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# syntax\nFROM python:3.11-slim AS base\nRUN apt-get update \\\n  # why\n  && apt-get install curl\n\nFROM node AS web\nCMD x\nfrom --platform=linux/amd64 base AS final\nUSER app\nRUN <<EOF\nUSER nobody\nEOF\nCMD [\"uvicorn\"]\n";

    #[test]
    fn the_last_stage_and_what_it_is_made_from_make_the_image() {
        let file = parse(FILE, 0, None);
        assert_eq!(file.base, "python:3.11-slim");
        assert!(file.installs("curl"));
        assert_eq!(file.last("USER").map(|i| i.text.as_str()), Some("app"));
        assert_eq!(file.last("CMD").map(|i| (i.text.as_str(), i.place.line)), Some(("[\"uvicorn\"]", 14)));
        assert_eq!(parse(FILE, 0, Some("web")).base, "node");
        assert_eq!(parse("", 0, None).base, "");
        assert_eq!(parse("FROM a AS a\nFROM a AS a", 0, None).base, "a");
    }
}
