//! Which names are asked for now, and what comes of it.

use super::acme::{Attempt, client_config};
use super::problem::Problem;
use super::record::{Issued, days_left, warning};
use super::{Certs, Wanted, leaf};
use crate::table::Table;
use instant_acme::ChallengeType;
use landfall_model::api::Failure;
use landfall_model::name::CertificateName;
use landfall_model::tls::{Acme, Challenge, DEFAULT_CA, Tls};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// For everything one attempt does.
const ATTEMPT: Duration = Duration::from_secs(900);
/// Until an authority is asked again for a suggestion that it did not give.
const ASK_WINDOW_AGAIN: u64 = 24 * 3600 * 1000;

/// Which challenges can be met here: an authority asks on ports 80 and 443 and on no other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kinds {
    http: bool,
    https: bool,
    /// The ports users reach this server by are not those.
    other_ports: bool,
}

impl Kinds {
    /// By the addresses that users are shown.
    pub(crate) fn of(http: Option<&str>, https: Option<&str>) -> Self {
        let usual = |url: &str, port: &str| url.rsplit_once(':').is_none_or(|(_, p)| p == port || p.starts_with("//"));
        let other_ports = http.is_none_or(|u| !usual(u, "80")) && https.is_none_or(|u| !usual(u, "443"));
        Self { http: http.is_some(), https: https.is_some(), other_ports }
    }

    /// The kinds to try for a name, in turn. An authority of the user's own may ask on whatever port it was told to.
    fn list(self, acme: &Acme, name: &CertificateName) -> Vec<ChallengeType> {
        if acme.challenge == Challenge::Dns {
            return vec![ChallengeType::Dns01];
        }
        if name.is_wildcard() || self.other_ports && acme.ca == DEFAULT_CA {
            return Vec::new();
        }
        let mut kinds = Vec::new();
        if self.http && acme.challenge != Challenge::TlsAlpn {
            kinds.push(ChallengeType::Http01);
        }
        if self.https && acme.challenge != Challenge::Http {
            kinds.push(ChallengeType::TlsAlpn01);
        }
        kinds
    }
}

/// What is told of an attempt in vain.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) name: CertificateName,
    pub(crate) failure: Failure,
    /// What is served meanwhile.
    pub(crate) meanwhile: String,
    /// Not asked again before.
    pub(crate) again_ms: u64,
}

impl Certs {
    /// When a name is asked for next; `None` when it cannot be asked for here at all.
    pub(super) fn due_ms(&self, wanted: &Wanted, kinds: Kinds, now_ms: u64) -> Option<u64> {
        let Tls::Acme(acme) = &wanted.tls else { return None };
        let name = wanted.name.as_ref()?;
        (!kinds.list(acme, name).is_empty()).then(|| self.shelf.record(name).due_ms(&acme.ca, now_ms))
    }

    /// It is to be asked for now.
    pub(crate) fn is_due(&self, wanted: &Wanted, kinds: Kinds, now_ms: u64) -> bool {
        self.due_ms(wanted, kinds, now_ms).is_some_and(|due| due <= now_ms)
    }

    /// A person wants it anew.
    pub(crate) fn force(&self, name: &CertificateName) {
        self.shelf.update(name, |record| record.forced = true);
    }

    /// Asks for a certificate, keeps it or remembers why there is none. `now_ms` is asked again at the end: attempts take time.
    pub(crate) async fn ask(
        &self,
        table: &Table,
        wanted: &Wanted,
        kinds: Kinds,
        now_ms: impl Fn() -> u64,
    ) -> Option<Result<(CertificateName, String, u64), Failed>> {
        let (Tls::Acme(acme), Some(name)) = (&wanted.tls, &wanted.name) else { return None };
        let list = kinds.list(acme, name);
        let turn = self.shelf.record(name).turn as usize;
        let challenge = list.get(turn.checked_rem(list.len())?)?.clone();
        self.asking().insert(name.clone());
        let result = self.attempt(table, name, acme, challenge).await;
        let told = match result {
            Ok(issued) => {
                self.shelf.update(name, |record| record.asked_ms = now_ms());
                Ok((name.clone(), issued.issuer, issued.until_ms))
            }
            Err(problem) => Err(self.in_vain(name, acme, &problem, now_ms()).await),
        };
        self.asking().remove(name);
        Some(told)
    }

    async fn attempt(&self, table: &Table, name: &CertificateName, acme: &Acme, challenge: ChallengeType) -> Result<Issued, Problem> {
        let tls = client_config(self.roots.as_deref()).map_err(|e| Problem::local("check the authority's own certificate", e))?;
        let attempt = Attempt { certs: self, table, name, acme, challenge, tls: Arc::clone(&tls) };
        match timeout(ATTEMPT, attempt.run()).await {
            Ok(result) => result,
            Err(late) => {
                let _ = table.hide(name).await;
                Err(Problem::local("get a certificate in time", late))
            }
        }
    }

