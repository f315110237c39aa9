//! Certificates as the agent serves them: until when, and whether they are those that were asked for.

use super::report::{Area, Check, Finding, Remedy, Severity};
use landfall_model::certificate::{CertificateSource, CertificateStatus};

pub(super) const CERTIFICATE: Check =
    Check { id: "certificate", area: Area::Apps, why: "browsers refuse a site whose certificate has ended or is of nobody they know" };

const DAY_MS: u64 = 24 * 3600 * 1000;
/// The user's own files: nobody renews them but the user.
const OWN_FILES_MS: u64 = 21 * DAY_MS;
/// This near to the end it is critical.
const LAST_MS: u64 = 3 * DAY_MS;

/// Judges.
pub(super) fn judge(certificates: &[CertificateStatus], now_ms: u64) -> Vec<Finding> {
    let findings = certificates.iter().filter_map(|certificate| one(certificate, now_ms)).collect();
    let well = match certificates.len() {
        0 => "no app here is served by HTTPS".to_owned(),
        1 => "the one certificate is good".to_owned(),
        count => format!("all {count} certificates are good"),
    };
    CERTIFICATE.each(findings, well)
}

fn one(certificate: &CertificateStatus, now_ms: u64) -> Option<Finding> {
    let name = &certificate.name;
    let left = certificate.until_ms.saturating_sub(now_ms);
    let days = left / DAY_MS;
    let renew = || match certificate.source {
        CertificateSource::Files => Remedy::say("put a new certificate where `tls` names it, and deploy"),
        CertificateSource::Internal => {
            Remedy::say("Landfall signs it anew by itself while its agent runs: see what keeps it").run(&["landfall", "certs"])
        }
        CertificateSource::Acme => Remedy::say("have it issued now, and see what keeps it").run(&["landfall", "certs", "--renew", name]),
    };
    let why = certificate.failure.as_ref().filter(|_| certificate.failed_ms.is_some()).map(|failure| format!(": {}", failure.message));
    let why = why.unwrap_or_default();
    if left == 0 {
        return Some(CERTIFICATE.found(Severity::Critical, format!("the certificate of {name} has ended{why}"), vec![renew()]));
    }
    if certificate.from_ms > now_ms {
        return Some(CERTIFICATE.found(
            Severity::Critical,
            format!("the certificate of {name} is not good yet: is the clock right?"),
            vec![renew()],
        ));
    }
    // Authorities' certificates are renewed when a third of their life is left.
    let life = certificate.until_ms.saturating_sub(certificate.from_ms);
    let late = match certificate.source {
        CertificateSource::Files => left < OWN_FILES_MS,
        CertificateSource::Acme => left < life / 5,
        CertificateSource::Internal => false,
    };
    if late {
        let severity = if left < LAST_MS { Severity::Critical } else { Severity::Warning };
        return Some(CERTIFICATE.found(severity, format!("the certificate of {name} ends in {days} days{why}"), vec![renew()]));
    }
    if certificate.served != certificate.source {
        let seen = format!("{name} is served with a certificate that browsers do not know{why}");
        return Some(CERTIFICATE.found(Severity::Warning, seen, vec![renew()]));
    }
    certificate
        .failed_ms
        .map(|_| CERTIFICATE.found(Severity::Warning, format!("the next certificate of {name} was asked for in vain{why}"), vec![renew()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1000 * DAY_MS;

    fn status(source: CertificateSource, days_left: u64) -> CertificateStatus {
        CertificateStatus {
            app: "tutor".parse().unwrap(),
            name: "tutor.example.com".into(),
            source,
            served: source,
            issuer: "x".into(),
            from_ms: NOW + days_left * DAY_MS - 90 * DAY_MS,
            until_ms: NOW + days_left * DAY_MS,
            next_ms: None,
            asking: false,
            asked_ms: None,
            failed_ms: None,
            failure: None,
        }
    }

    #[test]
    fn a_certificate_is_judged_by_who_renews_it_and_when_it_ends() {
        let severity = |status: CertificateStatus| judge(&[status], NOW)[0].severity;
        use CertificateSource::{Acme, Files, Internal};
        assert_eq!(severity(status(Acme, 60)), Severity::Ok);
        assert_eq!(severity(status(Acme, 20)), Severity::Ok);
        assert_eq!(severity(status(Acme, 10)), Severity::Warning);
        assert_eq!(severity(status(Acme, 2)), Severity::Critical);
        assert_eq!(severity(status(Acme, 0)), Severity::Critical);
        assert_eq!(severity(status(Files, 30)), Severity::Ok);
        assert_eq!(severity(status(Files, 20)), Severity::Warning);
        assert_eq!(severity(status(Internal, 1)), Severity::Ok);
        assert_eq!(severity(CertificateStatus { served: Internal, ..status(Acme, 60) }), Severity::Warning);
        assert_eq!(severity(CertificateStatus { failed_ms: Some(NOW), ..status(Acme, 60) }), Severity::Warning);
        assert_eq!(severity(CertificateStatus { from_ms: NOW + 1, ..status(Acme, 60) }), Severity::Critical);
    }
}
