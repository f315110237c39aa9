//! How an app's domains are served: where its certificates come from, and which names may be asked for at all.
//!
//! A certificate is for one name. Of several names in one certificate the worst would decide for all: one `www` that points elsewhere would
//! leave the whole app without a certificate.

use crate::name::{CertificateName, Domain};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where public certificates come from when nobody says otherwise: the directory of Let's Encrypt.
pub const DEFAULT_CA: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Tls {
    /// HTTPS with certificates of Landfall's own authority on this server.
    Internal,
    /// Plain HTTP only.
    Off,
    /// HTTPS with certificates of an authority that speaks ACME (RFC 8555); Landfall's own until they are there.
    Acme(Acme),
    /// HTTPS with a certificate of the user's own, read from files on the server.
    Files {
        /// PEM chain, leaf first.
        chain: String,
        /// PEM key.
        key: String,
    },
}

/// How an ACME authority is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Acme {
    /// Where the authority writes to, if anywhere.
    pub email: Option<String>,
    /// Its directory.
    pub ca: String,
    /// How it is shown that a name is ours.
    pub challenge: Challenge,
    /// Program and arguments that put a record into the DNS and take it away again. Empty without one.
    pub hook: Vec<String>,
    /// Names of certificates beside those of the domains: wildcards, which then stand for the domains they cover.
    pub names: Vec<CertificateName>,
}

impl Default for Acme {
    fn default() -> Self {
        Self { email: None, ca: DEFAULT_CA.to_owned(), challenge: Challenge::Any, hook: Vec::new(), names: Vec::new() }
    }
}

/// How it is shown that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Challenge {
    /// HTTP-01 and TLS-ALPN-01 in turn, so that one closed port is not the end.
    Any,
    /// HTTP-01 on port 80 (RFC 8555 §8.3).
    Http,
    /// TLS-ALPN-01 on port 443 (RFC 8737).
    TlsAlpn,
    /// DNS-01 by the hook (RFC 8555 §8.4); the only one for wildcards.
    Dns,
}

/// Names nobody outside can look up (RFC 6761, RFC 6762, RFC 8375, and what private networks use): no public authority signs them.
const PRIVATE: [&str; 9] = ["test", "example", "invalid", "local", "internal", "lan", "home.arpa", "intranet", "corp"];

impl Acme {
    /// The names to have certificates for, of an app with these domains.
    pub fn certificate_names(&self, domains: &[Domain]) -> BTreeSet<CertificateName> {
        let covered = |domain: &Domain| self.names.iter().any(|name| name.covers(domain.as_str()));
        let own = domains.iter().filter(|domain| !covered(domain)).map(CertificateName::from);
        own.chain(self.names.iter().cloned()).filter(|name| self.may_sign(name)).collect()
    }

    /// Whether asking for this name can lead anywhere. An authority of the user's own may sign private names.
    pub fn may_sign(&self, name: &CertificateName) -> bool {
        let suffix = name.suffix();
        let within = |zone: &str| suffix == zone || suffix.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
        let public = suffix.contains('.') && !PRIVATE.iter().any(|zone| within(zone));
        !within("localhost") && (public || self.ca != DEFAULT_CA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(names: &[&str]) -> Vec<Domain> {
        names.iter().map(|n| n.parse().unwrap()).collect()
    }

    fn names(acme: &Acme, of: &[&str]) -> Vec<String> {
        acme.certificate_names(&domains(of)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_of_no_public_network_are_not_asked_for() {
        let of = ["tutor.example.org", "tutor.localhost", "a.local", "b.home.arpa", "localhost", "box", "c.test", "notlocal.org"];
        assert_eq!(names(&Acme::default(), &of), ["notlocal.org", "tutor.example.org"]);
        let own = Acme { ca: "https://ca.internal/directory".into(), ..Acme::default() };
        assert_eq!(names(&own, &["a.internal", "a.localhost", "box"]), ["a.internal", "box"]);
    }

    #[test]
    fn a_wildcard_stands_for_the_domains_it_covers() {
        let acme = Acme { names: vec!["*.example.org".parse().unwrap()], ..Acme::default() };
        assert_eq!(names(&acme, &["example.org", "a.example.org", "a.b.example.org"]), ["*.example.org", "a.b.example.org", "example.org"]);
    }
}
