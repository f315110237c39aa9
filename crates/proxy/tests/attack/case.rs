//! Reads `cases/smuggling`: what a client sends, what it is answered, and what the application may see of it.
//!
//! A line of a payload ends with CR LF on the wire unless its last character is a backslash. `\r \n \t \0 \\ \xHH` are bytes; `\{5 ab}` is
//! `ababababab`. After `---- expect` come `answers` with the statuses in order (`none` if there is none); `broken off` if the client closes
//! its end as soon as it has sent this; and, for each request that the application sees, `seen METHOD TARGET LENGTH`.

use std::path::{Path, PathBuf};

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// As it is written, one string for each line.
    pub(crate) lines: Vec<String>,
    pub(crate) answers: Vec<String>,
    /// The client does not wait for them.
    pub(crate) broken_off: bool,
    pub(crate) seen: Vec<String>,
}

impl Case {
    /// What goes over the wire if it is HTTP/1.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            match line.strip_suffix('\\').filter(|rest| !rest.ends_with('\\')) {
                Some(line) => bytes.extend(unescape(line)),
                None => bytes.extend(unescape(line).into_iter().chain(*b"\r\n")),
            }
        }
        bytes
    }
}

/// The entries of the files whose names begin with `prefix`.
pub(crate) fn read(prefix: &str) -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/smuggling");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", directory.display());
    files.iter().flat_map(|file| parse(&std::fs::read_to_string(file).unwrap())).collect()
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut expecting = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("==== ") {
            cases.push(Case { name: name.to_owned(), lines: Vec::new(), answers: Vec::new(), broken_off: false, seen: Vec::new() });
            expecting = false;
            continue;
        }
        // Before the first entry a file says what it is about.
        let Some(case) = cases.last_mut() else { continue };
        if line == "---- expect" {
            expecting = true;
        } else if !expecting {
            case.lines.push(line.to_owned());
        } else if let Some(answers) = line.strip_prefix("answers ") {
            case.answers = answers.split(' ').filter(|answer| *answer != "none").map(str::to_owned).collect();
        } else if let Some(seen) = line.strip_prefix("seen ") {
            case.seen.push(seen.to_owned());
        } else if line == "broken off" {
            case.broken_off = true;
        } else {
            assert!(line.is_empty(), "{}: {line:?} is no expectation", case.name);
        }
    }
    cases
}

/// The bytes a line stands for.
pub(crate) fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.bytes());
        rest = match after.chars().next().unwrap_or_else(|| panic!("a backslash without a letter: {line}")) {
            'x' => {
                bytes.push(u8::from_str_radix(&after[1..3], 16).unwrap());
                &after[3..]
            }
            '{' => {
                let (repeat, rest) = after[1..].split_once('}').unwrap();
                let (count, what) = repeat.split_once(' ').unwrap();
                bytes.extend(unescape(&what.repeat(count.parse().unwrap())));
                rest
            }
            letter => {
                bytes.push(match letter {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '0' => 0,
                    '\\' => b'\\',
                    other => panic!("\\{other} in {line}"),
                });
                &after[1..]
            }
        };
    }
    bytes.extend(rest.bytes());
    bytes
}
