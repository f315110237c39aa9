//! Digests of values: what makes two specs, or two services, the same.
//!
//! The bytes that are hashed are the value's JSON with the field order of the type and maps in key order (the model has no
//! hash maps), so a digest is equal on every machine and for every run.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The digest of a whole spec: which desired state this is. Hexadecimal, 16 characters are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(String);

/// Hashes any value of the model.
pub fn digest<T: Serialize>(value: &T) -> Revision {
    // Serialising a value of the model cannot fail: its maps have string keys and no type has a custom impl that errs.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    Revision(hex(&Sha256::digest(&bytes)))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Revision {
    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short())
    }
}
