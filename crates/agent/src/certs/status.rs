//! How certificates stand, for who asks.

use super::leaf::Leaf;
use super::{Certs, Kinds, MAX_OWN, file};
use landfall_model::certificate::{CertificateSource, CertificateStatus};
use landfall_model::name::{AppName, CertificateName, Domain};
use landfall_model::spec::Spec;
use landfall_model::tls::Tls;

/// A certificate that an app is to have.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) app: AppName,
    /// Where from.
    pub(crate) tls: Tls,
    /// For which name of an ACME authority; absent where one certificate is for all names.
    pub(crate) name: Option<CertificateName>,
    /// The app's domains, or those of them that get no certificate of an authority.
    pub(crate) hosts: Vec<Domain>,
}

impl Wanted {
    /// What a spec asks for. Nothing else is ever asked for.
    pub(crate) fn of(spec: &Spec) -> Vec<Self> {
        let all = |hosts: Vec<Domain>| Self { app: spec.app.clone(), tls: spec.tls.clone(), name: None, hosts };
        match &spec.tls {
            Tls::Off => Vec::new(),
            Tls::Internal | Tls::Files { .. } => vec![all(spec.all_domains())],
            Tls::Acme(acme) => {
                let domains = spec.all_domains();
                let names = acme.certificate_names(&domains);
                let private: Vec<Domain> = domains.into_iter().filter(|d| !names.iter().any(|n| n.covers(d.as_str()))).collect();
                let named = names.into_iter().map(|name| Self { name: Some(name), ..all(Vec::new()) });
                named.chain((!private.is_empty()).then(|| Self { tls: Tls::Internal, ..all(private.clone()) })).collect()
            }
        }
    }
}

impl Certs {
    /// How one stands. `served` are all files that the app is served with.
    pub(crate) fn status(&self, wanted: &Wanted, spec_hosts: &[String], kinds: Kinds, now_ms: u64) -> CertificateStatus {
        let source = match wanted.tls {
            Tls::Acme(_) => CertificateSource::Acme,
            Tls::Files { .. } => CertificateSource::Files,
            Tls::Internal | Tls::Off => CertificateSource::Internal,
        };
        let record = wanted.name.as_ref().map(|name| self.shelf.record(name));
        let issued = record.as_ref().and_then(|r| r.issued.clone());
        let (served, leaf) = match (&wanted.tls, &issued) {
            (Tls::Files { chain, .. }, _) => (CertificateSource::Files, read(chain)),
            (Tls::Acme(_), Some(issued)) => (CertificateSource::Acme, wanted.name.as_ref().and_then(|name| self.shelf.leaf(name, issued))),
            _ => {
                let files = self.internal.for_app(wanted.app.as_str(), spec_hosts).ok();
                (CertificateSource::Internal, files.and_then(|f| read(&f.chain)))
            }
        };
        let first = || wanted.hosts.first().map_or_else(|| spec_hosts.first().cloned().unwrap_or_default(), Domain::to_string);
        let asked_ms = record.as_ref().map(|r| r.asked_ms).filter(|at| *at > 0);
        let failed = record.and_then(|r| r.failure);
        CertificateStatus {
            app: wanted.app.clone(),
            name: wanted.name.as_ref().map_or_else(first, CertificateName::to_string),
            source,
            served,
            issuer: leaf.as_ref().map(|l| l.issuer.clone()).unwrap_or_default(),
            from_ms: leaf.as_ref().map_or(0, |l| l.from_ms),
            until_ms: leaf.as_ref().map_or(0, |l| l.until_ms),
            next_ms: self.due_ms(wanted, kinds, now_ms),
            asking: wanted.name.as_ref().is_some_and(|name| self.asking().contains(name)),
            asked_ms,
            failed_ms: failed.as_ref().map(|(at, _)| *at),
            failure: failed.map(|(_, failure)| failure),
        }
    }
}

fn read(chain: &str) -> Option<Leaf> {
    file::read_text(chain.as_ref(), MAX_OWN).ok().and_then(|text| Leaf::of_chain(&text).ok())
}
