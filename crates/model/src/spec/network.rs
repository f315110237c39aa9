//! The networks of an app.

use crate::container::is_default;
use crate::name::NameError;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The most characters of an engine's name: an app's, `_`, and a key's are fewer.
const MAX_ENGINE_NAME: usize = 255;

/// A name as the engine knows a network or volume by. It stands in the paths of the engine's API, so one that comes from a client or from the store
/// is checked where it is read: nothing in it begins another path, a query or an option.
pub(super) fn engine_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let good = text.len() <= MAX_ENGINE_NAME && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(rest);
    if good {
        return Ok(text);
    }
    Err(D::Error::custom(NameError::new(
        "name of a network or volume",
        &text,
        "letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 255",
    )))
}

/// A network: always a bridge of this server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// The name outside the app: `<app>_<key>` unless the file says `name:`.
    #[serde(deserialize_with = "engine_name")]
    pub external_name: String,
    /// Made by somebody else; never created or removed.
    pub external: bool,
    /// No way out of it.
    pub internal: bool,
    /// Containers of others may join it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attachable: bool,
    /// It has IPv6 addresses as well.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipv6: bool,
    /// Options of the bridge.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
    /// Labels of the user's own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// Who hands out its addresses; empty: the engine itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipam_driver: String,
    /// What that driver is told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipam_options: BTreeMap<String, String>,
    /// Its addresses; none: the engine chooses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub subnets: Vec<Subnet>,
}

impl Network {
    /// No network of its own: the engine's word for the host's, or for another container's.
    pub(crate) fn is_host(&self) -> bool {
        self.external_name == "host" || self.external_name.contains(':')
    }
}

/// Addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subnet {
    /// `10.1.0.0/16`; empty: the engine chooses.
    pub subnet: String,
    /// The part replicas are given addresses from; empty: all of it.
    pub range: String,
    /// The host's own address; empty: the engine chooses.
    pub gateway: String,
    /// Addresses nobody is given, by the name of who has them.
    pub reserved: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Volume;

    #[test]
    fn a_name_that_would_be_another_call_of_the_engine_is_none() {
        for hostile in [
            "x/../../containers/V/kill?signal=KILL#",
            "",
            "..",
            ".",
            "-v",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "container:web",
            "a\0",
            "é",
        ] {
            let json = serde_json::json!({ "external_name": hostile, "external": true, "internal": false });
            let error = serde_json::from_value::<Network>(json.clone()).unwrap_err().to_string();
            assert!(error.contains("is no name of a network or volume"), "{error}");
            assert!(serde_json::from_value::<Volume>(json).is_err(), "{hostile:?}");
        }
        for good in ["shop_default", "host", "A.b-c_1"] {
            let json = serde_json::json!({ "external_name": good, "external": true, "internal": false });
            assert!(serde_json::from_value::<Network>(json.clone()).is_ok() && serde_json::from_value::<Volume>(json).is_ok(), "{good}");
        }
    }
}
