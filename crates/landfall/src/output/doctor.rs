//! What `landfall server doctor` shows: findings by what they are about, the worst first, and what is in order as a number.

use super::style::{ERROR, FAINT, GOOD, HINT, STRONG, WARNING, harmless, paint};
use crate::doctor::{Area, Counts, Finding, Grade, Remedy, Report, Severity};
use anstyle::Style;
use std::fmt::Write as _;

/// Every area in order, with its heading.
const AREAS: [(Area, &str); 6] = [
    (Area::Network, "Network"),
    (Area::Ssh, "SSH"),
    (Area::Updates, "Updates"),
    (Area::Engine, "Engine"),
    (Area::Machine, "Machine"),
    (Area::Apps, "Landfall and its apps"),
];
/// Columns before a finding's text.
const MARGIN: usize = 14;

/// The whole report.
pub fn render(name: &str, report: &Report, all: bool, width: usize) -> String {
    let mut text = format!("{} {}\n", paint(STRONG, harmless(name)), paint(FAINT, format!("({})", harmless(&report.server))));
    for (area, heading) in AREAS {
        let mut found: Vec<&Finding> = report.findings.iter().filter(|finding| finding.area == area).collect();
        // Stable: within a severity the order of the checks stays.
        found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let shown: Vec<&&Finding> = found.iter().filter(|finding| all || finding.severity != Severity::Ok).collect();
        let hidden = found.len() - shown.len();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{}", paint(STRONG, heading));
        let mut before = "";
        for finding in shown {
            // Why a check matters is said once.
            one(&mut text, finding, before == finding.check, width);
            before = &finding.check;
        }
        if hidden > 0 {
            let checks = if hidden == 1 { "1 check".to_owned() } else { format!("{hidden} checks") };
            let _ = writeln!(text, "  {}  {}", paint(GOOD, "✔ ok      "), paint(FAINT, checks));
        }
    }
    let _ =
        writeln!(text, "\n{} {}   {}", paint(STRONG, "Grade"), paint(of_grade(report.grade), grade(report.grade)), counts(report.counts));
    if !all && report.counts.ok > 0 {
        let _ = writeln!(text, "{}", paint(FAINT, "`--all` shows what is in order, too"));
    }
    text
}

fn one(text: &mut String, finding: &Finding, again: bool, width: usize) {
    let (style, mark) = match finding.severity {
        Severity::Critical => (ERROR, "✖ critical"),
        Severity::Warning => (WARNING, "! warning "),
        Severity::Unchecked => (WARNING, "? unknown "),
        Severity::Note => (HINT, "· note    "),
        Severity::Ok => (GOOD, "✔ ok      "),
    };
    let room = width.saturating_sub(MARGIN);
    let mut lines = wrapped(&harmless(&finding.seen), room).into_iter();
    let first = lines.next().unwrap_or_default();
    let check = paint(FAINT, format!("[{}]", finding.check));
    let _ = write!(text, "  {}  {first}", paint(style, mark));
    for line in lines {
        let _ = write!(text, "\n{:MARGIN$}{line}", "");
    }
    let _ = writeln!(text, " {check}");
    if finding.severity == Severity::Ok {
        return;
    }
    for line in finding.why.iter().filter(|_| !again).flat_map(|why| wrapped(why, room)) {
        let _ = writeln!(text, "{:MARGIN$}{}", "", paint(FAINT, line));
    }
    for way in &finding.remedy {
        remedy(text, way, room);
    }
}

fn remedy(text: &mut String, remedy: &Remedy, room: usize) {
    for (index, line) in wrapped(&harmless(&remedy.what), room.saturating_sub(5)).into_iter().enumerate() {
        let head = if index == 0 { paint(HINT, "try:") } else { "    ".to_owned() };
        let _ = writeln!(text, "{:MARGIN$}{head} {line}", "");
    }
    for run in &remedy.run {
        // Whole, however long: it is pasted.
        let _ = writeln!(text, "{:MARGIN$}     {} {}", "", paint(FAINT, "$"), harmless(run));
    }
}

fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::A => "A",
        Grade::B => "B",
        Grade::C => "C",
        Grade::D => "D",
        Grade::F => "F",
    }
}

fn of_grade(grade: Grade) -> Style {
    match grade {
        Grade::A => GOOD.bold(),
        Grade::B | Grade::C => WARNING,
        Grade::D | Grade::F => ERROR,
    }
}

/// `1 critical · 2 warnings · 3 notes · 20 ok`
fn counts(counts: Counts) -> String {
    let many = |count: usize, one: &str, more: &str| (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { more }));
    let parts = [
        many(counts.critical, "critical", "critical"),
        many(counts.warning, "warning", "warnings"),
        many(counts.unchecked, "unknown", "unknown"),
        many(counts.note, "note", "notes"),
        many(counts.ok, "ok", "ok"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Lines of at most `width` characters; a longer word stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_under_their_area_the_worst_first_and_what_is_in_order_is_counted() {
        let finding = |check: &str, severity, seen: &str| Finding {
            check: check.into(),
            area: Area::Network,
            severity,
            seen: seen.into(),
            why: Some("because of it".into()),
            remedy: vec![Remedy { what: "stop it".into(), run: vec!["docker stop 'a b'".into()] }],
        };
        let findings = vec![
            finding("firewall", Severity::Ok, "nftables lets in 22"),
            finding(
                "open-port",
                Severity::Critical,
                "postgres\x1b[2J listens on port 5432 of every address, and nothing keeps the world from it at all",
            ),
        ];
        let counts = Counts { critical: 1, ok: 1, ..Counts::default() };
        let report = Report { server: "Debian".into(), version: "1".into(), at_ms: 0, grade: Grade::D, counts, findings };
        let plain = |all| anstream::adapter::strip_str(&render("tutor", &report, all, 60)).to_string();
        let short = plain(false);
        let want = "tutor (Debian)\n\nNetwork\n  ✖ critical  postgres\\u{1b}[2J listens on port 5432 of\n              every address, and nothing keeps the world\n              from it at all [open-port]\n              because of it\n              try: stop it\n                   $ docker stop 'a b'\n  ✔ ok        1 check\n";
        assert!(short.starts_with(want), "{short}");
        assert!(short.ends_with("Grade D   1 critical · 1 ok\n`--all` shows what is in order, too\n"), "{short}");
        assert!(plain(true).contains("✔ ok        nftables lets in 22 [firewall]"), "{}", plain(true));
    }
}
