//! Keys that tokens are checked with, each for its own algorithms and no others: a public key is never taken for a shared secret.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use landfall_model::filter::{JwtAlgorithm, JwtKeys};
use std::fmt;
use std::sync::Arc;

/// Of one set; what follows is left out.
const MAX_KEYS: usize = 64;

const RSA: [Algorithm; 3] = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];

/// The keys of one route.
#[derive(Clone)]
pub(crate) struct Keys {
    from: Option<String>,
    keys: Arc<[Key]>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.keys.len())
    }
}

impl Keys {
    /// Those of a route, for these algorithms. A set that cannot be used is refused, and the one `before` stays.
    pub(crate) fn new(asked: &JwtKeys, algorithms: Vec<Algorithm>, before: Option<&Self>) -> Self {
        let (from, text) = match asked {
            JwtKeys::Secret(secret) => {
                let key = Key { id: None, algorithms, key: DecodingKey::from_secret(secret.reveal().as_bytes()) };
                return Self { from: None, keys: Arc::new([key]) };
            }
            // The agent could not open it, and said why.
            JwtKeys::Stored(_) => return Self { from: None, keys: Arc::new([]) },
            JwtKeys::Public { from, text } => (from, text),
        };
        let found = text.as_deref().map(|text| parse(text, &algorithms));
        if let Some(Err(reason)) = &found {
            tracing::error!(from, reason, "keys of tokens cannot be used");
        }
        match found {
            Some(Ok(keys)) => Self { from: Some(from.clone()), keys: keys.into() },
            _ => match before.filter(|before| before.from.as_ref() == Some(from)) {
                Some(before) => before.clone(),
                None => Self { from: Some(from.clone()), keys: Arc::new([]) },
            },
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Those that may have signed a token that says this of its key.
    pub(crate) fn matching(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &DecodingKey> {
        let fits = move |key: &&Key| {
            let named = id.is_none() || key.id.is_none() || key.id.as_deref() == id;
            named && key.algorithms.contains(&algorithm)
        };
        self.keys.iter().filter(fits).map(|key| &key.key)
    }
}

fn parse(text: &str, algorithms: &[Algorithm]) -> Result<Vec<Key>, String> {
    let text = text.trim();
    let keys: Vec<Key> = if text.starts_with("-----BEGIN") {
        vec![pem(text)?]
    } else {
        let set: JwkSet = serde_json::from_str(text).map_err(|e| e.to_string())?;
        set.keys.iter().take(MAX_KEYS).filter_map(key).collect()
    };
    let narrowed = keys.into_iter().map(|mut key| {
        key.algorithms.retain(|a| algorithms.contains(a));
        key
    });
    let keys: Vec<Key> = narrowed.filter(|key| !key.algorithms.is_empty()).collect();
    if keys.is_empty() { Err("there is no key for the algorithms of the route".to_owned()) } else { Ok(keys) }
}

fn pem(text: &str) -> Result<Key, String> {
    if text.contains("PRIVATE KEY") {
        return Err("it is a private key: only who signs may have it".to_owned());
    }
    if let Ok(key) = DecodingKey::from_rsa_pem(text.as_bytes()) {
        return Ok(Key { id: None, algorithms: RSA.to_vec(), key });
    }
    let key = DecodingKey::from_ec_pem(text.as_bytes()).map_err(|e| e.to_string())?;
    Ok(Key { id: None, algorithms: vec![Algorithm::ES256, Algorithm::ES384], key })
}

/// A key of a set; nothing for one that signs no tokens, or by ways that are not known here.
fn key(jwk: &Jwk) -> Option<Key> {
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA.to_vec(),
        AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        // A secret in a public place is none.
        _ => return None,
    };
    if jwk.common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
        return None;
    }
    if let Some(only) = &jwk.common.key_algorithm {
        algorithms.retain(|algorithm| format!("{algorithm:?}") == only.to_string());
    }
    Some(Key { id: jwk.common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(jwk).ok()? })
}

/// In the library's words.
pub(crate) fn algorithm(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::Hs256 => Algorithm::HS256,
        JwtAlgorithm::Hs384 => Algorithm::HS384,
        JwtAlgorithm::Hs512 => Algorithm::HS512,
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Rs384 => Algorithm::RS384,
        JwtAlgorithm::Rs512 => Algorithm::RS512,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::Es384 => Algorithm::ES384,
    }
}
