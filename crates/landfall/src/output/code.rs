//! The catalogue of complaints, for the terminal.

use super::style::{ERROR, GOOD, STRONG, WARNING, paint};
use super::wrap::wrapped;
use landfall_model::code::Code;
use landfall_model::diagnostic::Severity;
use std::fmt::Write as _;

/// One per line: how bad, the word, what is wrong.
pub fn list(codes: &[Code]) -> String {
    let longest = codes.iter().map(|code| code.code.len()).max().unwrap_or(0);
    let mut text = String::new();
    for code in codes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {:longest$}  {}", severity(code), code.code, code.headline());
    }
    text
}

/// Everything about one.
pub fn page(code: &Code, width: usize) -> String {
    let mut text = format!("{} {}\n", severity(code), paint(STRONG, format!("[{}] {}", code.code, code.headline())));
    for (head, body) in [("why", code.reason), ("what to do", code.remedy)] {
        let _ = write!(text, "\n{}\n{}", paint(STRONG, head), wrapped(body, 2, width));
    }
    for (head, style, example) in [("complained about", ERROR, code.bad), ("put right", GOOD, code.good)] {
        let _ = write!(text, "\n{}\n", paint(STRONG, head));
        for line in example.lines() {
            let _ = writeln!(text, "  {} {}", paint(style, "│"), super::style::harmless(line));
        }
    }
    text
}

fn severity(code: &Code) -> String {
    match code.severity {
        Severity::Error => paint(ERROR, "error  "),
        Severity::Warning => paint(WARNING, "warning"),
    }
}

/// As JSON.
pub fn json(code: &Code) -> serde_json::Value {
    serde_json::json!({
        "code": code.code,
        "severity": code.severity,
        "title": code.headline(),
        "reason": code.reason,
        "remedy": code.remedy,
        "bad": code.bad,
        "good": code.good,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fits_its_width_and_says_all() {
        for code in landfall_model::code::all() {
            let text = anstream::adapter::strip_str(&page(&code, 70)).to_string();
            assert!(text.contains(code.code) && text.contains(code.bad.lines().next().unwrap_or("")) || code.bad.contains('\0'), "{text}");
        }
        assert!(list(&landfall_model::code::all()).contains("unknown-key"));
    }
}
