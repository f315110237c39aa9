//! Tokens a route asks for (RFC 7519): which keys sign them, where a request carries one, what it must say, and what the application is told of it.

use super::HeaderKey;
use crate::secret::SecretRef;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a token must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwt {
    /// Who may sign it.
    pub keys: JwtKeys,
    /// How it may be signed.
    pub algorithms: BTreeSet<JwtAlgorithm>,
    /// Where it is, beside the cookie and the parameter: `authorization` as `Bearer …`, any other as it is.
    pub header: HeaderKey,
    /// A cookie that may carry it.
    pub cookie: Option<String>,
    /// A parameter of the query that may carry it, for a browser's WebSocket. It ends at the proxy.
    pub query: Option<String>,
    /// One of these must have issued it, unless empty.
    pub issuers: BTreeSet<String>,
    /// It must be for one of these, unless empty.
    pub audiences: BTreeSet<String>,
    /// By how much clocks may differ, seconds.
    pub leeway_s: u64,
    /// Headers that tell the application what the token says, by claim.
    pub claims: BTreeMap<String, HeaderKey>,
}

/// Keys that sign tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JwtKeys {
    /// Known to those who sign and to those who check.
    Secret(JwtSecret),
    /// The same, sealed in the server's store. Every spec that is stored or shown has this; the agent fills in the value for the proxy's table.
    Stored(SecretRef),
    /// Public ones, kept elsewhere.
    Public {
        /// An `https` URL, or a file's absolute path.
        from: String,
        /// What was found there: a JSON Web Key Set, or one key in PEM. Absent in a spec, and until something was found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
}

impl JwtKeys {
    /// Whoever checks a token could sign one as well.
    pub fn is_symmetric(&self) -> bool {
        matches!(self, Self::Secret(_) | Self::Stored(_))
    }

    /// The secret of the server's store, if it is one.
    pub fn stored(&self) -> Option<&SecretRef> {
        if let Self::Stored(secret) = self { Some(secret) } else { None }
    }

    /// The same, to decide which version it is.
    pub fn stored_mut(&mut self) -> Option<&mut SecretRef> {
        if let Self::Stored(secret) = self { Some(secret) } else { None }
    }
}

/// A secret that signs tokens. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JwtSecret(String);

impl JwtSecret {
    /// Bytes it must have (RFC 7518 §3.2: as many as the hash).
    pub const SHORTEST: usize = 32;

    /// Nothing if it is too short to be a key.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() >= Self::SHORTEST).then(|| Self(text.to_owned()))
    }

    /// Itself, for the one who checks signatures.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(…)")
    }
}

/// How a token is signed (RFC 7518 §3.1). `none` is no way of signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl JwtAlgorithm {
    /// All of them.
    pub const ALL: [(&str, Self); 8] = [
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
    ];

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, algorithm)| algorithm)
    }

    /// It is checked with the secret that signed.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_never_shown() {
        assert!(JwtSecret::new("short").is_none());
        let secret = JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap();
        let keys = JwtKeys::Secret(secret);
        assert!(!format!("{keys:?}").contains("0123"));
        assert_eq!(serde_json::from_str::<JwtKeys>(&serde_json::to_string(&keys).unwrap()).unwrap(), keys);
    }
}
