//! The networks of an app.

use crate::container::is_default;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A network: always a bridge of this server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// The name outside the app: `<app>_<key>` unless the file says `name:`.
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
