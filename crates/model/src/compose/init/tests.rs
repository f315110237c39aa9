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
