//! Secrets that sign the tokens of routes. They are sealed like every other secret: the store and every answer hold references, and only the table
//! that is made for the proxy has the values.

use super::{Pinned, Secrets};
use crate::error::SecretError;
use crate::store::{SecretRow, Store};
use landfall_model::filter::{Filters, JwtKeys, JwtSecret};
use landfall_model::name::{AppName, SecretName};
use landfall_model::secret::{Need, Origin, SecretRef, SecretValue};
use landfall_model::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// Takes secrets that stand literally in a spec out of it and leaves references of version 0. Names follow the place of a route, so a
/// secret that stays where it was is the same secret.
pub(crate) fn take(spec: &mut Spec) -> BTreeMap<SecretName, SecretValue> {
    let mut taken = BTreeMap::new();
    for route in spec.token_keys_mut() {
        let JwtKeys::Secret(secret) = &*route.keys else { continue };
        // Service names are shorter than names of secrets may be.
        let Ok(name) = format!("jwt.{}.{}", route.service, route.route).parse::<SecretName>() else { continue };
        taken.insert(name.clone(), SecretValue::new(secret.reveal().as_bytes().to_vec()));
        *route.keys = JwtKeys::Stored(SecretRef { name, version: 0 });
    }
    taken
}

/// The secrets of the store that sign a spec's tokens.
fn stored(spec: &Spec) -> impl Iterator<Item = &SecretRef> {
    let routes = spec.services.values().flat_map(|service| &service.routes);
    routes.filter_map(|route| route.filters.jwt.as_ref()?.keys.stored())
}

/// What a spec wants of a secret, one that signs tokens being as long as a key must be.
pub(super) fn need(spec: &Spec, name: &SecretName) -> Option<Need> {
    let declared = spec.secrets.get(name).cloned();
    if !stored(spec).any(|signing| signing.name == *name) {
        return declared;
    }
    let min_length = declared.map_or(0, |need| need.min_length).max(JwtSecret::SHORTEST as u64);
    Some(Need { required: true, min_length })
}

/// The values of the secrets that sign an app's tokens.
#[derive(Default)]
pub(crate) struct TokenKeys {
    values: BTreeMap<SecretRef, JwtSecret>,
}

impl TokenKeys {
    /// Puts a value in the place of a reference. One that could not be opened stays a reference, and the proxy lets nobody through.
    pub(crate) fn fill(&self, filters: &mut Filters) {
        let Some(keys) = filters.jwt.as_mut().map(|jwt| &mut jwt.keys) else { return };
        if let JwtKeys::Stored(secret) = &*keys
            && let Some(value) = self.values.get(secret)
        {
            *keys = JwtKeys::Secret(value.clone());
        }
    }
}

impl Secrets {
    /// Opens the secrets that sign the tokens of a spec.
    pub(crate) fn token_keys(&self, store: &Store, spec: &Spec) -> TokenKeys {
        let mut values = BTreeMap::new();
        for secret in stored(spec).collect::<BTreeSet<_>>() {
            match self.token_key(store, &spec.app, secret) {
                Ok(value) => {
                    values.insert(secret.clone(), value);
                }
                Err(error) => {
                    let (app, name) = (&spec.app, &secret.name);
                    tracing::error!(%app, secret = %name, %error, "the secret that signs tokens cannot be opened: its routes let nobody through");
                }
            }
        }
        TokenKeys { values }
    }

    fn token_key(&self, store: &Store, app: &AppName, secret: &SecretRef) -> Result<JwtSecret, SecretError> {
        let value = self.value(store, app, secret)?;
        let text = String::from_utf8_lossy(value.expose());
        let short =
            || SecretError::Short { name: secret.name.clone(), length: text.chars().count() as u64, want: JwtSecret::SHORTEST as u64 };
        JwtSecret::new(&text).ok_or_else(short)
    }

    /// Seals secrets that stand literally in a spec an earlier version of Landfall stored; the versions of all others stay.
    pub(crate) fn seal_token_keys(&self, store: &Store, spec: &mut Spec, who: &str) -> Result<Pinned, SecretError> {
        let mut pinned = Pinned::default();
        let taken = take(spec);
        if taken.is_empty() {
            return Ok(pinned);
        }
        let app = spec.app.clone();
        let known: BTreeMap<SecretName, SecretRow> = store.secrets(&app)?.into_iter().map(|row| (row.secret.name.clone(), row)).collect();
        for route in spec.token_keys_mut() {
            let Some(secret) = route.keys.stored_mut() else { continue };
            let Some(value) = taken.get(&secret.name).filter(|_| secret.version == 0) else { continue };
            let row = known.get(&secret.name);
            secret.version = match row.filter(|row| self.open(&app, row).is_ok_and(|old| old.expose() == value.reveal())) {
                Some(row) => row.secret.version,
                None => {
                    let next = SecretRef { name: secret.name.clone(), version: store.next_secret(&app, &secret.name)? };
                    let version = next.version;
                    pinned.rows.push(self.row(&app, (next, Origin::Deploy), value, who)?);
                    version
                }
            };
        }
        Ok(pinned)
    }
}
