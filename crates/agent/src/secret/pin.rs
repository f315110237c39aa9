//! Deciding which version of each secret a release has, before anything is touched.

use super::{Secrets, bounded, token};
use crate::error::SecretError;
use crate::store::{SecretRow, Store};
use landfall_model::compose::is_placeholder;
use landfall_model::name::{AppName, SecretName};
use landfall_model::secret::{Need, Origin, SecretRef, SecretValue, Unset};
use landfall_model::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// What a release needs and the server did not have: written when the release begins.
#[derive(Default)]
pub(crate) struct Pinned {
    pub(crate) rows: Vec<SecretRow>,
    /// Brought along, and not used because the server has its own.
    pub(crate) overruled: BTreeSet<SecretName>,
}

impl Secrets {
    /// Writes into a spec which versions it has; fails when one is missing that must be there, and names all of them.
    pub(crate) fn pin(
        &self,
        store: &Store,
        (app, spec): (&AppName, &mut Spec),
        given: &BTreeMap<SecretName, SecretValue>,
        who: &str,
    ) -> Result<Pinned, SecretError> {
        let known: BTreeMap<SecretName, SecretRow> = store.secrets(app)?.into_iter().map(|row| (row.secret.name.clone(), row)).collect();
        bounded(given, &known)?;
        let mut names: BTreeSet<SecretName> = spec.secrets_mut().map(|secret| secret.name.clone()).collect();
        names.extend(spec.secrets.keys().cloned());
        let (mut pinned, mut missing, mut versions) = (Pinned::default(), BTreeSet::new(), BTreeMap::new());
        for name in names {
            let need = token::need(spec, &name);
            let need = need.as_ref();
            let row = known.get(&name);
            let set = row.filter(|row| row.origin == Origin::Set);
            let version = match (set.or(row), given.get(&name)) {
                (Some(row), Some(value)) if row.origin == Origin::Set => {
                    let value_kept = self.open(app, row)?;
                    if value_kept.expose() != value.reveal() {
                        pinned.overruled.insert(name.clone());
                    }
                    good(&name, value_kept.expose(), need)?;
                    row.secret.version
                }
                (row, Some(value)) => {
                    good(&name, value.reveal(), need)?;
                    match row {
                        Some(row) if self.open(app, row).is_ok_and(|old| old.expose() == value.reveal()) => row.secret.version,
                        _ => {
                            let secret = SecretRef { name: name.clone(), version: store.next_secret(app, &name)? };
                            let version = secret.version;
                            pinned.rows.push(self.row(app, (secret, Origin::Deploy), value, who)?);
                            version
                        }
                    }
                }
                (Some(row), None) => {
                    good(&name, self.open(app, row)?.expose(), need)?;
                    row.secret.version
                }
                (None, None) => {
                    // One that is only referred to, with no word about it, must be there as well.
                    if need.is_none_or(|need| need.required) {
                        missing.insert(name.clone());
                    }
                    0
                }
            };
            versions.insert(name, version);
        }
        if !missing.is_empty() {
            return Err(SecretError::Missing { app: app.clone(), environment: spec.environment.clone(), names: missing });
        }
        for secret in spec.secrets_mut() {
            secret.version = versions.get(&secret.name).copied().unwrap_or(0);
        }
        Ok(pinned)
    }

    /// Nothing that the server keeps is passed over because the project neither declares it nor has a value of its own: that would end in an empty
    /// value, or in a default, in place of the one somebody set.
    pub(crate) fn none_is_left_out(&self, store: &Store, spec: &Spec, unset: &Unset) -> Result<(), SecretError> {
        if unset.is_empty() {
            return Ok(());
        }
        let mut used: BTreeSet<&SecretName> = spec.services.values().flat_map(Spec::secrets_of).map(|secret| &secret.name).collect();
        used.extend(spec.secrets.keys());
        let left_out = |row: &SecretRow| {
            let asked_for = unset.variables.contains(row.secret.name.as_str());
            // What stood in a file that is not here is not known; what somebody set may have.
            !used.contains(&row.secret.name) && (asked_for || (!unset.files.is_empty() && row.origin == Origin::Set))
        };
        let names: BTreeSet<SecretName> = store.secrets(&spec.app)?.into_iter().filter(left_out).map(|row| row.secret.name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let (app, environment) = (spec.app.clone(), spec.environment.clone());
        Err(SecretError::Undeclared { app, environment, names, files: unset.files.clone() })
    }

    /// Every version a spec names can be opened: a release is gone back to with the values it had, or not at all.
    pub(crate) fn check(&self, store: &Store, app: &AppName, spec: &Spec) -> Result<(), SecretError> {
        let secrets: BTreeSet<&SecretRef> = spec.services.values().flat_map(Spec::secrets_of).filter(|s| s.version > 0).collect();
        secrets.into_iter().try_for_each(|secret| self.value(store, app, secret).map(drop))
    }
}

/// As good as the contract asks.
fn good(name: &SecretName, value: &[u8], need: Option<&Need>) -> Result<(), SecretError> {
    let text = String::from_utf8_lossy(value);
    let (length, want) = (text.chars().count() as u64, need.map_or(0, |need| need.min_length));
    if length < want {
        return Err(SecretError::Short { name: name.clone(), length, want });
    }
    if is_placeholder(&text) {
        return Err(SecretError::Placeholder { name: name.clone() });
    }
    Ok(())
}
