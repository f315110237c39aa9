//! The value of an environment variable, whole or with references to secrets in it.
//!
//! In JSON a text as it is, or the list of its pieces: what was stored before there were references reads as it did.

use crate::secret::{Part, SecretRef, parts};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Never shown by `Debug`: any of them may be a password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvValue(Held);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum Held {
    Text(String),
    Parts(Vec<Part>),
}

/// Answers the value of a secret.
pub trait Fill {
    /// Why it cannot.
    type Error;
    /// The bytes of this version; nothing for version 0.
    fn fill(&mut self, secret: &SecretRef) -> Result<Vec<u8>, Self::Error>;
}

impl EnvValue {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Held::Text(value.into()))
    }

    /// Of a text in which secrets are marked.
    pub(crate) fn marked(text: &str) -> Self {
        Self(parts(text).map_or_else(|| Held::Text(text.to_owned()), Held::Parts))
    }

    /// The value itself, for the one who sets it. Nothing as long as it has references: [`Self::filled`] puts their values in.
    pub fn reveal(&self) -> &str {
        match &self.0 {
            Held::Text(text) => text,
            Held::Parts(_) => "",
        }
    }

    /// Its pieces, when it has references.
    pub fn parts(&self) -> &[Part] {
        match &self.0 {
            Held::Text(_) => &[],
            Held::Parts(parts) => parts,
        }
    }

    pub(crate) fn parts_mut(&mut self) -> &mut [Part] {
        match &mut self.0 {
            Held::Text(_) => &mut [],
            Held::Parts(parts) => parts,
        }
    }

    /// The bytes with every reference replaced by what it refers to.
    pub fn filled<F: Fill>(&self, fill: &mut F) -> Result<Vec<u8>, F::Error> {
        match &self.0 {
            Held::Text(text) => Ok(text.clone().into_bytes()),
            Held::Parts(parts) => Self::join(parts, fill),
        }
    }

    /// The bytes of pieces.
    pub(crate) fn join<F: Fill>(parts: &[Part], fill: &mut F) -> Result<Vec<u8>, F::Error> {
        let mut out = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Secret(secret) => out.extend(fill.fill(secret)?),
            }
        }
        Ok(out)
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvValue(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::mark;

    struct Names;

    impl Fill for Names {
        type Error = ();
        fn fill(&mut self, secret: &SecretRef) -> Result<Vec<u8>, ()> {
            Ok(format!("<{} {}>", secret.name, secret.version).into_bytes())
        }
    }

    #[test]
    fn a_value_without_references_is_a_text_in_json_and_one_with_them_is_a_list() {
        let plain = EnvValue::marked("a");
        assert_eq!(serde_json::to_string(&plain).unwrap(), "\"a\"");
        let made = EnvValue::marked(&format!("a:{}", mark(&"B".parse().unwrap())));
        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(json, r#"["a:",{"secret":"B","version":0}]"#);
        assert_eq!(serde_json::from_str::<EnvValue>(&json).unwrap(), made);
        assert_eq!((plain.reveal(), made.reveal()), ("a", ""));
        assert_eq!(made.filled(&mut Names).unwrap(), b"a:<B 0>");
    }
}
