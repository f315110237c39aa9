//! One certificate from an ACME authority (RFC 8555): account, order, challenge, certificate.
//!
//! An order is for one name. It is remembered with its key before anything is validated, so that an agent that dies at any moment goes on with the
//! same order at its next start, and a validation is never paid for twice. Nothing here decides when to ask: `record` does.

mod account;
mod challenge;
mod client;
mod hook;
mod retry_after;

pub(super) use account::Accounts;
pub(crate) use client::client_config;

use super::Certs;
use super::problem::{Kind, Problem};
use super::record::{Issued, Pending, Window};
use crate::table::Table;
use client::Ear;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
};
use landfall_model::name::CertificateName;
use landfall_model::tls::Acme;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Nonces of one question that may be refused (§6.5: such a question is simply asked again).
const NONCES: u32 = 80;
/// How long an authority may take to validate, and then to sign.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks, at first and at most.
const LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Asks until no nonce is refused any more; any other error is told as what it means.
macro_rules! ask {
    ($ear:expr, $call:expr) => {{
        let mut left = NONCES;
        loop {
            match $call {
                Ok(value) => break Ok(value),
                Err(error) if left > 0 && crate::certs::acme::stale_nonce(&error) => left -= 1,
                Err(error) => break Err(crate::certs::acme::problem(&error, $ear)),
            }
        }
    }};
}
use ask;

/// What is wanted, and what is there to get it with.
pub(super) struct Attempt<'a> {
    pub(super) certs: &'a Certs,
    /// Shows answers to the authority.
    pub(super) table: &'a Table,
    pub(super) name: &'a CertificateName,
    pub(super) acme: &'a Acme,
    /// How it is shown that the name is ours.
    pub(super) challenge: ChallengeType,
    pub(super) tls: Arc<ClientConfig>,
}

impl Attempt<'_> {
    /// Gets and keeps a certificate.
    pub(super) async fn run(&self) -> Result<Issued, Problem> {
        let ear = Ear::default();
        let account = self.account(&ear).await?;
        let (mut order, key, generation) = match self.resume(&account, &ear).await {
            Some(resumed) => resumed,
            None => self.begin(&account, &ear).await?,
        };
        let result = self.follow(&mut order, &key, &ear).await;
        match result {
            Ok(chain) => self.certs.shelf.keep(self.name, &self.acme.ca, generation, &chain),
            Err(problem) => {
                // An order whose validation failed is dead. One that met a deaf authority may be gone on with.
                if order.state().status == OrderStatus::Invalid || problem.validation {
                    self.certs.shelf.update(self.name, |record| record.pending = None);
                }
                Err(problem)
            }
        }
    }

    async fn account(&self, ear: &Ear) -> Result<Account, Problem> {
        let account = self.certs.accounts.open(self.acme, &self.tls, ear).await;
        account.inspect_err(|p| tracing::debug!(name = %self.name, problem = ?p, "no account"))
    }

    /// The order that was under way when the agent, or the authority, went away.
    async fn resume(&self, account: &Account, ear: &Ear) -> Option<(Order, KeyPair, u32)> {
        let pending = self.certs.shelf.record(self.name).pending.filter(|p| p.ca == self.acme.ca)?;
        let key = self.certs.shelf.key(self.name, pending.generation)?;
        let mut order = ask!(ear, account.order(pending.order.clone()).await).ok()?;
        (order.state().status != OrderStatus::Invalid).then_some((order, key, pending.generation))
    }

    async fn begin(&self, account: &Account, ear: &Ear) -> Result<(Order, KeyPair, u32), Problem> {
        let identifiers = [Identifier::Dns(self.name.to_string())];
        let replaced = self.certs.shelf.record(self.name).issued.filter(|i| i.ca == self.acme.ca && i.window.is_some());
        let replaced = replaced.and_then(|issued| self.identifier(&issued));
        let order = match replaced {
            // An authority that made a suggestion lets what follows it pass its limits (RFC 9773 §5). It may have other reasons to refuse.
            Some(id) => match ask!(ear, account.new_order(&NewOrder::new(&identifiers).replaces(id.clone())).await) {
                Ok(order) => order,
                Err(_) => ask!(ear, account.new_order(&NewOrder::new(&identifiers)).await)?,
            },
            None => ask!(ear, account.new_order(&NewOrder::new(&identifiers)).await)?,
        };
        let (generation, key) = self.certs.shelf.new_key(self.name)?;
        let pending = Pending { ca: self.acme.ca.clone(), order: order.url().to_owned(), generation };
        self.certs.shelf.update(self.name, |record| record.pending = Some(pending));
        Ok((order, key, generation))
    }

    /// From wherever the order stands to its chain.
    async fn follow(&self, order: &mut Order, key: &KeyPair, ear: &Ear) -> Result<String, Problem> {
        if order.state().status == OrderStatus::Pending {
            self.validate(order, ear).await?;
            wait(order, ear, |status| status != OrderStatus::Pending).await?;
        }
        if order.state().status == OrderStatus::Ready {
            let csr = request(self.name, key).map_err(|e| Problem::local("write a certificate request", e))?;
            ask!(ear, order.finalize_csr(&csr).await)?;
        }
        wait(order, ear, |status| matches!(status, OrderStatus::Valid | OrderStatus::Invalid)).await?;
        if let Some(error) = order.state().error.clone() {
            return Err(problem(&Error::Api(error), ear));
        }
        let chain = ask!(ear, order.certificate().await)?;
        chain.ok_or_else(|| Problem::new(Kind::Authority, "the authority issued nothing"))
    }

    /// Shows that the name is ours, unless that is known already.
    async fn validate(&self, order: &mut Order, ear: &Ear) -> Result<(), Problem> {
        // The order keeps what was fetched, so the second look costs nothing.
        ask!(ear, fetch(order).await)?;
        let mut authorizations = order.authorizations();
        let Some(Ok(mut authorization)) = authorizations.next().await else {
            return Err(Problem::new(Kind::Authority, "the authority does not say how to validate the name"));
        };
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(());
        }
        let Some(mut challenge) = authorization.challenge(self.challenge.clone()) else {
            let kind = challenge::word(&self.challenge);
            return Err(Problem::new(Kind::Rejected, format!("the authority offers no {kind} for it")));
        };
        let _turn = self.dns_turn().await;
        let shown = challenge::Shown::show(self, &challenge.key_authorization()).await?;
        // One that was set ready before the agent died is being validated, and told so twice is an error.
        let told = match challenge.status {
            ChallengeStatus::Pending => ask!(ear, challenge.set_ready().await),
            _ => Ok(()),
        };
        let result = match told {
            Ok(()) => self.judged(order, ear).await,
            Err(problem) => Err(problem),
        };
        shown.remove(self).await;
        result
    }

    /// Records of one zone are put and taken away one after another.
    async fn dns_turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.challenge == ChallengeType::Dns01 { Some(self.certs.dns_turn.lock().await) } else { None }
    }

    /// Waits for the authority's judgement.
    async fn judged(&self, order: &mut Order, ear: &Ear) -> Result<(), Problem> {
        let mut pace = Pace::new();
        loop {
            let (status, error) = ask!(ear, look(order, &self.challenge).await)?;
            match status {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => pace.wait(ear).await?,
                _ => return Err(Problem::of_validation(error.as_ref())),
            }
        }
    }

    fn identifier(&self, issued: &Issued) -> Option<CertificateIdentifier<'static>> {
        let leaf = self.certs.shelf.leaf(self.name, issued)?;
        CertificateIdentifier::try_from(&leaf.der).ok().map(CertificateIdentifier::into_owned)
    }

    /// When the authority suggests to renew, and after how many milliseconds to ask again. `None` when it makes no suggestions.
    pub(super) async fn suggestion(&self, issued: &Issued) -> Result<Option<(Window, u64)>, Problem> {
        let Some(id) = self.identifier(issued) else { return Ok(None) };
        let ear = Ear::default();
        let account = self.account(&ear).await?;
        match account.renewal_info(&id).await {
            Ok((info, again)) => {
                let ms = |time: i128| u64::try_from(time / 1_000_000).unwrap_or_default();
                let window = info.suggested_window;
                let window = Window { start_ms: ms(window.start.unix_timestamp_nanos()), end_ms: ms(window.end.unix_timestamp_nanos()) };
                Ok(Some((window, u64::try_from(again.as_millis()).unwrap_or(u64::MAX))))
            }
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(problem(&error, &ear)),
        }
    }
}

