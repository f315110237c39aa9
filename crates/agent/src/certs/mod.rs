//! Certificates: which files the proxy serves for which names, and how new ones come to be.
//!
//! Three sources: Landfall's own authority (`internal`), the user's files, and authorities that speak ACME (`acme`, with what is remembered in
//! `shelf` and `record`). Whoever asks for files never waits for an authority: a name without a certificate of its authority gets one of ours, and an
//! expired one is served until there is a better.

mod acme;
mod file;
mod internal;
mod leaf;
mod problem;
mod record;
mod renew;
mod shelf;
mod status;

pub(crate) use acme::client_config;
pub(crate) use file::{make_private_dir, read_text, write_private};
pub(crate) use renew::{Failed, Kinds};
pub(crate) use status::Wanted;

use crate::error::CertError;
use acme::Accounts;
use internal::Internal;
use landfall_model::digest::digest;
use landfall_model::name::{AppName, CertificateName};
use landfall_model::route::CertificateFiles;
use landfall_model::spec::Spec;
use landfall_model::tls::{Acme, Tls};
use shelf::Shelf;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of a user's own chain or key.
const MAX_OWN: u64 = 1024 * 1024;

/// All certificates of a server.
pub(crate) struct Certs {
    dir: PathBuf,
    /// File of authorities that ACME directories may be certified by, in place of the system's.
    roots: Option<PathBuf>,
    internal: Internal,
    shelf: Shelf,
    accounts: Accounts,
    dns_turn: tokio::sync::Mutex<()>,
    /// Names that are being asked for.
    asking: Mutex<BTreeSet<CertificateName>>,
    /// Thresholds told of for users' own files, by app.
    told: Mutex<BTreeMap<AppName, (u64, u32)>>,
}

impl Certs {
    /// Reads what is known in a directory.
    pub(crate) fn open(dir: PathBuf, roots: Option<PathBuf>) -> Self {
        let acme = dir.join("acme");
        Self {
            internal: Internal::new(dir.clone()),
            shelf: Shelf::open(acme.join("names")),
            accounts: Accounts::new(acme.join("accounts")),
            dns_turn: tokio::sync::Mutex::new(()),
            asking: Mutex::default(),
            told: Mutex::default(),
            roots,
            dir,
        }
    }

    /// Our own authority's certificate, once an app has made it.
    pub(crate) fn authority(&self) -> std::io::Result<String> {
        read_text(&self.dir.join("ca.pem"), MAX_OWN)
    }

    /// Where certificates lie that only answer challenges.
    fn challenge_dir(&self) -> PathBuf {
        self.dir.join("acme/challenges")
    }

    /// What to serve an app's hosts with.
    pub(crate) fn for_app(&self, spec: &Spec, hosts: &[String]) -> Result<Vec<CertificateFiles>, CertError> {
        match &spec.tls {
            Tls::Off => Ok(Vec::new()),
            Tls::Internal => Ok(vec![self.internal.for_app(spec.app.as_str(), hosts)?]),
            Tls::Files { chain, key } => Ok(vec![own(&spec.app, chain, key, hosts)?]),
            Tls::Acme(acme) => {
                let mut files = self.issued_for(acme, spec, hosts);
                let served: BTreeSet<&String> = files.iter().flat_map(|f| &f.hosts).collect();
                let rest: Vec<String> = hosts.iter().filter(|h| !served.contains(h)).cloned().collect();
                if !rest.is_empty() {
                    // Made for all hosts and served for the rest, so that it need not be made anew with each one that gets its own.
                    files.push(CertificateFiles { hosts: rest, ..self.internal.for_app(spec.app.as_str(), hosts)? });
                }
                Ok(files)
            }
        }
    }

    fn issued_for(&self, acme: &Acme, spec: &Spec, hosts: &[String]) -> Vec<CertificateFiles> {
        let mut files: BTreeMap<CertificateName, CertificateFiles> = BTreeMap::new();
        let names = acme.certificate_names(&spec.all_domains());
        for host in hosts {
            // Its own before one that covers others too.
            let mut covering: Vec<&CertificateName> = names.iter().filter(|n| n.covers(host)).collect();
            covering.sort_by_key(|n| n.is_wildcard());
            let issued = covering.into_iter().find_map(|n| Some((n, self.shelf.record(n).issued?)));
            let Some((name, issued)) = issued else { continue };
            let (chain, key) = self.shelf.files(name, issued.generation);
            let entry = files.entry(name.clone()).or_insert_with(|| CertificateFiles {
                hosts: Vec::new(),
                chain: chain.display().to_string(),
                key: key.display().to_string(),
                fingerprint: issued.fingerprint,
            });
            entry.hosts.push(host.clone());
        }
        files.into_values().collect()
    }

    fn asking(&self) -> std::sync::MutexGuard<'_, BTreeSet<CertificateName>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user's files as they are now. They are read at every look, so a chain that was replaced is served without a word.
fn own(app: &AppName, chain: &str, key: &str, hosts: &[String]) -> Result<CertificateFiles, CertError> {
    let failed = |source| CertError { doing: "read", name: app.to_string(), source };
    let text = file::read_text(Path::new(chain), MAX_OWN).map_err(|e| failed(format!("{chain}: {e}").into()))?;
    leaf::Leaf::of_chain(&text).map_err(|e| failed(format!("{chain}: {e}").into()))?;
    let secret = file::read_text(Path::new(key), MAX_OWN).map_err(|e| failed(format!("{key}: {e}").into()))?;
    Ok(CertificateFiles {
        hosts: hosts.to_vec(),
        chain: chain.to_owned(),
        key: key.to_owned(),
        fingerprint: digest(&(text, secret)).short().to_owned(),
    })
}
