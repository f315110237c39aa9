//! What a secret or config holds as a file in a container.

use crate::secret::{Part, SecretRef, parts};
use crate::spec::{EnvValue, Fill};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Never shown by `Debug`. In JSON bytes are Base64, for they need not be text; one with references to secrets is the list of its pieces.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Held);

#[derive(Clone, PartialEq, Eq)]
enum Held {
    Bytes(Vec<u8>),
    Parts(Vec<Part>),
}

/// As it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Base64(String),
    Parts(Vec<Part>),
}

impl Content {
    /// Wraps bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Held::Bytes(bytes.into()))
    }

    /// What the server keeps under a name.
    pub fn secret(secret: SecretRef) -> Self {
        Self(Held::Parts(vec![Part::Secret(secret)]))
    }

    /// Of a text in which secrets are marked.
    pub(crate) fn marked(text: &str) -> Self {
        Self(parts(text).map_or_else(|| Held::Bytes(text.as_bytes().to_vec()), Held::Parts))
    }

    /// The bytes, for the one who writes them where they belong. None as long as it has references.
    pub fn reveal(&self) -> &[u8] {
        match &self.0 {
            Held::Bytes(bytes) => bytes,
            Held::Parts(_) => &[],
        }
    }

    /// Its pieces, when it has references.
    pub fn parts(&self) -> &[Part] {
        match &self.0 {
            Held::Bytes(_) => &[],
            Held::Parts(parts) => parts,
        }
    }

    pub(crate) fn parts_mut(&mut self) -> &mut [Part] {
        match &mut self.0 {
            Held::Bytes(_) => &mut [],
            Held::Parts(parts) => parts,
        }
    }

    /// The same with every reference replaced by what it refers to.
    pub fn filled<F: Fill>(&self, fill: &mut F) -> Result<Self, F::Error> {
        match &self.0 {
            Held::Bytes(_) => Ok(self.clone()),
            Held::Parts(parts) => EnvValue::join(parts, fill).map(Self::new),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(…)")
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Held::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Held::Parts(parts) => parts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Base64(text) => STANDARD.decode(text).map(Self::new).map_err(serde::de::Error::custom),
            Written::Parts(parts) => Ok(Self(Held::Parts(parts))),
        }
    }
}
