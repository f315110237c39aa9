//! What `landfall certs` shows: a line for each certificate, and below it what keeps a better one from being issued.

use super::style::{ERROR, GOOD, STRONG, WARNING, harmless, paint};
use super::table::{Align, Cell, render as table};
use super::time::{date_clock, span};
use landfall_model::certificate::{CertificateSource, CertificateStatus};

/// Days before the end from which it is shown as a warning.
const SOON_MS: u64 = 21 * 24 * 3600 * 1000;

/// A table, and the complaints of authorities.
pub fn render(certs: &[CertificateStatus], now_ms: u64) -> String {
    let rows: Vec<Vec<Cell>> = certs.iter().map(|cert| row(cert, now_ms)).collect();
    let columns = [
        ("NAME", Align::Left),
        ("APP", Align::Left),
        ("ISSUED BY", Align::Left),
        ("GOOD FOR", Align::Right),
        ("UNTIL", Align::Left),
        ("NEXT", Align::Left),
    ];
    let mut text = table(&columns, &rows);
    for cert in certs {
        let Some(failure) = &cert.failure else { continue };
        let at = cert.failed_ms.map(|at| format!(" ({} ago)", span(now_ms.saturating_sub(at)))).unwrap_or_default();
        text.push_str(&format!("\n{}{at} [{}]\n", paint(ERROR, harmless(&failure.message)), harmless(&failure.code)));
        let lines = failure.causes.iter().map(|c| format!("  because: {}\n", harmless(c)));
        let log = failure.log.iter().map(|l| format!("  | {}\n", harmless(l)));
        let hints = failure.hints.iter().map(|h| format!("  try: {}\n", harmless(h)));
        text.extend(lines.chain(log).chain(hints));
    }
    text
}

fn row(cert: &CertificateStatus, now_ms: u64) -> Vec<Cell> {
    let left = cert.until_ms.saturating_sub(now_ms);
    let good_for = match left {
        0 => Cell::styled(ERROR, "expired"),
        left if left < SOON_MS && cert.served != CertificateSource::Internal => Cell::styled(WARNING, span(left)),
        left => span(left).into(),
    };
    let issuer = match (cert.source, cert.served) {
        // Browsers warn of it, so it is said in a word that stands out.
        (CertificateSource::Acme, CertificateSource::Internal) => Cell::styled(WARNING, "own authority, for now"),
        (_, CertificateSource::Internal) => "own authority".into(),
        _ => Cell::styled(GOOD, harmless(&cert.issuer)),
    };
    let next = match cert.next_ms {
        _ if cert.asking => "being asked for".to_owned(),
        Some(next) if next <= now_ms => "due".to_owned(),
        Some(next) => date_clock(next),
        None if cert.source == CertificateSource::Acme => "not asked for: not on ports 80 and 443".to_owned(),
        None => String::new(),
    };
    vec![
        Cell::styled(STRONG, harmless(&cert.name)),
        cert.app.as_str().into(),
        issuer,
        good_for,
        date_clock(cert.until_ms).into(),
        next.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::api::Failure;

    #[test]
    fn a_certificate_that_is_missing_says_why() {
        let failure = Failure {
            code: "certificate-dns".into(),
            message: "no certificate for a.example.org: DNS".into(),
            causes: vec!["no such host".into()],
            hints: vec!["does it?".into()],
            log: vec![],
        };
        let cert = CertificateStatus {
            app: "tutor".parse().unwrap(),
            name: "a.example.org".into(),
            source: CertificateSource::Acme,
            served: CertificateSource::Internal,
            issuer: "Landfall".into(),
            from_ms: 0,
            until_ms: 90 * 24 * 3_600_000,
            next_ms: Some(0),
            asking: false,
            asked_ms: Some(0),
            failed_ms: Some(0),
            failure: Some(failure),
        };
        let text = anstream::adapter::strip_str(&render(&[cert], 60_000)).to_string();
        assert!(text.contains("own authority, for now") && text.contains("due"), "{text}");
        assert!(text.contains("(1 m 0 s ago) [certificate-dns]\n  because: no such host\n  try: does it?"), "{text}");
    }
}
