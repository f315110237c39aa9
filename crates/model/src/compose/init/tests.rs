//! Files before and after, in `cases/init/*.case`: the file, `---- expect`, the file with `x-landfall`. `BLESS=1` rewrites the second half.

use super::*;
use std::path::Path;

#[test]
fn files_before_and_after() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/init");
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let case = std::fs::read_to_string(&path).unwrap();
        let (before, expected) = case.split_once("---- expect\n").unwrap_or((&case, ""));
        let after = match init(before) {
            Ok(written) => written.text,
            Err(refusal) => format!("refused: {refusal}\n"),
        };
        count += 1;
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, format!("{before}---- expect\n{after}")).unwrap();
        } else if after != expected {
            failed.push(format!("{}\n---- got\n{after}", path.display()));
        }
    }
    assert!(count > 10, "there are cases");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

const PLAIN: &str = "services:\n  web:\n    image: nginx:1.27\n    ports: [\"8080:80\"]\n";

#[test]
fn line_endings_and_a_missing_last_one_stay_as_they_are() {
    let crlf = init(&PLAIN.replace('\n', "\r\n")).unwrap().text;
    assert!(crlf.contains("      port: 80\r\n") && !crlf.replace("\r\n", "").contains('\n'), "{crlf:?}");
    assert_eq!(crlf.replace("\r\n", "\n"), init(PLAIN).unwrap().text);
    let open = init(PLAIN.trim_end()).unwrap().text;
    assert_eq!(open, init(PLAIN).unwrap().text.trim_end());
}

#[test]
fn what_is_written_is_read_again_and_has_no_second_first_time() {
    let written = init(PLAIN).unwrap();
    assert_eq!(written.routed.len(), 1);
    assert_eq!(init(&written.text), Err(Refusal::Already));
}

/// Every Compose file among the cases, whatever is wrong with it.
fn files(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "case") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            out.extend(text.split("\n---- ").map(|part| part.split_once('\n').map_or("", |(_, body)| body).to_owned()));
            out.push(text);
        }
    }
}

#[test]
fn whatever_a_file_is_it_is_written_into_well_or_not_at_all() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases"), &mut all);
    let mut written = 0;
    for text in &all {
        let Ok(new) = init(text) else { continue };
        written += 1;
        assert_eq!(init(&new.text), Err(Refusal::Already), "{}", new.text);
        // Nothing is taken out: the old lines are there, in their order, or longer by what stands behind a brace.
        let mut lines = new.text.lines();
        for old in text.lines() {
            assert!(lines.any(|line| line == old || line.contains("x-landfall")), "{old:?} is lost in\n{}", new.text);
        }
    }
    assert!(written > 100, "{written} of {} files", all.len());
}
