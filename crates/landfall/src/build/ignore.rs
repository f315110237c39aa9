//! `.dockerignore`: which files of a directory a builder does not get.
//!
//! The rules are those of Docker's reference: one pattern a line, `#` for comments, `!` for exceptions, the last pattern that matches decides, and what
//! matches a directory matches all below it. `*` and `?` stop at a `/`, `**` does not; `[a-z]` and `\` as in a shell. Patterns are compared with names and never
//! looked for on a disk, so none can name anything outside.

use std::collections::BTreeSet;

/// The patterns of one file.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<String>,
    exception: bool,
}

impl Ignore {
    /// Every line of the text is a pattern or says nothing.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { patterns: text.lines().filter_map(pattern).collect() }
    }

    /// Whether a file is left out. `path` is relative, with `/` between its parts.
    pub fn leaves_out(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.patterns.iter().rev().find(|p| fits(&p.parts, &parts)).is_some_and(|p| !p.exception)
    }

    /// Whether a directory that is left out may have a file below it that is not.
    pub fn may_keep_below(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.patterns.iter().filter(|p| p.exception).any(|p| begins(&p.parts, &parts))
    }
}

fn pattern(line: &str) -> Option<Pattern> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (text, exception) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
    let mut parts: Vec<String> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part.to_owned()),
        }
    }
    (!parts.is_empty()).then_some(Pattern { parts, exception })
}

/// The path, or a directory on the way to it. Goes through the pattern once, with every number of parts that may have been used so far.
fn fits(pattern: &[String], path: &[&str]) -> bool {
    let mut used: BTreeSet<usize> = [0].into();
    for (at, part) in pattern.iter().enumerate() {
        used = match used.first() {
            None => return false,
            // At the end it stands for what is below, and not for the directory itself.
            Some(first) if part == "**" => (first + usize::from(at + 1 == pattern.len())..=path.len()).collect(),
            Some(_) => used.iter().filter(|n| path.get(**n).is_some_and(|p| glob(part.as_bytes(), p.as_bytes()))).map(|n| n + 1).collect(),
        };
    }
    used.last().is_some_and(|n| *n > 0)
}

/// Something below the path may fit.
fn begins(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (_, None) => true,
        (None, _) => false,
        (Some((first, _)), _) if first == "**" => true,
        (Some((first, rest)), Some((part, tail))) => glob(first.as_bytes(), part.as_bytes()) && begins(rest, tail),
    }
}

/// One part of a path. A star that fits too little is made longer, so the time is at most the product of the lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        let byte = text.get(from).copied().unwrap_or_default();
        match one(pattern.get(at..).unwrap_or_default(), byte) {
            Some(Piece::Star) => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(Piece::Fits(length)) => {
                at += length;
                from += 1;
            }
            None => match star {
                Some((after, begun)) => {
                    star = Some((after, begun + 1));
                    (at, from) = (after, begun + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

enum Piece {
    Star,
    /// So many bytes of the pattern stand for the byte.
    Fits(usize),
}

fn one(pattern: &[u8], byte: u8) -> Option<Piece> {
    match pattern {
        [b'*', ..] => Some(Piece::Star),
        [b'?', ..] => Some(Piece::Fits(1)),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(Piece::Fits(2)),
        [b'[', rest @ ..] => class(rest, byte).map(|length| Piece::Fits(length + 1)),
        [own, ..] => (*own == byte).then_some(Piece::Fits(1)),
        [] => None,
    }
}

/// `a-z]`, `^a]`: how long it is, when the byte is in it. One that does not end fits nothing.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = matches!(pattern.first(), Some(b'^' | b'!'));
    let (mut at, mut found) = (usize::from(negated), false);
    let begin = at;
    loop {
        match pattern.get(at..)? {
            [b']', ..] if at > begin => return (found != negated).then_some(at + 1),
            [low, b'-', high, ..] if *high != b']' => {
                found |= (*low..=*high).contains(&byte);
                at += 3;
            }
            [own, ..] => {
                found |= *own == byte;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dockers_reference_says() {
        for (text, left_out, kept) in [
            ("node_modules", vec!["node_modules", "node_modules/a/b.js"], vec!["src/node_modules", "node_modules2"]),
            ("**/node_modules", vec!["node_modules", "a/b/node_modules/x"], vec!["a/node_module"]),
            ("*/temp*", vec!["a/temporary.txt", "a/temp/x"], vec!["temp", "a/b/temp"]),
            ("temp?", vec!["tempa", "tempb/x"], vec!["temp", "tempab"]),
            ("*.md\n!README.md", vec!["a.md"], vec!["README.md", "a/b.md"]),
            ("*.md\n!README*.md\nREADME-secret.md", vec!["README-secret.md"], vec!["README.md"]),
            ("# all\n*\n!src/**\n", vec!["a", "b/c"], vec!["src/a", "src/b/c"]),
            ("/a/./b/../c/", vec!["a/c", "a/c/d"], vec!["a/b"]),
            ("../outside", vec!["outside"], vec!["a"]),
            ("a[b-d]e\na[^x]f", vec!["ace", "ayf"], vec!["aee", "axf", "a[b-d]e"]),
            ("a\\*b\n[", vec!["a*b"], vec!["axb", "["]),
            ("**\n!Dockerfile", vec!["a", "a/b"], vec!["Dockerfile"]),
            ("a*b*c", vec!["abc", "axxbyyc", "abbbc"], vec!["ab", "acb"]),
        ] {
            let ignore = Ignore::parse(text);
            left_out.iter().for_each(|path| assert!(ignore.leaves_out(path), "{text:?} leaves out {path}"));
            kept.iter().for_each(|path| assert!(!ignore.leaves_out(path), "{text:?} keeps {path}"));
        }
    }

    #[test]
    fn a_directory_is_looked_into_only_for_an_exception() {
        let ignore = Ignore::parse("*\n!src/main/*.rs\n");
        assert!(ignore.may_keep_below("src") && ignore.may_keep_below("src/main"));
        assert!(!ignore.may_keep_below("node_modules") && !ignore.may_keep_below("src/test"));
    }

    #[test]
    fn a_pattern_that_wants_to_take_for_ever_does_not() {
        let ignore = Ignore::parse(&"a*".repeat(2000));
        assert!(!ignore.leaves_out(&"a".repeat(250)));
    }
}