    async fn in_vain(&self, name: &CertificateName, acme: &Acme, problem: &Problem, now_ms: u64) -> Failed {
        self.accounts.forget(acme, problem).await;
        let failure = problem.failure(name.as_str());
        self.shelf.update(name, |record| record.failed(failure.clone(), problem.validation, problem.retry_after_ms, now_ms));
        let record = self.shelf.record(name);
        let meanwhile = match &record.issued {
            None => "a certificate of this server's own authority, which browsers warn of".to_owned(),
            Some(issued) if issued.until_ms <= now_ms => "the last certificate, which has expired".to_owned(),
            Some(_) => "the last certificate, which is still good".to_owned(),
        };
        Failed { name: name.clone(), failure, meanwhile, again_ms: record.due_ms(&acme.ca, now_ms) }
    }

    /// Asks an authority when it suggests to renew, if it is time to. Nothing depends on the answer.
    pub(crate) async fn ask_window(&self, table: &Table, wanted: &Wanted, kinds: Kinds, now_ms: u64) {
        let (Tls::Acme(acme), Some(name)) = (&wanted.tls, &wanted.name) else { return };
        let Some(issued) = self.shelf.record(name).issued.filter(|i| i.ca == acme.ca && i.ask_window_ms <= now_ms) else { return };
        let Some(challenge) = kinds.list(acme, name).into_iter().next() else { return };
        let Ok(tls) = client_config(self.roots.as_deref()) else { return };
        let attempt = Attempt { certs: self, table, name, acme, challenge, tls };
        let suggestion = attempt.suggestion(&issued).await.unwrap_or_else(|problem| {
            tracing::debug!(%name, ?problem, "no suggestion when to renew");
            issued.window.map(|window| (window, ASK_WINDOW_AGAIN))
        });
        let (window, again) = suggestion.map_or((None, ASK_WINDOW_AGAIN), |(window, again)| (Some(window), again));
        self.shelf.update(name, |record| {
            if let Some(issued) = &mut record.issued {
                issued.window = window;
                issued.ask_window_ms = now_ms.saturating_add(again.clamp(60_000, ASK_WINDOW_AGAIN));
            }
        });
    }

    /// Name, days left and end of a certificate that comes to its end, when that is to be told now.
    pub(crate) fn expiring(&self, wanted: &Wanted, now_ms: u64) -> Option<(CertificateName, u32, u64)> {
        match &wanted.tls {
            Tls::Acme(_) => {
                let name = wanted.name.as_ref()?;
                let issued = self.shelf.record(name).issued?;
                let threshold = issued.warning(name, now_ms)?;
                self.shelf.update(name, |record| {
                    if let Some(issued) = &mut record.issued {
                        issued.told_days = Some(threshold);
                    }
                });
                Some((name.clone(), days_left(issued.until_ms, now_ms), issued.until_ms))
            }
            Tls::Files { chain, .. } => {
                let leaf = super::file::read_text(chain.as_ref(), super::MAX_OWN).ok().and_then(|t| leaf::Leaf::of_chain(&t).ok())?;
                let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let before = told.get(&wanted.app).filter(|(until, _)| *until == leaf.until_ms).map(|(_, days)| *days);
                let threshold = warning(leaf.until_ms, before, now_ms)?;
                told.insert(wanted.app.clone(), (leaf.until_ms, threshold));
                let name = leaf.names.first().and_then(|n| n.parse().ok()).or_else(|| wanted.hosts.first().map(CertificateName::from))?;
                Some((name, days_left(leaf.until_ms, now_ms), leaf.until_ms))
            }
            Tls::Internal | Tls::Off => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(http: &str, https: &str, acme: &Acme) -> Vec<ChallengeType> {
        let name = "a.example.org".parse().unwrap();
        Kinds::of(Some(http).filter(|u| !u.is_empty()), Some(https).filter(|u| !u.is_empty())).list(acme, &name)
    }

    #[test]
    fn a_public_authority_is_not_asked_where_it_could_not_ask_back() {
        let public = Acme::default();
        let both = [ChallengeType::Http01, ChallengeType::TlsAlpn01];
        assert_eq!(kinds("http://example.org", "https://example.org", &public), both);
        assert_eq!(kinds("http://example.org:80", "https://example.org:443", &public), both);
        assert_eq!(kinds("http://localhost:8080", "https://localhost:8443", &public), []);
        let own = Acme { ca: "https://ca.internal/directory".into(), ..Acme::default() };
        assert_eq!(kinds("http://localhost:8080", "https://localhost:8443", &own), both);
        assert_eq!(kinds("", "https://localhost", &public), [ChallengeType::TlsAlpn01]);
        let dns = Acme { challenge: Challenge::Dns, ..Acme::default() };
        assert_eq!(kinds("", "https://localhost:8443", &dns), [ChallengeType::Dns01]);
        let http = Acme { challenge: Challenge::Http, ..own };
        assert_eq!(kinds("http://localhost:8080", "https://localhost:8443", &http), [ChallengeType::Http01]);
    }
}