async fn fetch(order: &mut Order) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        authorization?;
    }
    Ok(())
}

async fn look(order: &mut Order, kind: &ChallengeType) -> Result<(AuthorizationStatus, Option<instant_acme::Problem>), Error> {
    let mut authorizations = order.authorizations();
    let Some(authorization) = authorizations.next().await else { return Err(Error::Str("authorization")) };
    let mut authorization = authorization?;
    let state = authorization.refresh().await?;
    let error = state.challenges.iter().find(|c| c.r#type == *kind).and_then(|c| c.error.clone());
    Ok((state.status, error))
}

/// Looks at the order until it stands as wanted.
async fn wait(order: &mut Order, ear: &Ear, wanted: impl Fn(OrderStatus) -> bool) -> Result<(), Problem> {
    let mut pace = Pace::new();
    while !wanted(order.state().status) {
        pace.wait(ear).await?;
        ask!(ear, order.refresh().await.map(drop))?;
    }
    Ok(())
}

/// How often an authority is asked whether it is done.
struct Pace {
    next: Duration,
    until: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { next: LOOK, until: Instant::now() + PATIENCE }
    }

    async fn wait(&mut self, ear: &Ear) -> Result<(), Problem> {
        if Instant::now() >= self.until {
            return Err(Problem::new(Kind::Authority, format!("the authority did not come to an end within {} s", PATIENCE.as_secs())));
        }
        let asked = ear.heard().retry_after_ms.map_or(Duration::ZERO, Duration::from_millis);
        sleep(self.next.max(asked).min(LAST_LOOK)).await;
        self.next = (self.next * 3 / 2).min(LAST_LOOK);
        Ok(())
    }
}

fn request(name: &CertificateName, key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_string()])?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

pub(super) fn stale_nonce(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:badNonce"))
}

fn problem(error: &Error, ear: &Ear) -> Problem {
    let heard = ear.heard();
    let mut problem = Problem::of_call(error, heard.status);
    problem.retry_after_ms = heard.retry_after_ms;
    problem
}
