//! Accounts at authorities: made on first use, kept with mode 600, one for each authority and address.

use super::super::file::{make_private_dir, read_text, write_private};
use super::super::problem::{Kind, Problem};
use super::NONCES;
use super::ask;
use super::client::{Ear, Http};
use instant_acme::{Account, AccountCredentials, NewAccount};
use landfall_model::digest::digest;
use landfall_model::tls::Acme;
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Bytes of an account.
const MAX_FILE: u64 = 64 * 1024;

/// All accounts.
pub(crate) struct Accounts {
    dir: PathBuf,
    /// Names that are asked for together must not make an account each.
    turn: Mutex<()>,
}

impl Accounts {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, turn: Mutex::new(()) }
    }

    /// The account for an authority, ready to be used by one attempt.
    pub(super) async fn open(&self, acme: &Acme, tls: &Arc<ClientConfig>, ear: &Ear) -> Result<Account, Problem> {
        let _turn = self.turn.lock().await;
        let path = self.dir.join(format!("{}.json", digest(&(&acme.ca, &acme.email)).short()));
        // Credentials cannot be copied, so they are read as often as they are used.
        let known = read_text(&path, MAX_FILE).ok().and_then(|text| serde_json::from_str::<AccountCredentials>(&text).ok());
        let builder = || Account::builder_with_http(Box::new(Http::new(tls, ear.clone())));
        if let Some(credentials) = known {
            return builder().from_credentials(credentials).await.map_err(|e| super::problem(&e, ear));
        }
        let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = ask!(ear, builder().create(&new, acme.ca.clone(), None).await)?;
        let kept = make_private_dir(&self.dir).and_then(|()| write_private(&path, &serde_json::to_vec(&credentials)?));
        kept.map_err(|e| Problem::local("keep the account", e))?;
        Ok(account)
    }

    /// Forgets the account that an authority does not know any more, so that the next attempt makes a new one.
    pub(crate) async fn forget(&self, acme: &Acme, problem: &Problem) {
        if problem.kind == Kind::Account {
            let _turn = self.turn.lock().await;
            let _ = std::fs::remove_file(self.dir.join(format!("{}.json", digest(&(&acme.ca, &acme.email)).short())));
        }
    }
}
