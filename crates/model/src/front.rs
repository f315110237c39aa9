//! What holds for every request an app gets from outside, whatever its route: the words of the file, checked, as the proxy gets them.

use crate::filter::Network;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything an app asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Front {
    /// Proxies before this one whose word about the client is taken: `X-Forwarded-For`, `-Proto` and `-Host`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub trusted_proxies: BTreeSet<Network>,
}

impl Front {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
