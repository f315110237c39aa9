//! Secrets: values that live on the server only, and what stands for them everywhere else.
//!
//! A spec is stored, compared, printed and sent, so it never holds a secret's value: it holds a [`SecretRef`], a name and the version the release was
//! made with, and the agent puts the value in at the moment a replica is started. A rollback therefore gets the values it had, and a new version is
//! a new revision of exactly those services that use it. While a file is compiled its text carries a mark in the value's place ([`mark`]), which
//! [`parts`] turns into references; a mark somebody wrote by hand is a reference to a secret of the same app, and no more than `${NAME}` is.

use crate::name::{EnvironmentName, SecretName, ServiceName};
use crate::server::ServerAddress;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most bytes of one value: what Swarm allows for a config.
pub const MAX_VALUE: usize = 1_000_000;
/// Most secrets of an app.
pub const MAX_SECRETS: usize = 500;
/// Most bytes of the values one request carries.
pub const MAX_VALUES: usize = 2 * 1024 * 1024;

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretRef {
    /// Which.
    #[serde(rename = "secret")]
    pub name: SecretName,
    /// Counted from 1; 0 as long as the server has not looked, and for one that need not be there and is not.
    pub version: u32,
}

/// A piece of a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// As it is.
    Text(String),
    /// What the server keeps.
    Secret(SecretRef),
}

/// What the spec asks of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Nothing is deployed without it.
    pub required: bool,
    /// Fewest characters.
    #[serde(default)]
    pub min_length: u64,
}

/// The bytes of a secret on their way to the server. Never shown by `Debug`; in JSON as Base64, for they need not be text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Vec<u8>);

impl SecretValue {
    /// Wraps bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one who seals them.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// As many as a reader would count.
    pub fn characters(&self) -> u64 {
        String::from_utf8_lossy(&self.0).chars().count() as u64
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// What a project asks for and the machine it is deployed from does not have. A server that keeps values for it and is not told to use them refuses
/// the release: it would be made of empty values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unset {
    /// Variables, in whatever form they are asked for.
    #[serde(default)]
    pub variables: BTreeSet<String>,
    /// Files of variables that need not be there and are not.
    #[serde(default)]
    pub files: BTreeSet<String>,
}

impl Unset {
    /// Everything is here.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty() && self.files.is_empty()
    }
}

/// `GET /v1/apps/{app}/secrets`: what is known of one without knowing it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretStatus {
    /// Which.
    pub name: SecretName,
    /// The newest version.
    pub version: u32,
    /// Where that came from.
    pub origin: Origin,
    /// When, milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Who set it.
    pub who: String,
    /// Services of the release that serves which get it.
    pub used_by: BTreeSet<ServiceName>,
    /// The version they have; absent when none does.
    pub in_use: Option<u32>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `landfall secret set`, `import` or `rotate`: it wins over what a deploy brings along.
    Set,
    /// A deploy brought it along, from the project's files or variables.
    Deploy,
}

/// `PUT /v1/apps/{app}/secrets`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetSecrets {
    /// What for, as the audit names it.
    pub purpose: Purpose,
    /// By name.
    pub values: BTreeMap<SecretName, SecretValue>,
}

/// What somebody sets secrets for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// One.
    Set,
    /// Those of a file.
    Import,
    /// A new value for one that is in use.
    Rotate,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Set => "secret set",
            Purpose::Import => "secret import",
            Purpose::Rotate => "secret rotate",
        })
    }
}

/// Answer to [`SetSecrets`]: what changed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsSet {
    /// They were not there.
    pub added: BTreeSet<SecretName>,
    /// They had other values.
    pub changed: BTreeSet<SecretName>,
    /// They had these values.
    pub unchanged: BTreeSet<SecretName>,
}

/// A named variant of an app, as its file declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Where it is deployed to; this machine when absent.
    pub server: Option<ServerAddress>,
    /// A person must agree to each deploy.
    pub approve: bool,
}

/// By name.
pub type Environments = BTreeMap<EnvironmentName, Environment>;

/// Around a secret's name in a text until it becomes a reference: the last character for private use, which nobody types.
const MARK: char = '\u{10fffd}';

/// What stands for a secret's value in the text of a file that is compiled.
pub(crate) fn mark(name: &SecretName) -> String {
    format!("{MARK}{name}{MARK}")
}

/// The pieces of a text in which secrets are marked; `None` for one without.
pub(crate) fn parts(text: &str) -> Option<Vec<Part>> {
    let (mut out, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once(MARK) {
        plain.push_str(before);
        rest = match after.split_once(MARK).and_then(|(name, tail)| Some((name.parse::<SecretName>().ok()?, tail))) {
            Some((name, tail)) => {
                out.extend((!plain.is_empty()).then(|| Part::Text(std::mem::take(&mut plain))));
                out.push(Part::Secret(SecretRef { name, version: 0 }));
                tail
            }
            None => {
                plain.push(MARK);
                after
            }
        };
    }
    if out.is_empty() {
        return None;
    }
    plain.push_str(rest);
    out.extend((!plain.is_empty()).then_some(Part::Text(plain)));
    Some(out)
}

/// Names marked in a text.
pub(crate) fn marked(text: &str) -> Vec<SecretName> {
    let secret = |part| if let Part::Secret(secret) = part { Some(secret.name) } else { None };
    parts(text).into_iter().flatten().filter_map(secret).collect()
}

/// The secret a text consists of, with nothing before or behind it.
pub(crate) fn only_marked(text: &str) -> Option<SecretName> {
    match parts(text)?.as_slice() {
        [Part::Secret(secret)] => Some(secret.name.clone()),
        _ => None,
    }
}

/// The text as people may see it: `<secret NAME>` in place of marks.
pub(crate) fn unmarked(text: &str) -> Option<String> {
    let shown = |part: Part| match part {
        Part::Text(text) => text,
        Part::Secret(secret) => format!("<secret {}>", secret.name),
    };
    parts(text).map(|parts| parts.into_iter().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Part {
        Part::Secret(SecretRef { name: name.parse().unwrap(), version: 0 })
    }

    #[test]
    fn a_marked_text_becomes_its_pieces() {
        let a = mark(&"A".parse().unwrap());
        let text = format!("postgres://u:{a}@db/{a}");
        let want = [Part::Text("postgres://u:".into()), secret("A"), Part::Text("@db/".into()), secret("A")];
        assert!(parts(&text).unwrap() == want);
        assert_eq!(unmarked(&text).unwrap(), "postgres://u:<secret A>@db/<secret A>");
        assert_eq!(parts("plain").map(|_| ()), None);
        assert_eq!(marked(&format!("{a}{a}")).len(), 2);
        assert_eq!(only_marked(&a).unwrap().as_str(), "A");
        assert!([format!("{a}{a}"), format!("x{a}"), format!("{a} "), "A".into()].iter().all(|text| only_marked(text).is_none()));
    }

    #[test]
    fn a_text_with_stray_marks_is_a_text() {
        for text in ["^", "a^b", "^^", "^not a name^", "^A"].map(|text| text.replace('^', &MARK.to_string())) {
            assert!(marked(&text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn values_travel_and_are_not_shown() {
        let value = SecretValue::new([0, 255, 7]);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<SecretValue>(&json).unwrap(), value);
        assert_eq!(format!("{value:?}"), "SecretValue(…)");
    }
}
