//! Taking the values of secrets out of what replicas write, before anybody is shown it.
//!
//! Only values of eight bytes and more: shorter ones are words of everyday. A value of several lines, such as a key in PEM, is looked for line by
//! line. The cost is one automaton for each reader and one pass over each line.

use super::Secrets;
use crate::store::Store;
use aho_corasick::{AhoCorasick, MatchKind};
use landfall_model::name::AppName;
use landfall_model::secret::SecretRef;
use landfall_model::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// Shortest value that is looked for, bytes.
const SHORTEST: usize = 8;
/// Most bytes of all values that are looked for; the automaton is several times as large.
const MAX_BYTES: usize = 1024 * 1024;

/// Finds the values of an app's secrets in lines.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    found: Option<AhoCorasick>,
    names: Vec<String>,
    /// Bytes of the longest value.
    longest: usize,
}

impl Redactor {
    /// Of what these specs and the next release have. A secret that cannot be opened was shown to nobody with this key.
    pub(crate) fn of<'a>(secrets: &Secrets, store: &Store, app: &AppName, specs: impl Iterator<Item = &'a Spec>) -> Self {
        let mut wanted: BTreeSet<SecretRef> = specs.flat_map(|s| s.services.values()).flat_map(Spec::secrets_of).cloned().collect();
        wanted.extend(store.secrets(app).unwrap_or_default().into_iter().map(|row| row.secret));
        let mut values: BTreeMap<Vec<u8>, String> = BTreeMap::new();
        let mut bytes = 0;
        for secret in wanted.iter().filter(|secret| secret.version > 0) {
            let Ok(value) = secrets.value(store, app, secret) else { continue };
            for line in value.expose().split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| line.len() >= SHORTEST) {
                bytes += line.len();
                if bytes <= MAX_BYTES {
                    values.insert(line.to_vec(), secret.name.to_string());
                }
            }
        }
        Self::for_lines(values)
    }

    fn for_lines(values: BTreeMap<Vec<u8>, String>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let longest = values.keys().map(Vec::len).max().unwrap_or(0);
        let found = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(values.keys());
        Self { found: found.ok(), names: values.into_values().collect(), longest }
    }

    /// Of these values, by name.
    #[cfg(test)]
    pub(crate) fn for_values(values: &[(&str, &str)]) -> Self {
        Self::for_lines(values.iter().map(|(name, value)| (value.as_bytes().to_vec(), (*name).to_owned())).collect())
    }

    /// How much of a text that goes on can be looked through now: no value that begins in it ends behind it.
    pub(crate) fn settled(&self, text: &str) -> usize {
        let Some(found) = &self.found else { return text.len() };
        let mut cut = text.len().saturating_sub(self.longest.saturating_sub(1));
        for at in found.find_iter(text) {
            if at.start() < cut && at.end() > cut {
                cut = at.end();
            }
        }
        (cut..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len())
    }

    /// The line with names in place of values.
    pub(crate) fn line(&self, line: String) -> String {
        match &self.found {
            Some(found) if found.is_match(&line) => {
                let mut out = String::with_capacity(line.len());
                found.replace_all_with(&line, &mut out, |at, _, out| {
                    let name = self.names.get(at.pattern().as_usize()).map_or("", String::as_str);
                    out.push_str("<secret ");
                    out.push_str(name);
                    out.push('>');
                    true
                });
                out
            }
            _ => line,
        }
    }
}
