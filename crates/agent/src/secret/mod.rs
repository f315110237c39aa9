//! Secrets of apps: kept sealed in the store, pinned by version when a release is considered, opened when a replica is started.
//!
//! What somebody set on the server wins over what a deploy brings along from its project. A value is bound to app, name and version, so that rows
//! cannot be exchanged, and it is never in a spec, an event, an answer or a log.

mod pin;
mod redact;
mod token;

pub(crate) use pin::Pinned;
pub(crate) use redact::Redactor;
pub(crate) use token::{TokenKeys, take};

use crate::error::SecretError;
use crate::seal::{Opened, Seal};
use crate::store::{SecretRow, Store};
use landfall_model::name::{AppName, SecretName, ServiceName};
use landfall_model::secret::{MAX_SECRETS, MAX_VALUE, MAX_VALUES, Origin, SecretRef, SecretStatus, SecretValue, SecretsSet};
use landfall_model::spec::{EnvValue, Fill, Spec, Template};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The secrets of one server. The key is read anew each time: one that was put back is used at once.
pub(crate) struct Secrets {
    key: PathBuf,
}

impl Secrets {
    pub(crate) fn new(key: PathBuf) -> Self {
        Self { key }
    }

    /// Keeps values somebody set.
    pub(crate) fn set(
        &self,
        store: &Store,
        app: &AppName,
        values: &BTreeMap<SecretName, SecretValue>,
        who: &str,
    ) -> Result<SecretsSet, SecretError> {
        let known: BTreeMap<SecretName, SecretRow> = store.secrets(app)?.into_iter().map(|row| (row.secret.name.clone(), row)).collect();
        bounded(values, &known)?;
        let (mut rows, mut set) = (Vec::new(), SecretsSet::default());
        for (name, value) in values {
            let same = match known.get(name) {
                // One that cannot be opened any more is replaced.
                Some(row) => self.open(app, row).is_ok_and(|old| old.expose() == value.reveal()) && row.origin == Origin::Set,
                None => false,
            };
            let into = match (same, known.contains_key(name)) {
                (true, _) => &mut set.unchanged,
                (false, true) => &mut set.changed,
                (false, false) => &mut set.added,
            };
            into.insert(name.clone());
            if !same {
                let secret = SecretRef { name: name.clone(), version: store.next_secret(app, name)? };
                rows.push(self.row(app, (secret, Origin::Set), value, who)?);
            }
        }
        store.put_secrets(app, &rows)?;
        Ok(set)
    }

    /// A row to be written.
    fn row(&self, app: &AppName, (secret, origin): (SecretRef, Origin), value: &SecretValue, who: &str) -> Result<SecretRow, SecretError> {
        let sealed = Seal::open(&self.key)?.seal(&context(app, &secret.name, &secret.version.to_string()), value.reveal())?;
        Ok(SecretRow { secret, origin, sealed: Some(sealed), who: who.to_owned(), at_ms: 0 })
    }

    fn open(&self, app: &AppName, row: &SecretRow) -> Result<Opened, SecretError> {
        let SecretRef { name, version } = &row.secret;
        let gone = || SecretError::Gone { app: app.clone(), name: name.clone(), version: *version };
        let sealed = row.sealed.as_ref().ok_or_else(gone)?;
        Ok(Seal::open(&self.key)?.unseal(&context(app, name, &version.to_string()), sealed)?)
    }

    /// One version's value.
    pub(crate) fn value(&self, store: &Store, app: &AppName, secret: &SecretRef) -> Result<Opened, SecretError> {
        let gone = || SecretError::Gone { app: app.clone(), name: secret.name.clone(), version: secret.version };
        self.open(app, &store.secret(app, secret)?.ok_or_else(gone)?)
    }

    /// What is known of an app's secrets without knowing them.
    pub(crate) fn list(&self, store: &Store, app: &AppName, current: Option<&Spec>) -> Result<Vec<SecretStatus>, SecretError> {
        let status = |row: SecretRow| {
            let users = current.iter().flat_map(|s| &s.services).filter_map(|(name, service)| {
                let used = Spec::secrets_of(service).find(|secret| secret.name == row.secret.name)?;
                Some((name.clone(), used.version))
            });
            let users: BTreeMap<ServiceName, u32> = users.collect();
            SecretStatus {
                name: row.secret.name,
                version: row.secret.version,
                origin: row.origin,
                at_ms: row.at_ms,
                who: row.who,
                in_use: users.values().copied().find(|version| *version > 0),
                used_by: users.into_keys().collect(),
            }
        };
        Ok(store.secrets(app)?.into_iter().map(status).collect())
    }

    /// Puts the values into a template that is about to be started.
    pub(crate) fn fill(&self, store: &Store, app: &AppName, template: &mut Template) -> Result<(), SecretError> {
        let mut filler = Filler { secrets: self, store, app };
        for (key, value) in template.environment.iter_mut().filter(|(_, v)| !v.parts().is_empty()) {
            let bytes = value.filled(&mut filler)?;
            let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
            *value = text.map(EnvValue::new).ok_or_else(|| SecretError::NoText { key: key.clone() })?;
        }
        for file in &mut template.container.files {
            file.content = file.content.filled(&mut filler)?;
        }
        Ok(())
    }

    /// Forgets what no release that can be gone back to has.
    pub(crate) fn forget(&self, store: &Store, app: &AppName, specs: &[Spec]) -> Result<(), SecretError> {
        let keep: BTreeSet<SecretRef> = specs.iter().flat_map(|s| s.services.values()).flat_map(Spec::secrets_of).cloned().collect();
        Ok(store.forget_secrets(app, &keep)?)
    }
}

/// What a value is bound to.
fn context<'a>(app: &'a AppName, name: &'a SecretName, version: &'a str) -> [&'a str; 4] {
    ["secret", app.as_str(), name.as_str(), version]
}

fn bounded(values: &BTreeMap<SecretName, SecretValue>, known: &BTreeMap<SecretName, SecretRow>) -> Result<(), SecretError> {
    if let Some((name, _)) = values.iter().find(|(_, v)| v.reveal().len() > MAX_VALUE) {
        return Err(SecretError::TooLarge { what: format!("the value of {name} has more than {} kB", MAX_VALUE / 1000) });
    }
    if values.values().map(|v| v.reveal().len()).sum::<usize>() > MAX_VALUES {
        return Err(SecretError::TooLarge { what: format!("the values have more than {} MiB together", MAX_VALUES >> 20) });
    }
    let names: BTreeSet<&SecretName> = values.keys().chain(known.keys()).collect();
    if names.len() > MAX_SECRETS {
        return Err(SecretError::TooLarge { what: format!("an app has at most {MAX_SECRETS} secrets") });
    }
    Ok(())
}

struct Filler<'a> {
    secrets: &'a Secrets,
    store: &'a Store,
    app: &'a AppName,
}

impl Fill for Filler<'_> {
    type Error = SecretError;

    fn fill(&mut self, secret: &SecretRef) -> Result<Vec<u8>, SecretError> {
        if secret.version == 0 {
            return Ok(Vec::new());
        }
        Ok(self.secrets.value(self.store, self.app, secret)?.expose().to_vec())
    }
}
