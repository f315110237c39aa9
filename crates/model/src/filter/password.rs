//! A password as it is kept: enough to recognise it, not to say it.
//!
//! One SHA-256 over the user's name and the password, because the proxy answers for every request of a thread at once and must not spend 50 ms on a
//! guess. It keeps passwords out of tables, logs and screens; it does not make a short one hard to guess for whoever steals the table, which
//! only root and Landfall can read.

use crate::name::NameError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// See the module.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordDigest([u8; 32]);

impl PasswordDigest {
    /// Of `user`'s password.
    pub fn of(user: &str, password: &str) -> Self {
        let mut hash = Sha256::new();
        // A user's name has no NUL, so no other pair gives the same bytes.
        for part in ["landfall basic auth", "\0", user, "\0", password] {
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Compares in the same time whatever the difference.
    pub fn is(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordDigest(…)")
    }
}

impl TryFrom<String> for PasswordDigest {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        let wrong = || NameError::new("digest of a password", "", "64 hexadecimal digits");
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
        }
        Ok(Self(digest))
    }
}

impl From<PasswordDigest> for String {
    fn from(digest: PasswordDigest) -> String {
        digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_never_shown() {
        let digest = PasswordDigest::of("ada", "secret");
        assert!(digest.is(&PasswordDigest::of("ada", "secret")));
        assert!(!digest.is(&PasswordDigest::of("ada", "Secret")) && !digest.is(&PasswordDigest::of("bob", "secret")));
        let stored = serde_json::to_string(&digest).unwrap();
        assert!(!stored.contains("secret") && !format!("{digest:?}").contains("secret"));
        assert!(serde_json::from_str::<PasswordDigest>(&stored).unwrap().is(&digest));
        for bad in ["\"\"", "\"zz\"", "\"é\""] {
            assert!(serde_json::from_str::<PasswordDigest>(bad).is_err());
        }
    }
}
